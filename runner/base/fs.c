/* SPDX-License-Identifier: Apache-2.0 */
/* Files whose change survives a power cut. */
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/mem.h"

char *
fs_path(const char *dir, const char *name)
{
	return mem_printf("%s/%s", dir, name);
}

char *
fs_dirname(const char *path)
{
	CLEANUP(mem_freep) char *copy = mem_strdup(path);

	return mem_strdup(dirname(copy));
}

/* Appends the parts of `path` to the absolute `whole`. */
static void
add_parts(struct buf *whole, const char *path)
{
	while (*path) {
		size_t len = strcspn(path, "/");

		if (len == 2 && strncmp(path, "..", 2) == 0) {
			char *slash = memrchr(whole->data, '/', whole->len);

			whole->len = slash ? (size_t)(slash - whole->data) : 0;
			whole->data[whole->len] = '\0';
		} else if (len > 0 && !(len == 1 && path[0] == '.')) {
			buf_adds(whole, "/");
			buf_add(whole, path, len);
		}
		path += len;
		path += *path == '/';
	}
}

char *
fs_absolute(const char *dir, const char *path)
{
	CLEANUP(mem_freep) char *real = NULL;
	struct buf whole = {0};

	buf_adds(&whole, "");
	if (path[0] != '/') {
		real = realpath(dir, NULL);
		add_parts(&whole, real ? real : dir);
	}
	add_parts(&whole, path);
	if (whole.len == 0)
		buf_adds(&whole, "/");
	return buf_steal(&whole);
}

const char *
fs_basename(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

bool
fs_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

int
fs_read(const char *path, size_t limit, bool missing_ok, struct buf *ret,
	struct err *err)
{
	CLEANUP(mem_closep)
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR) && missing_ok)
		return 0;
	if (fd < 0)
		return err_sys(err, "cannot open '%s'", path);
	if (fstat(fd, &st) < 0)
		return err_sys(err, "cannot examine '%s'", path);
	if (S_ISDIR(st.st_mode))
		return err_set(err, ERR_USER, "'%s' is a directory", path);
	if (buf_read_fd(ret, fd, limit, err) < 0)
		return err_wrap(err, "'%s'", path);
	buf_add(ret, "", 0);
	return 0;
}

int
fs_write_all(int fd, const void *data, size_t len, struct err *err)
{
	const char *at = data;
	ssize_t put;

	while (len > 0) {
		put = write(fd, at, len);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return err_sys(err, "cannot write");
		at += put;
		len -= (size_t)put;
	}
	return 0;
}

int
fs_pwrite(int fd, const void *data, size_t len, off_t at, struct err *err)
{
	const char *from = data;
	ssize_t put;

	while (len > 0) {
		put = pwrite(fd, from, len, at);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return err_sys(err, "cannot write %zu bytes at %lld",
				       len, (long long)at);
		from += put;
		at += put;
		len -= (size_t)put;
	}
	return 0;
}

int
fs_pread(int fd, void *data, size_t len, off_t at, struct err *err)
{
	char *to = data;
	ssize_t got;

	while (len > 0) {
		got = pread(fd, to, len, at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(err, "cannot read %zu bytes at %lld",
				       len, (long long)at);
		if (got == 0)
			return err_set(err, ERR_FAIL,
				       "ends %zu bytes early, at %lld", len,
				       (long long)at);
		to += got;
		at += got;
		len -= (size_t)got;
	}
	return 0;
}

int
fs_sync_dir(const char *path, struct err *err)
{
	CLEANUP(mem_closep)
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return err_sys(err, "cannot sync directory '%s'", path);
	return 0;
}

int
fs_sync_file(const char *path, struct err *err)
{
	CLEANUP(mem_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return err_sys(err, "cannot sync '%s'", path);
	return 0;
}

static int
write_aside(const char *aside, const void *data, size_t len, mode_t mode,
	    struct err *err)
{
	CLEANUP(mem_closep)
	int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	if (fd < 0)
		return err_sys(err, "cannot create '%s'", aside);
	if (fchmod(fd, mode) < 0)
		return err_sys(err, "cannot set the mode of '%s'", aside);
	if (fs_write_all(fd, data, len, err) < 0)
		return err_wrap(err, "'%s'", aside);
	if (fsync(fd) < 0)
		return err_sys(err, "cannot sync '%s'", aside);
	return 0;
}

int
fs_write(const char *path, const void *data, size_t len, mode_t mode,
	 struct err *err)
{
	CLEANUP(mem_freep) char *aside = mem_printf("%s.new", path);
	CLEANUP(mem_freep) char *dir = fs_dirname(path);
	struct stat st;

	if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return err_set(err, ERR_FAIL, "'%s' is no regular file", path);
	if (write_aside(aside, data, len, mode, err) < 0) {
		unlink(aside);
		return -1;
	}
	if (rename(aside, path) < 0)
		return err_sys(err, "cannot rename '%s'", aside);
	return fs_sync_dir(dir, err);
}

int
fs_mkdirs(const char *path, mode_t mode, struct err *err)
{
	CLEANUP(mem_freep) char *parent = fs_dirname(path);
	struct stat st;

	if (stat(path, &st) == 0) {
		if (S_ISDIR(st.st_mode))
			return 0;
		return err_set(err, ERR_FAIL, "'%s' is not a directory", path);
	}
	if (strcmp(parent, path) != 0 && fs_mkdirs(parent, mode, err) < 0)
		return -1;
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return err_sys(err, "cannot make directory '%s'", path);
	return fs_sync_dir(parent, err);
}

int
fs_remove(const char *path, struct err *err)
{
	CLEANUP(mem_freep) char *dir = fs_dirname(path);

	if (unlink(path) == 0)
		return fs_sync_dir(dir, err);
	/* who removed it may have been killed before the sync */
	if (errno == ENOENT)
		return fs_exists(dir) ? fs_sync_dir(dir, err) : 0;
	return err_sys(err, "cannot remove '%s'", path);
}

static int
remove_at(int parent, const char *name, const char *shown, struct err *err)
{
	struct dirent *entry;
	int fd, rc = 0;
	DIR *dir;

	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_sys(err, "cannot remove '%s'", shown);
	fd = openat(parent, name,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "cannot open '%s'", shown);
	dir = fdopendir(fd);
	while (rc == 0 && (entry = readdir(dir))) {
		CLEANUP(mem_freep) char *below = NULL;

		if (strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0)
			continue;
		below = fs_path(shown, entry->d_name);
		rc = remove_at(fd, entry->d_name, below, err);
	}
	closedir(dir);
	if (rc == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0)
		return err_sys(err, "cannot remove '%s'", shown);
	return rc;
}

int
fs_remove_tree(const char *path, struct err *err)
{
	CLEANUP(mem_freep) char *dir = fs_dirname(path);

	if (!fs_exists(path))
		return fs_exists(dir) ? fs_sync_dir(dir, err) : 0;
	if (remove_at(AT_FDCWD, path, path, err) < 0)
		return -1;
	return fs_sync_dir(dir, err);
}

uint64_t
fs_volume(const char *path)
{
	struct statvfs fs;
	struct stat st;

	if (statvfs(path, &fs) == 0 && fs.f_fsid != 0)
		return fs.f_fsid;
	return stat(path, &st) == 0 ? st.st_dev : 0;
}

int
fs_free_bytes(const char *path, uint64_t *ret, struct err *err)
{
	struct statvfs vfs;

	if (statvfs(path, &vfs) < 0)
		return err_sys(err, "cannot ask how much space '%s' has", path);
	*ret = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	return 0;
}

static struct rlimit given;

void
fs_files_raise(void)
{
	struct rlimit all;

	if (getrlimit(RLIMIT_NOFILE, &given) < 0)
		return;
	all = given;
	all.rlim_cur = all.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &all);
}

void
fs_files_restore(void)
{
	if (given.rlim_max)
		(void)setrlimit(RLIMIT_NOFILE, &given);
}

bool
fs_files_scarce(int fd, int n, unsigned long *ret_limit)
{
	struct rlimit now;
	rlim_t reserve;

	if (getrlimit(RLIMIT_NOFILE, &now) < 0 || now.rlim_cur == RLIM_INFINITY)
		return false;
	/* what a run needs beside: for steps, requests, a manifest */
	reserve = now.rlim_cur / 4 < 256 ? now.rlim_cur / 4 : 256;
	*ret_limit = (unsigned long)now.rlim_cur;
	return (rlim_t)fd + (rlim_t)n > now.rlim_cur - reserve;
}

long
fs_files_left(void)
{
	struct rlimit now;
	int lowest;

	if (getrlimit(RLIMIT_NOFILE, &now) < 0 || now.rlim_cur > LONG_MAX)
		return LONG_MAX;
	/* the lowest that is free: those below it are open */
	lowest = open("/", O_PATH | O_CLOEXEC);
	if (lowest < 0)
		return 0;
	close(lowest);
	return (long)now.rlim_cur - lowest;
}
