/* SPDX-License-Identifier: Apache-2.0 */
/* A disk read back to be compared. */
#include "stages/copy/readback.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/mem.h"

/* What was written may still be in the page cache only. */
static int
open_file(struct readback *r, const char *path, struct err *err)
{
	off_t size;

	r->fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (r->fd < 0 && errno == EINVAL)
		r->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (r->fd < 0)
		return err_sys(err, "cannot open %s '%s'", r->what, path);
	r->is_open = true;
	(void)posix_fadvise(r->fd, 0, 0, POSIX_FADV_DONTNEED);
	size = lseek(r->fd, 0, SEEK_END);
	if (size < 0)
		return err_sys(err, "cannot ask %s '%s' for its size", r->what,
			       path);
	r->size = (uint64_t)size;
	return 0;
}

int
readback_open(struct readback *r, const struct copy_target *disk,
	      const char *what, const struct wire_patience *patience,
	      struct err *err)
{
	*r = (struct readback){.disk = disk, .what = what, .fd = -1};
	if (disk->file)
		return open_file(r, disk->file, err);
	r->is_open = true;
	if (wire_open(&r->wire, disk->uri, what, patience, err) < 0)
		return -1;
	r->wire.comes_back = true;
	r->size = r->wire.size;
	return 0;
}

int
readback_open_more(struct readback *r, const struct readback *first,
		   struct err *err)
{
	int rc;

	if (first->disk->file)
		return readback_open(r, first->disk, first->what, NULL, err);
	*r = (struct readback){
	    .disk = first->disk, .what = first->what, .fd = -1};
	rc = wire_open_more(&r->wire, &first->wire, err);
	r->is_open = true;
	r->size = r->wire.size;
	return rc;
}

void
readback_close(struct readback *r)
{
	if (!r->is_open)
		return;
	mem_closep(&r->fd);
	wire_close(&r->wire);
	*r = (struct readback){.fd = -1};
}

/* Where O_DIRECT turns out not to be wanted after all, it is switched off. */
static ssize_t
read_some(struct readback *r, char *buf, size_t got, uint64_t at)
{
	size_t left = LEDGER_BLOCK_SIZE - got;
	ssize_t n = pread(r->fd, buf + got, left, (off_t)(at + got));

	if (n < 0 && errno == EINVAL && fcntl(r->fd, F_GETFL) & O_DIRECT &&
	    fcntl(r->fd, F_SETFL, 0) == 0)
		n = pread(r->fd, buf + got, left, (off_t)(at + got));
	if (n == 0)
		errno = ENXIO; /* it was long enough a moment ago */
	return n;
}

static int
read_file(struct readback *r, char *buf, size_t len, uint64_t at,
	  struct err *err)
{
	size_t got = 0;
	ssize_t n;

	while (got < len) {
		n = read_some(r, buf, got, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(err, "cannot read byte %llu of %s '%s'",
				       (unsigned long long)(at + got), r->what,
				       r->disk->file);
		got += (size_t)n;
	}
	(void)posix_fadvise(r->fd, (off_t)at, LEDGER_BLOCK_SIZE,
			    POSIX_FADV_DONTNEED);
	return 0;
}

int
readback_block(struct readback *r, void *buf, size_t len, uint64_t at,
	       struct err *err)
{
	if (r->fd >= 0)
		return read_file(r, buf, len, at, err);
	return wire_do(&r->wire, WIRE_READ, buf, len, at, err);
}
