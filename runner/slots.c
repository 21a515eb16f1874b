/* SPDX-License-Identifier: Apache-2.0 */
/* Slots as locked files. */
#include "slots.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define WHO_SIZE 200
/* So long others go first; who then has not taken its slot is stopped. */
#define PATIENCE_MS 2000

struct slots {
	int dir;
	char *name, *who;
	int limit;
	int *fds;	       /* by number; -1: not ours */
	int turn;	       /* -1: not opened yet */
	bool is_ours;	       /* the turn */
	int64_t patient_since; /* 0: nobody is let go first */
};

/* The directory. */

static char *
dir_path(void)
{
	const char *given = getenv("PALLETJACK_SLOTS");
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (given && *given)
		return mem_strdup(given);
	if (geteuid() == 0)
		return mem_strdup("/run/palletjack");
	if (runtime && *runtime)
		return mem_printf("%s/palletjack", runtime);
	return NULL;
}

static int
check_dir(int fd, const char *path, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, "cannot look at '%s'", path);
	if (st.st_uid != geteuid())
		return err_set(err, ERR_USER,
			       "'%s', where limits are kept, belongs to user "
			       "%u; remove it, or let PALLETJACK_SLOTS name "
			       "another directory",
			       path, (unsigned)st.st_uid);
	if (st.st_mode & 077)
		return err_set(err, ERR_USER,
			       "'%s', where limits are kept, is open to "
			       "others; make it private: chmod 700 '%s'",
			       path, path);
	return 0;
}

int
slots_dir(int *ret, char why[300], struct err *err)
{
	CLEANUP(mem_freep) char *path = dir_path();
	int fd;

	*ret = -1;
	if (!path) {
		snprintf(why, 300, "XDG_RUNTIME_DIR is not set");
		return 0;
	}
	if (mkdir(path, 0700) < 0 && errno != EEXIST) {
		snprintf(why, 300, "cannot make '%s': %s", path,
			 strerror(errno));
		return 0;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
		return err_set(err, ERR_USER,
			       "'%s', where limits are kept, is no directory "
			       "but a link or a file; remove it, or let "
			       "PALLETJACK_SLOTS name another",
			       path);
	if (fd < 0)
		return err_set(err, ERR_USER,
			       "cannot open '%s', where limits are kept: %s",
			       path, strerror(errno));
	if (check_dir(fd, path, err) < 0) {
		close(fd);
		return -1;
	}
	*ret = fd;
	return 0;
}

/* Files. */

struct slots *
slots_new(int dir, const char *name, int limit, const char *who)
{
	struct slots *s = mem_new(sizeof(*s));

	s->dir = dir;
	s->name = mem_strdup(name);
	s->who = mem_strdup(who);
	s->limit = limit;
	s->fds = mem_new((size_t)limit * sizeof(*s->fds));
	for (int i = 0; i < limit; i++)
		s->fds[i] = -1;
	s->turn = -1;
	return s;
}

void
slots_free(struct slots *s)
{
	if (!s)
		return;
	for (int i = 0; i < s->limit; i++)
		mem_closep(&s->fds[i]);
	mem_closep(&s->turn);
	free(s->fds);
	free(s->name);
	free(s->who);
	free(s);
}

static int
open_file(const struct slots *s, const char *name)
{
	return openat(s->dir, name,
		      O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
		      0600);
}

static int
open_slot(const struct slots *s, int number)
{
	CLEANUP(mem_freep) char *name = mem_printf("%s-%d", s->name, number);

	return open_file(s, name);
}

/* Text of one length: what was there before is written over, all of it.  Only
 * for people: not being able to say it changes nothing. */
static void
say(int fd, const char *text)
{
	char line[WHO_SIZE];

	snprintf(line, sizeof(line), "%-*s\n", 60, text);
	if (pwrite(fd, line, strlen(line), 0) < 0)
		return;
}

static void
hear(int fd, char *text, size_t size)
{
	ssize_t got = pread(fd, text, size - 1, 0);
	size_t len;

	text[got > 0 ? got : 0] = '\0';
	len = strcspn(text, "\n");
	while (len > 0 && text[len - 1] == ' ')
		len--;
	text[len] = '\0';
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ')
			*c = '?';
}

/* Whose turn it is. */

static bool
open_turn(struct slots *s)
{
	CLEANUP(mem_freep) char *name = mem_printf("%s.turn", s->name);

	if (s->turn < 0)
		s->turn = open_file(s, name);
	return s->turn >= 0;
}

static void
want_turn(struct slots *s)
{
	CLEANUP(mem_freep) char *text = NULL;

	if (s->is_ours || !open_turn(s) ||
	    flock(s->turn, LOCK_EX | LOCK_NB) < 0)
		return;
	s->is_ours = true;
	text = mem_printf("%d slots: %s", s->limit, s->who);
	say(s->turn, text);
}

void
slots_pass_turn(struct slots *s)
{
	if (s->is_ours)
		flock(s->turn, LOCK_UN);
	s->is_ours = false;
}

/* Slots below this are left to somebody who waits for one of them. */
static int
first_allowed(struct slots *s)
{
	char text[WHO_SIZE];
	int64_t now;
	int left;

	if (s->is_ours || !open_turn(s) ||
	    flock(s->turn, LOCK_SH | LOCK_NB) == 0) {
		if (!s->is_ours && s->turn >= 0)
			flock(s->turn, LOCK_UN);
		s->patient_since = 0;
		return 0;
	}
	now = clock_mono_ms();
	if (!s->patient_since)
		s->patient_since = now;
	if (now - s->patient_since > PATIENCE_MS)
		return 0;
	hear(s->turn, text, sizeof(text));
	left = (int)strtol(text, NULL, 10);
	return left < 0 ? 0 : left > s->limit ? s->limit : left;
}

/* Slots. */

enum slots_answer
slots_take(struct slots *s, int *ret, struct err *err)
{
	for (int i = first_allowed(s); i < s->limit; i++) {
		int fd;

		if (s->fds[i] >= 0)
			continue;
		fd = open_slot(s, i);
		if (fd < 0) {
			err_sys(err, "cannot open slot '%s-%d'", s->name, i);
			return SLOTS_BROKEN;
		}
		if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
			say(fd, s->who);
			s->fds[i] = fd;
			s->patient_since = 0;
			slots_pass_turn(s);
			*ret = i;
			return SLOTS_TAKEN;
		}
		if (errno != EWOULDBLOCK) {
			err_sys(err, "cannot lock slot '%s-%d'", s->name, i);
			close(fd);
			return SLOTS_BROKEN;
		}
		close(fd);
	}
	want_turn(s);
	return SLOTS_HELD;
}

int
slots_fd(const struct slots *s, int slot)
{
	return s->fds[slot];
}

void
slots_give(struct slots *s, int slot, bool all)
{
	if (all)
		flock(s->fds[slot], LOCK_UN);
	mem_closep(&s->fds[slot]);
	s->fds[slot] = -1;
}

void
slots_holder(const struct slots *s, char *text, size_t size)
{
	snprintf(text, size, "nobody, but it is another run's turn");
	for (int i = 0; i < s->limit; i++) {
		CLEANUP(mem_closep) int fd = -1;

		if (s->fds[i] >= 0)
			continue;
		fd = open_slot(s, i);
		if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) == 0)
			continue;
		hear(fd, text, size);
		return;
	}
}
