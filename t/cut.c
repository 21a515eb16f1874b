/* SPDX-License-Identifier: Apache-2.0 */
/* The library that records a run, and takes its power; see cut.h. */
#include "t/cut.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
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
#include <sys/stat.h>
#include <unistd.h>

static struct cut_record *rec;
static const char *dir, *liar;
static size_t dir_len;
static uint64_t off_at, fail_at;

/* The libc's own function of that name. */
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static __attribute__((constructor)) void
begin_recording(void)
{
	const char *path = getenv("CUT_RECORD"), *at = getenv("CUT_AT");
	int fd;

	dir = getenv("CUT_DIR");
	liar = getenv("CUT_LIE");
	if (!path || !dir)
		return;
	dir_len = strlen(dir);
	fail_at = getenv("CUT_FAIL_AT")
		      ? strtoull(getenv("CUT_FAIL_AT"), NULL, 10)
		      : 0;
	off_at = at ? strtoull(at, NULL, 10) : 0;
	fd = REAL(open)(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		abort();
	rec =
	    mmap(NULL, sizeof(*rec), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (rec == MAP_FAILED)
		abort();
	close(fd);
}

static void
die(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

static uint64_t
event(void)
{
	uint64_t now = atomic_fetch_add(&rec->events, 1) + 1;

	if (now == off_at)
		atomic_store(&rec->is_off, 1);
	if (atomic_load(&rec->is_off))
		die();
	return now;
}

static bool
is_inside(const char *path)
{
	return strncmp(path, dir, dir_len) == 0 &&
	       (path[dir_len] == '/' || path[dir_len] == '\0');
}

/* The inode of an open file below the directory; 0: none of those. */
static uint64_t
watched(int fd, char path[PATH_MAX])
{
	char link[64];
	struct stat st;
	ssize_t got;

	if (!rec)
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	got = readlink(link, path, PATH_MAX - 1);
	if (got < 0)
		return 0;
	path[got] = '\0';
	return is_inside(path) && fstat(fd, &st) == 0 ? st.st_ino : 0;
}

/* The inode of the directory that `path` is in, and its name there. */
static uint64_t
parent_of(const char *path, char name[CUT_NAME])
{
	char parent[PATH_MAX], real[PATH_MAX];
	const char *slash = strrchr(path, '/');
	struct stat st;

	if (!rec || strlen(path) >= sizeof(parent))
		return 0;
	snprintf(name, CUT_NAME, "%s", slash ? slash + 1 : path);
	snprintf(parent, sizeof(parent), "%s", path);
	if (!realpath(dirname(parent), real) || !is_inside(real) ||
	    stat(real, &st) < 0)
		return 0;
	return st.st_ino;
}

static uint64_t
inode_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 ? st.st_ino : 0;
}

static struct cut_op *
begin(const struct cut_op *what, const void *data)
{
	static const char full[] = "# cut: the record is full\n";
	uint64_t n = atomic_fetch_add(&rec->nops, 1);
	uint64_t need = data ? what->len : 0;
	uint64_t room = atomic_fetch_add(&rec->used, need);
	struct cut_op *op = &rec->ops[n];

	if (n >= CUT_NOPS || room + need > CUT_ROOM) {
		(void)!REAL(write)(2, full, sizeof(full) - 1);
		abort();
	}
	*op = *what;
	op->data = room;
	if (data)
		memcpy(rec->room + room, data, need);
	op->begun = event();
	return op;
}

/* A name whose change failed is what it was; data may be anything. */
static void
end(struct cut_op *op, bool succeeded)
{
	uint64_t now;

	if (!op)
		return;
	now = event();
	if (succeeded)
		op->ended = now;
	else if (op->kind >= CUT_NAME_IT)
		op->begun = 0;
}

static struct cut_op *
begin_on(int fd, enum cut_kind kind, uint64_t at, uint64_t len,
	 const void *data)
{
	char path[PATH_MAX];
	uint64_t ino = watched(fd, path);
	struct cut_op op = {.kind = kind, .ino = ino, .at = at, .len = len};

	return ino ? begin(&op, data) : NULL;
}

ssize_t
pwrite(int fd, const void *data, size_t len, off_t at)
{
	struct cut_op *op = begin_on(fd, CUT_WRITE, (uint64_t)at, len, data);
	ssize_t rc = REAL(pwrite)(fd, data, len, at);

	end(op, rc == (ssize_t)len);
	return rc;
}

ssize_t
write(int fd, const void *data, size_t len)
{
	struct stat st = {0};
	struct cut_op *op = NULL;
	bool appends = fcntl(fd, F_GETFL) & O_APPEND;
	off_t at = appends ? 0 : lseek(fd, 0, SEEK_CUR);
	ssize_t rc;

	if (rec && at >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		op = begin_on(fd, CUT_WRITE,
			      (uint64_t)(appends ? st.st_size : at), len, data);
	rc = REAL(write)(fd, data, len);
	end(op, rc == (ssize_t)len);
	return rc;
}

int
fallocate(int fd, int mode, off_t at, off_t len)
{
	bool zeroes = mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
	struct cut_op *op =
	    begin_on(fd, zeroes ? CUT_ZERO : CUT_GROW, (uint64_t)at,
		     (uint64_t)(zeroes ? len : at + len), NULL);
	int rc = REAL(fallocate)(fd, mode, at, len);

	end(op, rc == 0);
	return rc;
}

int
posix_fallocate(int fd, off_t at, off_t len)
{
	struct cut_op *op =
	    begin_on(fd, CUT_GROW, 0, (uint64_t)(at + len), NULL);
	int rc = REAL(posix_fallocate)(fd, at, len);

	end(op, rc == 0);
	return rc;
}

int
ftruncate(int fd, off_t len)
{
	struct cut_op *op = begin_on(fd, CUT_SIZE, 0, (uint64_t)len, NULL);
	int rc = REAL(ftruncate)(fd, len);

	end(op, rc == 0);
	return rc;
}

/* What would be shared must be seen here. */
ssize_t
copy_file_range(int from, off_t *in, int to, off_t *out, size_t len,
		unsigned flags)
{
	char path[PATH_MAX];

	if (!watched(to, path))
		return REAL(copy_file_range)(from, in, to, out, len, flags);
	errno = EXDEV;
	return -1;
}

int
ioctl(int fd, unsigned long request, ...)
{
	char path[PATH_MAX];
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (request != FICLONERANGE || !watched(fd, path))
		return REAL(ioctl)(fd, request, arg);
	errno = EOPNOTSUPP;
	return -1;
}

/* The medium is ours: a real sync would only cost time. */
static int
record_sync(int fd, const char *name)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
	char path[PATH_MAX];
	uint64_t ino = watched(fd, path);
	struct cut_op op = {.kind = CUT_SYNC, .ino = ino};

	if (!ino)
		return real(fd);
	if (liar && strcmp(strrchr(path, '/') + 1, liar) == 0)
		return 0;
	op.has_failed = atomic_fetch_add(&rec->nsyncs, 1) + 1 == fail_at;
	end(begin(&op, NULL), true);
	if (!op.has_failed)
		return 0;
	errno = EIO;
	return -1;
}

int
fsync(int fd)
{
	return record_sync(fd, "fsync");
}

int
fdatasync(int fd)
{
	return record_sync(fd, "fdatasync");
}

/* Makes nothing durable, but the power can go here, too. */
int
sync_file_range(int fd, off_t at, off_t len, unsigned flags)
{
	char path[PATH_MAX];

	if (watched(fd, path))
		event();
	return REAL(sync_file_range)(fd, at, len, flags);
}

/* A name is recorded once its file exists; until then nobody has it. */
static void
name_it(const char *path, uint64_t parent, const char *name, bool is_new)
{
	struct cut_op op = {
	    .kind = CUT_NAME_IT, .dir = parent, .is_new = is_new};
	struct stat st = {0};

	(void)lstat(path, &st);
	op.ino = st.st_ino;
	op.is_dir = S_ISDIR(st.st_mode);
	memcpy(op.name, name, CUT_NAME);
	end(begin(&op, NULL), true);
}

int
open(const char *path, int flags, ...)
{
	char name[CUT_NAME];
	uint64_t parent = 0, before = 0;
	struct cut_op *op = NULL;
	mode_t mode = 0;
	va_list ap;
	int fd;

	va_start(ap, flags);
	if (flags & O_CREAT)
		mode = va_arg(ap, mode_t);
	va_end(ap);
	if (rec && flags & (O_CREAT | O_TRUNC))
		parent = parent_of(path, name);
	if (parent) {
		if (atomic_load(&rec->is_off))
			die();
		before = inode_of(path);
	}
	if (before && flags & O_TRUNC) {
		struct cut_op size = {.kind = CUT_SIZE, .ino = before};

		op = begin(&size, NULL);
	}
	fd = REAL(open)(path, flags, mode);
	end(op, fd >= 0);
	if (fd >= 0 && parent && !before)
		name_it(path, parent, name, true);
	return fd;
}

int
mkdir(const char *path, mode_t mode)
{
	char name[CUT_NAME];
	uint64_t parent = parent_of(path, name);
	int rc = REAL(mkdir)(path, mode);

	if (rc == 0 && parent)
		name_it(path, parent, name, true);
	return rc;
}

int
link(const char *from, const char *to)
{
	char name[CUT_NAME];
	uint64_t parent = parent_of(to, name);
	int rc = REAL(link)(from, to);

	if (rc == 0 && parent)
		name_it(to, parent, name, false);
	return rc;
}

static struct cut_op *
begin_rename(const char *from, const char *to)
{
	struct cut_op op = {.kind = CUT_RENAME};

	op.ino = inode_of(from);
	op.dir = parent_of(to, op.name);
	op.from_dir = parent_of(from, op.from_name);
	return op.ino && op.dir && op.from_dir ? begin(&op, NULL) : NULL;
}

int
rename(const char *from, const char *to)
{
	struct cut_op *op = begin_rename(from, to);
	int rc = REAL(rename)(from, to);

	end(op, rc == 0);
	return rc;
}

int
renameat2(int from_dir, const char *from, int to_dir, const char *to,
	  unsigned flags)
{
	struct cut_op *op = begin_rename(from, to);
	int rc = REAL(renameat2)(from_dir, from, to_dir, to, flags);

	end(op, rc == 0);
	return rc;
}

static struct cut_op *
begin_unname(const char *path)
{
	struct cut_op op = {.kind = CUT_UNNAME};

	op.dir = parent_of(path, op.name);
	op.ino = op.dir ? inode_of(path) : 0;
	return op.ino ? begin(&op, NULL) : NULL;
}

int
unlink(const char *path)
{
	struct cut_op *op = begin_unname(path);
	int rc = REAL(unlink)(path);

	end(op, rc == 0);
	return rc;
}

int
rmdir(const char *path)
{
	struct cut_op *op = begin_unname(path);
	int rc = REAL(rmdir)(path);

	end(op, rc == 0);
	return rc;
}

/* What servers are asked for is theirs to lose (nbdkit_cut.c). */
static void
count_request(void)
{
	if (rec)
		event();
}

int64_t
nbd_aio_pread_structured(struct nbd_handle *h, void *data, size_t len,
			 uint64_t at, nbd_chunk_callback part,
			 nbd_completion_callback done, uint32_t flags)
{
	count_request();
	return REAL(nbd_aio_pread_structured)(h, data, len, at, part, done,
					      flags);
}

int64_t
nbd_aio_pwrite(struct nbd_handle *h, const void *data, size_t len, uint64_t at,
	       nbd_completion_callback done, uint32_t flags)
{
	count_request();
	return REAL(nbd_aio_pwrite)(h, data, len, at, done, flags);
}

int64_t
nbd_aio_zero(struct nbd_handle *h, uint64_t len, uint64_t at,
	     nbd_completion_callback done, uint32_t flags)
{
	count_request();
	return REAL(nbd_aio_zero)(h, len, at, done, flags);
}

int64_t
nbd_aio_flush(struct nbd_handle *h, nbd_completion_callback done,
	      uint32_t flags)
{
	count_request();
	return REAL(nbd_aio_flush)(h, done, flags);
}
