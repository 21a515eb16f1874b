/* SPDX-License-Identifier: Apache-2.0 */
/* Finding, locking and releasing state directories. */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "history_json.h"
#include "io/stray.h"

#define WHO_SIZE 256
#define LOCK_DEADLINE_MS 10000
#define WRITERS_DEADLINE_MS 30000
#define KILL_DEADLINE_MS 10000
#define SEARCH_MS 1000
/* Longer journals are compacted where that makes them this many times
 * shorter: so what compacting costs is little against what was written. */
#define COMPACT_FROM ((size_t)1024 * 1024)
#define COMPACT_TIMES 4

/* Where it is to be, made or not; NULL: nobody says. */
static char *
name_root(const char *option, struct err *err)
{
	const char *env = getenv("PALLETJACK_STATE");
	const char *xdg = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");
	CLEANUP(mem_freep) char *given = NULL;

	if (option)
		given = mem_strdup(option);
	else if (env && *env)
		given = mem_strdup(env);
	else if (geteuid() == 0)
		given = mem_strdup("/var/lib/palletjack");
	else if (xdg && *xdg)
		given = fs_path(xdg, "palletjack");
	else if (home && *home)
		given = fs_path(home, ".local/state/palletjack");
	else {
		err_set(
		    err, ERR_USER,
		    "no state directory: HOME is not set; give --state DIR");
		return NULL;
	}
	if (given[0] != '/') {
		CLEANUP(mem_freep) char *cwd = getcwd(NULL, 0);

		return fs_path(cwd ? cwd : ".", given);
	}
	return steal(&given);
}

/* A claim, a log and a lock are told by a vm's own directory.  Below that
 * nothing was ever begun. */
static int
check_no_vm(const char *root, struct err *err)
{
	CLEANUP(mem_freep) char *journal = fs_path(root, "journal");
	CLEANUP(mem_freep) char *uuid = fs_path(root, "uuid");

	if (!fs_exists(journal) || !fs_exists(uuid))
		return 0;
	return err_set(err, ERR_USER,
		       "'%s' is the state of one vm: --state wants the "
		       "directory that has it as NAMESPACE/PLAN/VM, three "
		       "levels above",
		       root);
}

char *
state_root(const char *option, struct err *err)
{
	CLEANUP(mem_freep) char *root = name_root(option, err);
	struct stat st;

	if (!root)
		return NULL;
	if (stat(root, &st) < 0) {
		if (errno == ENOENT) /* no run has made it yet */
			return steal(&root);
		err_sys(err, "cannot use the state directory '%s'", root);
		return NULL;
	}
	if (!S_ISDIR(st.st_mode)) {
		err_set(err, ERR_USER,
			"the state directory '%s' is not a directory; give "
			"another with --state DIR",
			root);
		return NULL;
	}
	return check_no_vm(root, err) < 0 ? NULL : steal(&root);
}

char *
state_encode(const char *name)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz0123456789_-.";
	struct buf out = {0};

	for (const char *c = name; *c; c++)
		if (strchr(plain, *c) && !(c == name && *c == '.'))
			buf_add(&out, c, 1);
		else
			buf_printf(&out, "%%%02X", (unsigned char)*c);
	return buf_steal(&out);
}

char *
state_decode(const char *encoded)
{
	CLEANUP(mem_freep) char *name = mem_strdup(encoded), *again = NULL;
	char *to = name;
	unsigned byte;

	for (const char *c = encoded; *c; c++)
		if (*c == '%' && c[1] && c[2] &&
		    sscanf(c + 1, "%2X", &byte) == 1 && byte) {
			*to++ = (char)byte;
			c += 2;
		} else
			*to++ = *c;
	*to = '\0';
	again = state_encode(name);
	return strcmp(again, encoded) == 0 ? steal(&name) : NULL;
}

char *
state_plan_dir(const char *root, const struct plan *plan)
{
	CLEANUP(mem_freep) char *namespace = state_encode(plan->o.namespace);
	CLEANUP(mem_freep) char *name = state_encode(plan->o.name);

	return mem_printf("%s/%s/%s", root, namespace, name);
}

char *
state_vm_dir(const char *root, const struct plan *plan,
	     const struct plan_vm *pvm)
{
	CLEANUP(mem_freep) char *dir = state_plan_dir(root, plan);
	CLEANUP(mem_freep) char *vm = state_encode(pvm->key);

	return fs_path(dir, vm);
}

static struct vm_state *
state_new(const char *dir)
{
	struct vm_state *s = mem_new(sizeof(*s));

	s->dir = mem_strdup(dir);
	s->lock = s->writers = -1;
	s->history = history_new();
	return s;
}

void
state_release(struct vm_state *s)
{
	if (!s)
		return;
	journal_close(s->journal);
	history_free(s->history);
	mem_closep(&s->writers);
	mem_closep(&s->lock);
	free(s->uuid);
	free(s->dir);
	free(s);
}

int
state_peek(const char *dir, struct vm_state **ret, struct err *err)
{
	struct vm_state *s = state_new(dir);
	CLEANUP(mem_freep) char *path = fs_path(dir, "journal");

	if (journal_read(path, history_visit, s->history, NULL, err) < 0) {
		state_release(s);
		return -1;
	}
	s->uuid = mem_strdup(s->history->uuid ? s->history->uuid : "");
	*ret = s;
	return 0;
}

static bool
is_network_fs(const char *dir)
{
	struct statfs fs;

	if (statfs(dir, &fs) < 0)
		return false;
	switch ((unsigned long)fs.f_type) {
	case NFS_SUPER_MAGIC:
	case SMB_SUPER_MAGIC:
	case 0xFF534D42UL: /* CIFS */
	case 0xFE534D42UL: /* SMB2 */
	case CODA_SUPER_MAGIC:
	case AFS_SUPER_MAGIC:
		return true;
	default:
		return false;
	}
}

/* On a network file system: would another process be kept out?  A lock that
 * is not a lock is worse than none. */
static int
probe_lock(const char *path, const char *dir, struct err *err)
{
	int status = 0;
	pid_t pid;

	if (!is_network_fs(dir))
		return 0;
	pid = fork();
	if (pid == 0) {
		int fd = open(path, O_RDWR | O_CLOEXEC);

		_exit(fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 ? 0 : 1);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return err_sys(err, "cannot probe locks in '%s'", dir);
	if (status == 0)
		return 0;
	return err_set(err, ERR_FAIL,
		       "'%s' is on a network file system whose locks do not "
		       "lock; give --state a local directory",
		       dir);
}

static void
read_who(int fd, char who[WHO_SIZE])
{
	ssize_t got = pread(fd, who, WHO_SIZE - 1, 0);

	who[got > 0 ? got : 0] = '\0';
	who[strcspn(who, "\n")] = '\0';
}

static int
refuse_held(int fd, const char *path, struct err *err)
{
	char who[WHO_SIZE];

	read_who(fd, who);
	return err_set(err, ERR_HELD, "another run has it: %s ('%s')",
		       who[0] ? who : "it has not said who it is", path);
}

static void
say_who(int fd)
{
	char host[128] = "?", time[CLOCK_TEXT_SIZE];
	CLEANUP(mem_freep) char *who = NULL;
	struct err ignored;

	gethostname(host, sizeof(host) - 1);
	who = mem_printf("process %d on %s since %s\n", (int)getpid(), host,
			 clock_format(clock_wall_ms(), time));
	/* only for people: not being able to say it changes nothing */
	if (ftruncate(fd, 0) == 0)
		(void)fs_pwrite(fd, who, strlen(who), 0, &ignored);
}

/* A run that was killed while it forked leaves a child that holds the lock
 * until it comes to look for its parent. */
static bool
is_owner_dead(int fd)
{
	char who[WHO_SIZE], ours[128] = "?", theirs[128];
	int pid;

	read_who(fd, who);
	gethostname(ours, sizeof(ours) - 1);
	return sscanf(who, "process %d on %127s since", &pid, theirs) == 2 &&
	       strcmp(ours, theirs) == 0 && kill(pid, 0) < 0 && errno == ESRCH;
}

bool
state_is_owned(const struct vm_state *s)
{
	CLEANUP(mem_freep) char *path = fs_path(s->dir, "lock");
	CLEANUP(mem_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char who[WHO_SIZE], ours[128] = "?", theirs[128];
	int pid;

	if (fd < 0)
		return false;
	read_who(fd, who);
	gethostname(ours, sizeof(ours) - 1);
	if (sscanf(who, "process %d on %127s since", &pid, theirs) != 2)
		return false;
	if (strcmp(ours, theirs) != 0)
		return s->history->run_begun && !s->history->run_ended;
	return kill(pid, 0) == 0 || errno == EPERM;
}

static int
wait_for_lock(int fd)
{
	int64_t until = clock_mono_ms() + LOCK_DEADLINE_MS;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return -1;
		if (!is_owner_dead(fd) || clock_mono_ms() > until) {
			errno = EWOULDBLOCK;
			return -1;
		}
		poll(NULL, 0, 10);
	}
	return 0;
}

/* A vm takes three open files, and three more after the last vm was taken: its
 * log, a slot, the lock at its target. */
static int
check_files(int fd, struct err *err)
{
	unsigned long limit;

	if (!fs_files_scarce(fd, fd, &limit))
		return 0;
	return err_set(err, ERR_RETRY,
		       "this run holds as many vms as its limit of %lu open "
		       "files allows; the next one goes on with the others, "
		       "or raise the limit ('ulimit -n', LimitNOFILE=)",
		       limit);
}

static int
take_lock(struct vm_state *s, struct err *err)
{
	CLEANUP(mem_freep) char *path = fs_path(s->dir, "lock");

	s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lock < 0)
		return err_sys(err, "cannot open lock '%s'", path);
	if (check_files(s->lock, err) < 0)
		return -1;
	if (wait_for_lock(s->lock) < 0) {
		if (errno == EWOULDBLOCK)
			return refuse_held(s->lock, path, err);
		return err_sys(err, "cannot lock '%s'", path);
	}
	say_who(s->lock);
	return probe_lock(path, s->dir, err);
}

static int
end_leftovers(struct vm_state *s, struct err *err)
{
	for (size_t i = 0; i < s->history->nwriters; i++)
		if (process_kill_group(&s->history->writers[i].id,
				       KILL_DEADLINE_MS, err) < 0)
			return -1;
	return 0;
}

static int
take_writers_lock(struct vm_state *s, struct err *err)
{
	CLEANUP(mem_freep) char *path = fs_path(s->dir, "writers.lock");
	int64_t until = clock_mono_ms() + WRITERS_DEADLINE_MS, next = 0;

	s->writers = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->writers < 0)
		return err_sys(err, "cannot open lock '%s'", path);
	while (flock(s->writers, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return err_sys(err, "cannot lock '%s'", path);
		if (clock_mono_ms() > until)
			return err_set(
			    err, ERR_HELD,
			    "a helper of an earlier run still lives and may "
			    "write; find it with 'fuser -v %s'",
			    path);
		/* those that left all groups on record; who only looks at the
		 * file is left alone */
		if (clock_mono_ms() >= next) {
			stray_kill_holders(s->writers);
			next = clock_mono_ms() + SEARCH_MS;
		}
		poll(NULL, 0, 20);
	}
	return 0;
}

static char *
make_uuid(void)
{
	char text[64] = "";
	FILE *f = fopen("/proc/sys/kernel/random/uuid", "re");

	if (f && !fgets(text, sizeof(text), f))
		text[0] = '\0';
	if (f)
		fclose(f);
	text[strcspn(text, "\n")] = '\0';
	return mem_strdup(text);
}

static int
load_uuid(struct vm_state *s, struct err *err)
{
	CLEANUP(mem_freep) char *path = fs_path(s->dir, "uuid");
	CLEANUP(buf_done) struct buf text = {0};

	if (s->history->uuid) {
		s->uuid = mem_strdup(s->history->uuid);
		return 0;
	}
	if (fs_read(path, 1024, true, &text, err) < 0)
		return -1;
	if (text.len >= 36) {
		s->uuid = mem_strndup(text.data, 36);
		return 0;
	}
	s->uuid = make_uuid();
	if (!s->uuid[0])
		return err_set(err, ERR_FAIL,
			       "the kernel gives no random uuid");
	return fs_write(path, s->uuid, strlen(s->uuid), 0600, err);
}

static json_t *
open_record(const char *uuid, const char *plan)
{
	return json_pack("{s:i, s:s, s:s}", "version", JOURNAL_VERSION, "uuid",
			 uuid, "plan", plan);
}

static int
begin_journal(struct vm_state *s, const struct plan *plan, struct err *err)
{
	CLEANUP(mem_freep)
	char *name = mem_printf("%s/%s", plan->o.namespace, plan->o.name);

	if (s->history->version)
		return 0;
	journal_add(s->journal, "open", open_record(s->uuid, name));
	return journal_sync(s->journal, err);
}

/* Its records amount to this. */
static int
compact(struct vm_state *s, struct err *err)
{
	json_t *state = history_to_json(s->history);
	size_t size = json_dumpb(state, NULL, 0, JSON_COMPACT);

	if (journal_size(s->journal) / COMPACT_TIMES < size) {
		json_decref(state);
		return 0;
	}
	return journal_compact(
	    s->journal, open_record(s->uuid, s->history->plan), state, err);
}

void
state_tidy(struct vm_state *s)
{
	size_t size = journal_size(s->journal);
	struct err err;

	if (size < COMPACT_FROM || size < s->tidy_from)
		return;
	/* it may be full of what is needed, or the disk be full: not again
	 * before it is twice as long */
	s->tidy_from = size * 2;
	if (compact(s, &err) < 0)
		log_line(LOG_LEVEL_WARNING, s->dir,
			 "its journal stays as long as it is: %s", err.text);
	else if (journal_size(s->journal) < size)
		s->tidy_from = 0;
}

static int
make_dirs(const char *dir, struct err *err)
{
	CLEANUP(mem_freep) char *ledger = fs_path(dir, "ledger");
	CLEANUP(mem_freep) char *log = fs_path(dir, "log");

	if (fs_mkdirs(ledger, 0700, err) < 0 || fs_mkdirs(log, 0700, err) < 0)
		return -1;
	return 0;
}

int
state_take(const char *dir, const struct plan *plan, struct vm_state **ret,
	   struct err *err)
{
	struct vm_state *s = state_new(dir);
	CLEANUP(mem_freep) char *journal = fs_path(dir, "journal");

	if (make_dirs(dir, err) < 0 || take_lock(s, err) < 0 ||
	    journal_open(journal, history_visit, s->history, &s->journal, err) <
		0 ||
	    end_leftovers(s, err) < 0 || take_writers_lock(s, err) < 0 ||
	    load_uuid(s, err) < 0 || begin_journal(s, plan, err) < 0) {
		state_release(s);
		return -1;
	}
	state_tidy(s);
	*ret = s;
	return 0;
}
