/* SPDX-License-Identifier: Apache-2.0 */
/* Making, locking and first reading of a ledger's file. */
#include "stages/copy/ledger_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "stages/copy/digest.h"

#define RUN_PAGES 256 /* written at once */

int
ledger_file_lock(int fd, const char *path, struct err *err)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return err_set(err, ERR_HELD,
			       "ledger '%s' is being written by another run",
			       path);
	return err_sys(err, "cannot lock ledger '%s'", path);
}

/* Empties what a killed run left of its own attempt, but never a file that
 * somebody who was quicker has meanwhile finished and renamed. */
static int
open_aside(const char *aside, int *ret_fd, struct err *err)
{
	CLEANUP(mem_closep)
	int fd = open(aside, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat mine, there;

	if (fd < 0)
		return err_sys(err, "cannot create '%s'", aside);
	if (ledger_file_lock(fd, aside, err) < 0)
		return -1;
	if (fstat(fd, &mine) < 0 || lstat(aside, &there) < 0 ||
	    mine.st_ino != there.st_ino || mine.st_dev != there.st_dev)
		return err_set(err, ERR_HELD, "another run is making '%s'",
			       aside);
	if (ftruncate(fd, 0) < 0)
		return err_sys(err, "cannot empty '%s'", aside);
	*ret_fd = fd;
	fd = -1;
	return 0;
}

static int
write_pages(int fd, const struct format_header *h, uint64_t first,
	    uint64_t npages, struct err *err)
{
	CLEANUP(mem_freep)
	uint8_t *run = mem_new((size_t)RUN_PAGES * FORMAT_PAGE);
	uint64_t n;

	for (; first < npages; first += n) {
		n = npages - first < RUN_PAGES ? npages - first : RUN_PAGES;
		for (uint64_t i = 0; i < n; i++)
			format_seal_page(run + i * FORMAT_PAGE, h->id,
					 first + i);
		if (fs_pwrite(fd, run, n * FORMAT_PAGE,
			      (off_t)((FORMAT_NHEADERS + first) * FORMAT_PAGE),
			      err) < 0)
			return -1;
	}
	return 0;
}

int
ledger_file_extend(int fd, const struct format_header *h, uint64_t from,
		   uint64_t npages, struct err *err)
{
	int rc = posix_fallocate(
	    fd, 0, (off_t)((FORMAT_NHEADERS + npages) * FORMAT_PAGE));

	if (rc != 0) {
		errno = rc;
		return err_sys(err, "no room");
	}
	return write_pages(fd, h, from, npages, err);
}

/* Both copies of the header are good from the start. */
static int
write_headers(int fd, struct format_header *h, struct err *err)
{
	uint8_t page[FORMAT_PAGE];

	for (h->counter = 0; h->counter < FORMAT_NHEADERS; h->counter++) {
		format_put_header(page, h);
		if (fs_pwrite(fd, page, sizeof(page),
			      (off_t)(h->counter * FORMAT_PAGE), err) < 0)
			return -1;
	}
	return 0;
}

static int
fill(int fd, const struct ledger_identity *id, struct err *err)
{
	struct format_header h = {
	    .version = FORMAT_VERSION,
	    .begun = id->target_is_blank ? 0 : FORMAT_BEGUN_ANY,
	    .identity = *id,
	};
	uint64_t npages = format_npages(format_nblocks(id->size_bytes));

	if (getrandom(h.id, sizeof(h.id), 0) != sizeof(h.id))
		return err_sys(err, "cannot get random bytes");
	if (ledger_file_extend(fd, &h, 0, npages, err) < 0 ||
	    write_headers(fd, &h, err) < 0)
		return -1;
	if (fsync(fd) < 0)
		return err_sys(err, "cannot sync");
	return 0;
}

int
ledger_file_create(const char *path, const struct ledger_identity *id,
		   int *ret_fd, struct err *err)
{
	CLEANUP(mem_freep) char *aside = mem_printf("%s.new", path);
	CLEANUP(mem_freep) char *dir = fs_dirname(path);
	CLEANUP(mem_closep) int fd = -1;

	if (open_aside(aside, &fd, err) < 0)
		return -1;
	if (fill(fd, id, err) < 0) {
		unlink(aside);
		return err_wrap(err, "making ledger '%s'", path);
	}
	if (renameat2(AT_FDCWD, aside, AT_FDCWD, path, RENAME_NOREPLACE) < 0 &&
	    (errno != EINVAL || rename(aside, path) < 0))
		return err_sys(err, "cannot rename '%s'", aside);
	if (fs_sync_dir(dir, err) < 0)
		return -1;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

/* A page that cannot be read is as good as a damaged one. */
static bool
read_header(int fd, unsigned n, struct format_header *ret)
{
	uint8_t page[FORMAT_PAGE];
	struct err ignored;

	return fs_pread(fd, page, sizeof(page), (off_t)n * FORMAT_PAGE,
			&ignored) == 0 &&
	       format_get_header(page, ret);
}

int
ledger_file_header(int fd, const char *path, struct format_header *ret,
		   struct err *err)
{
	struct format_header best = {0}, h;
	bool found = false;

	for (unsigned n = 0; n < FORMAT_NHEADERS; n++) {
		if (!read_header(fd, n, &h))
			continue;
		if (!found || h.counter > best.counter)
			best = h;
		found = true;
	}
	if (!found) {
		err_set(err, ERR_FAIL,
			"'%s' is no ledger, or both copies of its header are "
			"damaged: remove it and the disk is copied again from "
			"the start",
			path);
		err->sys = EBADMSG;
		return -1;
	}
	if (best.version != FORMAT_VERSION)
		return err_set(err, ERR_FAIL,
			       "ledger '%s' has format version %u, this "
			       "program knows %d",
			       path, best.version, FORMAT_VERSION);
	*ret = best;
	return 0;
}

static int
differs(const char *path, const char *member, const char *has,
	const char *wanted, struct err *err)
{
	return err_set(err, ERR_FAIL,
		       "ledger '%s' belongs to another %s: it is bound to "
		       "'%s', not to '%s'; name what it was begun with, or "
		       "remove it to copy all of it again",
		       path, member, has, wanted);
}

const char *
ledger_digest_name(enum ledger_digest digest)
{
	switch (digest) {
	case LEDGER_SHA256:
		return "sha256";
	case LEDGER_XXH3:
		return "xxh3";
	case LEDGER_NO_DIGEST:
		return "none";
	}
	return "unknown";
}

int
ledger_file_check(const char *path, const struct ledger_identity *has,
		  const struct ledger_identity *want, struct err *err)
{
	if (strcmp(has->vm, want->vm) != 0)
		return differs(path, "vm", has->vm, want->vm, err);
	if (strcmp(has->disk, want->disk) != 0)
		return differs(path, "disk", has->disk, want->disk, err);
	if (strcmp(has->target, want->target) != 0)
		return differs(path, "target", has->target, want->target, err);
	if (has->size_bytes != want->size_bytes)
		return err_set(err, ERR_FAIL,
			       "ledger '%s' is for a disk of another size: "
			       "%llu bytes, not %llu",
			       path, (unsigned long long)has->size_bytes,
			       (unsigned long long)want->size_bytes);
	if (has->digest != want->digest)
		return err_set(err, ERR_FAIL,
			       "ledger '%s' keeps another digest: '%s', not "
			       "'%s'",
			       path, ledger_digest_name(has->digest),
			       ledger_digest_name(want->digest));
	return 0;
}

/* What was cut is not made longer again, and what has no name is read by
 * nobody. */
int
ledger_file_still(int fd, const char *path, off_t size, struct err *err)
{
	struct stat mine, there;

	if (fstat(fd, &mine) < 0)
		return err_sys(err, "cannot examine ledger '%s'", path);
	if (mine.st_size < size)
		return err_set(err, ERR_RETRY,
			       "ledger '%s' was cut short while it was "
			       "written: it has %lld bytes, and had %lld",
			       path, (long long)mine.st_size, (long long)size);
	if (stat(path, &there) == 0 && mine.st_dev == there.st_dev &&
	    mine.st_ino == there.st_ino)
		return 0;
	return err_set(err, ERR_RETRY,
		       "ledger '%s' was removed or replaced while it was "
		       "written: what it is of has to be copied again from the "
		       "start",
		       path);
}

int
ledger_put_id(char ret[LEDGER_ID_SIZE], const char *name, struct err *err)
{
	CLEANUP(digest_done) struct digest sha = {0};
	uint8_t digest[LEDGER_DIGEST_SIZE];

	if (strlen(name) < LEDGER_ID_SIZE) {
		memcpy(ret, name, strlen(name) + 1);
		return 0;
	}
	if (digest_init(&sha, LEDGER_SHA256, err) < 0 ||
	    digest_block(&sha, name, strlen(name), digest, err) < 0)
		return -1;
	snprintf(ret, LEDGER_ID_SIZE, "sha256:");
	digest_hex(ret + strlen(ret), digest);
	return 0;
}
