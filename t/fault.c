/* SPDX-License-Identifier: Apache-2.0 */
/* A library to preload: kills the process at an operation on files, or has
 * the operation fail.
 *
 *   FAULT_OPS   which operations count, several separated by blanks: write
 *               (the default; pwrite is one), fsync (fdatasync is one),
 *               rename, link, ftruncate, unlink (unlinkat and rmdir are
 *               one), open (for writing), send (of a child to its run), fork,
 *               fallocate, sync_file_range, read (pread), clone (of a range
 *               into the file), and of what is asked of an NBD server
 *               nbd-read, nbd-write, nbd-zero, nbd-flush
 *   FAULT_PROGRAM  only in programs of that name, not in their helpers
 *   FAULT_FILE  only on files of that name, or only
 *   FAULT_DIR   on what is in that directory or below it
 *   FAULT_AT    the Nth of them, counted over all processes of a run; with
 *   FAULT_LASTS and every one after it
 *   FAULT_MATCH the first write that holds that text
 *   FAULT_WHEN  before: killed, and nothing of it was done; torn: half of the
 *               write was; after: all of it, but nobody hears of it; stop:
 *               stopped (SIGSTOP) before it; hang: it never ends, and its
 *               thread with it; or the name of an error it fails
 *               with: EIO, ENOSPC, EAGAIN, EROFS, EOPNOTSUPP
 *   FAULT_LOG   a file that gets a line for each operation that counts, with
 *               its file, or length and place if it is an NBD request, or
 *               all three if it is a read or a clone
 *   FAULT_CLOCK seconds to add to the wall clock */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libnbd.h>
#include <limits.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum outcome {
	OUTCOME_PASS,
	OUTCOME_BEFORE,
	OUTCOME_TORN,
	OUTCOME_AFTER,
	OUTCOME_STOP,
	OUTCOME_HANG,
	OUTCOME_FAIL
};

static int *counter; /* shared by the run and its children */
static pid_t first;

/* The libc's own function of that name. */
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static __attribute__((constructor)) void
begin(void)
{
	first = getpid();
	counter = mmap(NULL, sizeof(*counter), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counter == MAP_FAILED)
		abort();
}

static bool
is_one_of(const char *words, const char *op)
{
	size_t len = strlen(op);

	for (const char *at = words; (at = strstr(at, op)); at += len)
		if ((at == words || at[-1] == ' ') &&
		    (at[len] == ' ' || at[len] == '\0'))
			return true;
	return false;
}

static bool
is_the_file(const char *path)
{
	const char *file = getenv("FAULT_FILE"), *dir = getenv("FAULT_DIR");
	const char *slash = strrchr(path, '/');

	if (file)
		return strcmp(slash ? slash + 1 : path, file) == 0;
	return dir && strncmp(path, dir, strlen(dir)) == 0;
}

static bool
is_the_program(void)
{
	const char *name = getenv("FAULT_PROGRAM");

	return !name || strcmp(program_invocation_short_name, name) == 0;
}

static void
note(const char *op, const char *path)
{
	const char *name = getenv("FAULT_LOG");
	char line[PATH_MAX + 96];
	int fd, len;

	if (!name)
		return;
	len = snprintf(line, sizeof(line), "%s %s\n", op, path);
	fd = REAL(open)(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || REAL(write)(fd, line, (size_t)len) != len)
		abort();
	close(fd);
}

static enum outcome
outcome_of(const char *when)
{
	static const struct {
		const char *name;
		enum outcome outcome;
		int sys;
	} known[] = {
	    {"before", OUTCOME_BEFORE, 0},
	    {"torn", OUTCOME_TORN, 0},
	    {"after", OUTCOME_AFTER, 0},
	    {"EIO", OUTCOME_FAIL, EIO},
	    {"ENOSPC", OUTCOME_FAIL, ENOSPC},
	    {"EAGAIN", OUTCOME_FAIL, EAGAIN},
	    {"EOPNOTSUPP", OUTCOME_FAIL, EOPNOTSUPP},
	    {"EROFS", OUTCOME_FAIL, EROFS},
	    {"stop", OUTCOME_STOP, 0},
	    {"hang", OUTCOME_HANG, 0},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(when, known[i].name) == 0) {
			errno = known[i].sys;
			return known[i].outcome;
		}
	abort();
}

/* One more operation that counts, and its turn may have come; errno is set for
 * a failure. */
static enum outcome
judge_next(const char *op, const char *what)
{
	const char *when = getenv("FAULT_WHEN"), *at = getenv("FAULT_AT");
	int number, wanted;

	note(op, what);
	number = __atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST);
	wanted = at ? (int)strtol(at, NULL, 10) : 1;
	if (!when || number < wanted ||
	    (number > wanted && !getenv("FAULT_LASTS")))
		return OUTCOME_PASS;
	return outcome_of(when);
}

static bool
is_counted(const char *op)
{
	const char *ops = getenv("FAULT_OPS");

	return is_one_of(ops ? ops : "write", op) && is_the_program();
}

/* What is to become of this operation. */
static enum outcome
judge(const char *op, const char *path, const void *data, size_t len)
{
	const char *match = getenv("FAULT_MATCH");

	if (!is_counted(op) || (path && !is_the_file(path)))
		return OUTCOME_PASS;
	if (match && (!data || !memmem(data, len, match, strlen(match))))
		return OUTCOME_PASS;
	return judge_next(op, path ? path : "-");
}

static enum outcome
judge_request(const char *op, uint64_t len, uint64_t at)
{
	char text[64];

	if (!is_counted(op))
		return OUTCOME_PASS;
	snprintf(text, sizeof(text), "%llu %llu", (unsigned long long)len,
		 (unsigned long long)at);
	return judge_next(op, text);
}

static enum outcome
judge_fd(const char *op, int fd, const void *data, size_t len)
{
	char link[64], path[PATH_MAX];
	ssize_t got;

	if (!getenv("FAULT_FILE") && !getenv("FAULT_DIR"))
		return OUTCOME_PASS;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	got = readlink(link, path, sizeof(path) - 1);
	if (got < 0)
		return OUTCOME_PASS;
	path[got] = '\0';
	return judge(op, path, data, len);
}

/* What has a length and a place in its file. */
static enum outcome
judge_range(const char *op, int fd, size_t len, off_t at)
{
	char link[64], path[PATH_MAX], text[PATH_MAX + 64];
	ssize_t got;

	if (!is_counted(op))
		return OUTCOME_PASS;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	got = readlink(link, path, sizeof(path) - 1);
	if (got < 0)
		return OUTCOME_PASS;
	path[got] = '\0';
	snprintf(text, sizeof(text), "%zu %lld %s", len, (long long)at, path);
	return is_the_file(path) ? judge_next(op, text) : OUTCOME_PASS;
}

static void
die(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

/* Is it carried out at all?  errno says why not. */
static bool
goes_on(enum outcome fate)
{
	if (fate == OUTCOME_BEFORE)
		die();
	if (fate == OUTCOME_STOP)
		raise(SIGSTOP);
	while (fate == OUTCOME_HANG)
		pause();
	return fate != OUTCOME_FAIL;
}

static void
comes_back(enum outcome fate)
{
	if (fate != OUTCOME_PASS && fate != OUTCOME_STOP)
		die();
}

static size_t
part_of(size_t len, enum outcome fate)
{
	return fate == OUTCOME_TORN ? len / 2 : len;
}

ssize_t
write(int fd, const void *data, size_t len)
{
	enum outcome fate = judge_fd("write", fd, data, len);
	ssize_t rc = -1;

	if (goes_on(fate)) {
		rc = REAL(write)(fd, data, part_of(len, fate));
		comes_back(fate);
	}
	return rc;
}

ssize_t
pwrite(int fd, const void *data, size_t len, off_t at)
{
	enum outcome fate = judge_fd("write", fd, data, len);
	ssize_t rc = -1;

	if (goes_on(fate)) {
		rc = REAL(pwrite)(fd, data, part_of(len, fate), at);
		comes_back(fate);
	}
	return rc;
}

ssize_t
pread(int fd, void *data, size_t len, off_t at)
{
	enum outcome fate = judge_range("read", fd, len, at);
	ssize_t rc = -1;

	if (goes_on(fate)) {
		rc = REAL(pread)(fd, data, part_of(len, fate), at);
		comes_back(fate);
	}
	return rc;
}

ssize_t
send(int socket, const void *data, size_t len, int flags)
{
	enum outcome fate = OUTCOME_PASS;
	ssize_t rc = -1;

	if (getpid() != first)
		fate = judge("send", NULL, data, len);
	if (goes_on(fate)) {
		rc = REAL(send)(socket, data, len, flags);
		comes_back(fate);
	}
	return rc;
}

int
fsync(int fd)
{
	enum outcome fate = judge_fd("fsync", fd, NULL, 0);
	int rc = -1;

	if (goes_on(fate)) {
		rc = REAL(fsync)(fd);
		comes_back(fate);
	}
	return rc;
}

int
fdatasync(int fd)
{
	enum outcome fate = judge_fd("fsync", fd, NULL, 0);
	int rc = -1;

	if (goes_on(fate)) {
		rc = REAL(fdatasync)(fd);
		comes_back(fate);
	}
	return rc;
}

int
sync_file_range(int fd, off_t at, off_t len, unsigned flags)
{
	enum outcome fate = judge_fd("sync_file_range", fd, NULL, 0);
	int rc = -1;

	if (goes_on(fate)) {
		rc = REAL(sync_file_range)(fd, at, len, flags);
		comes_back(fate);
	}
	return rc;
}

int
ftruncate(int fd, off_t len)
{
	enum outcome fate = judge_fd("ftruncate", fd, NULL, 0);
	int rc = -1;

	if (goes_on(fate)) {
		rc = REAL(ftruncate)(fd, len);
		comes_back(fate);
	}
	return rc;
}

int
rename(const char *from, const char *to)
{
	enum outcome fate = judge("rename", to, NULL, 0);
	int rc = -1;

	if (goes_on(fate)) {
		rc = REAL(rename)(from, to);
		comes_back(fate);
	}
	return rc;
}

int
renameat2(int from_dir, const char *from, int to_dir, const char *to,
	  unsigned flags)
{
	enum outcome fate = judge("rename", to, NULL, 0);
	int rc = -1;

	if (goes_on(fate)) {
		rc = REAL(renameat2)(from_dir, from, to_dir, to, flags);
		comes_back(fate);
	}
	return rc;
}

int
unlink(const char *path)
{
	enum outcome fate = judge("unlink", path, NULL, 0);
	int rc = -1;

	if (goes_on(fate)) {
		rc = REAL(unlink)(path);
		comes_back(fate);
	}
	return rc;
}

int
rmdir(const char *path)
{
	enum outcome fate = judge("unlink", path, NULL, 0);
	int rc = -1;

	if (goes_on(fate)) {
		rc = REAL(rmdir)(path);
		comes_back(fate);
	}
	return rc;
}

int
unlinkat(int dir, const char *path, int flags)
{
	char link[64], full[PATH_MAX + NAME_MAX + 2];
	enum outcome fate;
	ssize_t got = 0;
	int rc = -1;

	if (*path != '/' && dir != AT_FDCWD) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
		got = readlink(link, full, PATH_MAX);
	}
	snprintf(full + (got > 0 ? got : 0), NAME_MAX + 2, "%s%s",
		 got > 0 ? "/" : "", path);
	fate = judge("unlink", got > 0 ? full : path, NULL, 0);
	if (goes_on(fate)) {
		rc = REAL(unlinkat)(dir, path, flags);
		comes_back(fate);
	}
	return rc;
}

int
link(const char *from, const char *to)
{
	enum outcome fate = judge("link", to, NULL, 0);
	int rc = -1;

	if (goes_on(fate)) {
		rc = REAL(link)(from, to);
		comes_back(fate);
	}
	return rc;
}

int
open(const char *path, int flags, ...)
{
	enum outcome fate = OUTCOME_PASS;
	mode_t mode = 0;
	va_list ap;
	int rc = -1;

	va_start(ap, flags);
	if (flags & O_CREAT)
		mode = va_arg(ap, mode_t);
	va_end(ap);
	if ((flags & O_ACCMODE) != O_RDONLY)
		fate = judge("open", path, NULL, 0);
	if (goes_on(fate)) {
		rc = REAL(open)(path, flags, mode);
		comes_back(fate);
	}
	return rc;
}

int
fallocate(int fd, int mode, off_t at, off_t len)
{
	enum outcome fate = judge_fd("fallocate", fd, NULL, 0);
	int rc = -1;

	if (goes_on(fate)) {
		rc = REAL(fallocate)(fd, mode, at, len);
		comes_back(fate);
	}
	return rc;
}

int
ioctl(int fd, unsigned long request, ...)
{
	enum outcome fate = OUTCOME_PASS;
	struct file_clone_range range;
	va_list ap;
	void *arg;
	int rc = -1;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (request == FICLONERANGE) {
		memcpy(&range, arg, sizeof(range));
		fate = judge_range("clone", fd, range.src_length,
				   (off_t)range.dest_offset);
		if (fate == OUTCOME_TORN) /* whole pages, but for a tail */
			range.src_length = range.src_length / 2 & ~0xfffULL;
		arg = &range;
	}
	if (goes_on(fate)) {
		rc = REAL(ioctl)(fd, request, arg);
		comes_back(fate);
	}
	return rc;
}

int64_t
nbd_aio_pread_structured(struct nbd_handle *h, void *data, size_t len,
			 uint64_t at, nbd_chunk_callback part,
			 nbd_completion_callback done, uint32_t flags)
{
	enum outcome fate = judge_request("nbd-read", len, at);
	int64_t rc = -1;

	if (goes_on(fate)) {
		rc = REAL(nbd_aio_pread_structured)(h, data, len, at, part,
						    done, flags);
		comes_back(fate);
	}
	return rc;
}

int64_t
nbd_aio_pwrite(struct nbd_handle *h, const void *data, size_t len, uint64_t at,
	       nbd_completion_callback done, uint32_t flags)
{
	enum outcome fate = judge_request("nbd-write", len, at);
	int64_t rc = -1;

	if (goes_on(fate)) {
		rc = REAL(nbd_aio_pwrite)(h, data, len, at, done, flags);
		comes_back(fate);
	}
	return rc;
}

int64_t
nbd_aio_zero(struct nbd_handle *h, uint64_t len, uint64_t at,
	     nbd_completion_callback done, uint32_t flags)
{
	enum outcome fate = judge_request("nbd-zero", len, at);
	int64_t rc = -1;

	if (goes_on(fate)) {
		rc = REAL(nbd_aio_zero)(h, len, at, done, flags);
		comes_back(fate);
	}
	return rc;
}

int64_t
nbd_aio_flush(struct nbd_handle *h, nbd_completion_callback done,
	      uint32_t flags)
{
	enum outcome fate = judge_request("nbd-flush", 0, 0);
	int64_t rc = -1;

	if (goes_on(fate)) {
		rc = REAL(nbd_aio_flush)(h, done, flags);
		comes_back(fate);
	}
	return rc;
}

pid_t
fork(void)
{
	enum outcome fate = judge("fork", NULL, NULL, 0);
	pid_t rc = -1;

	if (goes_on(fate)) {
		rc = REAL(fork)();
		comes_back(fate);
	}
	return rc;
}

int
clock_gettime(clockid_t id, struct timespec *ret)
{
	const char *shift = getenv("FAULT_CLOCK");
	int rc = REAL(clock_gettime)(id, ret);

	if (shift && id == CLOCK_REALTIME)
		ret->tv_sec += strtol(shift, NULL, 10);
	return rc;
}
