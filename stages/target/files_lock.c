/* SPDX-License-Identifier: Apache-2.0 */
/* Who works on a vm, and taking it over from a state that is given up.
 *
 * Whoever works holds the lock beside the claim, alone, from its first step to
 * its end.  A run's steps and every helper that may write have the very open
 * file that the first step opened: the lock stands until the last of them is
 * gone, and no other run gets it, not even one that goes by a copy of the same
 * state directory.  Who takes over holds it alone, too.  A lock is taken first
 * and the claim read after, on both sides. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "stages/target/files.h"

#define WHO_SIZE 256
/* What an earlier run left may still be about to end. */
#define HOLD_DEADLINE_MS 5000

/* Is the name still that of the file? gc removes it with all the rest. */
static bool
is_still(int fd, const char *path)
{
	struct stat open_one, named;

	return fstat(fd, &open_one) == 0 && stat(path, &named) == 0 &&
	       open_one.st_ino == named.st_ino &&
	       open_one.st_dev == named.st_dev;
}

/* The run, whose step this is. */
static void
say_who(int fd)
{
	char host[128] = "?", now[CLOCK_TEXT_SIZE];
	CLEANUP(mem_freep) char *who = NULL;
	struct err ignored;

	gethostname(host, sizeof(host) - 1);
	who = mem_printf("process %d on %s since %s\n", (int)getppid(), host,
			 clock_format(clock_wall_ms(), now));
	/* only for people: not being able to say it changes nothing */
	if (ftruncate(fd, 0) == 0)
		(void)fs_pwrite(fd, who, strlen(who), 0, &ignored);
}

static char *
read_who(int fd)
{
	char who[WHO_SIZE];
	ssize_t got = pread(fd, who, sizeof(who) - 1, 0);

	who[got > 0 ? got : 0] = '\0';
	who[strcspn(who, "\n")] = '\0';
	return mem_strdup(who[0] ? who : "somebody who does not say who");
}

static int
open_lock(const char *dir, int *ret, struct err *err)
{
	CLEANUP(mem_freep) char *path = fs_path(dir, FILES_HELD);

	*ret = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	return *ret < 0 ? err_sys(err, "cannot open lock '%s'", path) : 0;
}

/* Waits a little for one who takes over, then the claim says who, and for one
 * who ends. */
static int
lock_patiently(int fd, const char *dir, struct err *err)
{
	int64_t until = clock_mono_ms() + HOLD_DEADLINE_MS;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return err_sys(err, "cannot lock '%s/%s'", dir,
				       FILES_HELD);
		if (clock_mono_ms() > until) {
			CLEANUP(mem_freep) char *who = read_who(fd);

			return err_set(err, ERR_HELD,
				       "'%s' is being worked on by %s, or by "
				       "what that left: it may go by a copy of "
				       "this state directory; nothing is "
				       "written there before it has ended",
				       dir, who);
		}
		poll(NULL, 0, 10);
	}
	return 0;
}

int
files_hold(const struct target_vm *t, int held, int *ret_fd, struct err *err)
{
	CLEANUP(mem_freep) char *home = files_home(t);
	CLEANUP(mem_freep) char *path = fs_path(home, FILES_HELD);
	CLEANUP(mem_closep) int fd = -1;
	struct err ignored;

	*ret_fd = -1;
	if (files_claimed(t, home, &ignored) != 1 ||
	    (held > 0 && is_still(held, path)))
		return 0;
	if (open_lock(home, &fd, err) < 0 || lock_patiently(fd, home, err) < 0)
		return -1;
	/* whose it became meanwhile is for the guard to say */
	if (!is_still(fd, path) || files_claimed(t, home, &ignored) != 1)
		return 0;
	say_who(fd);
	*ret_fd = fd;
	fd = -1;
	return 0;
}

char *
files_holder(const char *dir)
{
	CLEANUP(mem_freep) char *path = fs_path(dir, FILES_HELD);
	CLEANUP(mem_closep) int fd = open(path, O_RDWR | O_CLOEXEC);

	/* shared: two may look at once */
	if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK)
		return NULL;
	return read_who(fd);
}

static int
lock_alone(const char *dir, int *ret, struct err *err)
{
	CLEANUP(mem_freep) char *path = fs_path(dir, FILES_HELD);
	CLEANUP(mem_closep) int fd = -1;

	if (open_lock(dir, &fd, err) < 0)
		return -1;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		CLEANUP(mem_freep) char *who = read_who(fd);

		return err_set(err, ERR_HELD,
			       "'%s' is being worked on by %s: it is not taken "
			       "over before that has ended",
			       dir, who);
	}
	if (!is_still(fd, path))
		return err_set(err, ERR_RETRY, "'%s' is being removed", dir);
	*ret = fd;
	fd = -1;
	return 0;
}

/* What another state made there is worth nothing to us: its ledger is not
 * ours.  A volume without an id is made anew. */
static int
forget_contents(const struct target_vm *t, const char *dir, struct err *err)
{
	CLEANUP(mem_freep) char *domain = fs_path(dir, FILES_DOMAIN);
	CLEANUP(mem_freep) char *nvram = fs_path(dir, FILES_NVRAM);

	if (files_of(t)->withdraw(t, err) < 0 || fs_remove(domain, err) < 0 ||
	    fs_remove(nvram, err) < 0)
		return -1;
	for (size_t i = 0; i < t->shape->ndisks; i++) {
		CLEANUP(mem_freep) char *id = files_volume_id(t, i);
		CLEANUP(mem_freep) char *of = fs_dirname(id);

		if (strcmp(of, dir) == 0 && fs_remove(id, err) < 0)
			return -1;
	}
	return 0;
}

/* The claim goes last: until then it is the other's, who finds no volume it
 * knows and copies anew. */
int
files_take_over(const struct target_vm *t, const char *dir, const char *text,
		struct err *err)
{
	CLEANUP(mem_freep) char *path = fs_path(dir, FILES_CLAIM);
	enum handover mark = HANDOVER_NONE;
	CLEANUP(mem_closep) int lock = -1;
	int claimed;

	if (lock_alone(dir, &lock, err) < 0)
		return -1;
	claimed = files_claimed(t, dir, err);
	if (claimed != FILES_TAKEABLE)
		return claimed == 1 ? 0
		       : claimed < 0
			   ? -1
			   : err_set(err, ERR_RETRY,
				     "the claim in '%s' is gone", dir);
	if (files_marked(t, &mark, err) < 0)
		return -1;
	if (mark != HANDOVER_NONE)
		return files_guard(t, err);
	if (files_must_be_off(t, err) < 0 || forget_contents(t, dir, err) < 0)
		return -1;
	/* written aside and renamed, all of it synced */
	return fs_write(path, text, strlen(text), 0644, err);
}
