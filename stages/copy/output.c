/* SPDX-License-Identifier: Apache-2.0 */
/* The target while it is written. */
#include "stages/copy/output.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "stages/copy/zero.h"

static int
open_file(struct output *o, const char *path, struct err *err)
{
	int flags = O_RDWR | O_CLOEXEC;
	struct stat st;
	off_t size;

	if (stat(path, &st) < 0)
		return err_sys(err, "cannot examine target '%s'", path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(err, ERR_FAIL,
			       "target '%s' is neither a file nor a block "
			       "device",
			       path);
	/* on a block device O_EXCL asks that nobody has it mounted */
	if (S_ISBLK(st.st_mode))
		flags |= O_EXCL;
	o->fd = open(path, flags);
	if (o->fd < 0)
		return err_sys(err, "cannot open target '%s'", path);
	size = lseek(o->fd, 0, SEEK_END);
	if (size < 0)
		return err_sys(err, "cannot ask target '%s' for its size",
			       path);
	o->size = (uint64_t)size;
	return 0;
}

/* Without multi-conn a flush covers its own connection only, and two
 * connections may see different disks: then there is just one. */
static int
open_wires(struct output *o, const char *uri, int nlanes, struct err *err)
{
	do {
		struct wire *w = &o->wire[o->nwires];

		if (wire_open(w, uri, "target", err) < 0)
			return -1;
		o->nwires++;
		if (w->is_read_only)
			return err_set(err, ERR_FAIL,
				       "the target '%s' is read-only", uri);
	} while (o->nwires < nlanes && o->wire[0].can_multi_conn);
	o->size = o->wire[0].size;
	return 0;
}

int
output_open(struct output *o, const struct copy_target *target, int nlanes,
	    struct err *err)
{
	int rc;

	o->target = target;
	o->fd = -1;
	if (target->file)
		rc = open_file(o, target->file, err);
	else
		rc = open_wires(o, target->uri, nlanes, err);
	if (rc < 0)
		output_close(o);
	return rc;
}

void
output_close(struct output *o)
{
	if (o->target && o->fd >= 0)
		close(o->fd);
	for (int i = 0; i < o->nwires; i++)
		wire_close(&o->wire[i]);
	*o = (struct output){.fd = -1};
}

bool
output_can_flush(const struct output *o)
{
	return o->fd >= 0 || o->wire[0].can_flush;
}

/* The kernel says a failed write-back once per descriptor, to whoever asks
 * first: an answer thrown away here would make the next fdatasync a lie. */
static int
settle(struct output *o, uint64_t at, uint32_t len, unsigned flags,
       struct err *err)
{
	if (sync_file_range(o->fd, (off_t)at, len, flags) == 0 ||
	    errno == ESPIPE || errno == EINVAL || errno == ENOSYS)
		return 0;
	return err_sys(err, "cannot write back '%s'", o->target->file);
}

/* Starts writing back what was just written and drops the oldest of the
 * window from the page cache: a copy should not push out what others use. */
static int
pass_on(struct output *o, int lane, uint64_t at, size_t len, struct err *err)
{
	struct output_window *win = &o->window[lane];
	unsigned slot = win->next++ % OUTPUT_WINDOW;
	uint64_t old_at = win->at[slot];
	uint32_t old_len = win->len[slot];

	win->at[slot] = at;
	win->len[slot] = (uint32_t)len;
	if (settle(o, at, (uint32_t)len, SYNC_FILE_RANGE_WRITE, err) < 0)
		return -1;
	if (old_len == 0)
		return 0;
	if (settle(o, old_at, old_len,
		   SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
		       SYNC_FILE_RANGE_WAIT_AFTER,
		   err) < 0)
		return -1;
	(void)posix_fadvise(o->fd, (off_t)old_at, old_len, POSIX_FADV_DONTNEED);
	return 0;
}

static int
write_file(struct output *o, int lane, const void *data, size_t len,
	   uint64_t at, struct err *err)
{
	if (fs_pwrite(o->fd, data, len, (off_t)at, err) < 0)
		return err_wrap(err, "target '%s'", o->target->file);
	return pass_on(o, lane, at, len, err);
}

static struct wire *
wire_of(struct output *o, int lane)
{
	return &o->wire[lane % o->nwires];
}

int
output_write(struct output *o, int lane, const void *data, size_t len,
	     uint64_t at, struct err *err)
{
	if (o->fd >= 0)
		return write_file(o, lane, data, len, at, err);
	return wire_write(wire_of(o, lane), data, len, at, err);
}

static bool
is_unsupported(int sys)
{
	return sys == EOPNOTSUPP || sys == EINVAL || sys == ENOSYS ||
	       sys == ENODEV;
}

/* Punching first: zeroes on a hole then stay one.  On a block device the
 * kernel punches only where the device promises zeroes, and else says so. */
static int
zero_file(struct output *o, uint64_t len, uint64_t at, struct err *err)
{
	static const int modes[] = {FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				    FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE};

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (fallocate(o->fd, modes[i], (off_t)at, (off_t)len) == 0)
			return 0;
		if (!is_unsupported(errno))
			break;
	}
	return err_sys(err, "cannot zero %llu bytes at %llu of target '%s'",
		       (unsigned long long)len, (unsigned long long)at,
		       o->target->file);
}

static int
write_zeroes(struct output *o, int lane, uint64_t len, uint64_t at,
	     struct err *err)
{
	uint64_t end = at + len, n;

	for (; at < end; at += n) {
		n = end - at < LEDGER_BLOCK_SIZE ? end - at : LEDGER_BLOCK_SIZE;
		if (output_write(o, lane, zero_block(), n, at, err) < 0)
			return -1;
	}
	return 0;
}

int
output_zero(struct output *o, int lane, uint64_t len, uint64_t at,
	    struct err *err)
{
	int rc;

	if (o->fd >= 0)
		rc = zero_file(o, len, at, err);
	else
		rc = wire_zero(wire_of(o, lane), len, at, err);
	if (rc < 0 && is_unsupported(err->sys))
		return write_zeroes(o, lane, len, at, err);
	return rc;
}

int
output_flush(struct output *o, struct err *err)
{
	if (o->fd < 0)
		return wire_flush(&o->wire[0], err);
	if (fdatasync(o->fd) == 0)
		return 0;
	return err_sys(err, "cannot sync target '%s'", o->target->file);
}
