/* SPDX-License-Identifier: Apache-2.0 */
/* The target while it is written. */
#include "stages/copy/output.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "stages/copy/zero.h"

/* The kernel tells each descriptor once that a write-back failed, to whatever
 * asks first.  What lanes are told then would be missing from the sync after
 * it: so that one has a descriptor of its own, opened before the first write
 * and of the very same file, whatever has its name by now. */
static int
open_for_syncs(struct output *o, const char *path, struct err *err)
{
	char again[32];

	snprintf(again, sizeof(again), "/proc/self/fd/%d", o->fd);
	o->sync_fd = open(again, O_WRONLY | O_CLOEXEC);
	if (o->sync_fd < 0)
		return err_sys(err, "cannot open target '%s' for syncs", path);
	return 0;
}

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
	o->is_file = S_ISREG(st.st_mode);
	if (!o->is_file)
		flags |= O_EXCL;
	o->fd = open(path, flags);
	if (o->fd < 0)
		return err_sys(err, "cannot open target '%s'", path);
	size = lseek(o->fd, 0, SEEK_END);
	if (size < 0)
		return err_sys(err, "cannot ask target '%s' for its size",
			       path);
	o->size = (uint64_t)size;
	return open_for_syncs(o, path, err);
}

/* Each lane writes on a connection of its own, and flushes have theirs, which
 * a server with multi-conn lets cover all.  One that then takes no further
 * client, or shows it another disk, is used like one without: two connections
 * to it may see different disks, so there is just one. */
static void
open_more_wires(struct output *o, int nlanes)
{
	const struct wire *first = &o->wire[0];
	struct err ignored;

	o->is_shared = !first->can_multi_conn;
	for (int i = 1; i <= nlanes && !o->is_shared; i++)
		o->is_shared = wire_open_more(&o->wire[i], first, &ignored) < 0;
}

static int
open_wires(struct output *o, const char *uri, int nlanes,
	   const struct wire_patience *patience, struct err *err)
{
	if (wire_open(&o->wire[0], uri, "target", patience, err) < 0)
		return -1;
	if (o->wire[0].is_read_only)
		return err_set(err, ERR_FAIL, "the target '%s' is read-only",
			       uri);
	open_more_wires(o, nlanes);
	o->flush = &o->wire[o->is_shared ? 0 : nlanes];
	o->size = o->wire[0].size;
	return 0;
}

int
output_open(struct output *o, const struct copy_target *target, int nlanes,
	    const struct wire_patience *patience, struct err *err)
{
	int rc;

	*o = (struct output){.target = target, .fd = -1, .sync_fd = -1};
	pthread_mutex_init(&o->lock, NULL);
	if (target->file)
		rc = open_file(o, target->file, err);
	else
		rc = open_wires(o, target->uri, nlanes, patience, err);
	if (rc < 0)
		output_close(o);
	return rc;
}

void
output_go_direct(struct output *o)
{
	if (o->fd >= 0)
		direct_open(&o->direct, o->fd, o->target->file);
}

unsigned
output_ahead(const struct output *o)
{
	return direct_is_open(&o->direct) ? DIRECT_AHEAD : 1;
}

void
output_close(struct output *o)
{
	if (!o->target)
		return;
	direct_close(&o->direct);
	if (o->sync_fd >= 0)
		close(o->sync_fd);
	if (o->fd >= 0)
		close(o->fd);
	for (int i = 0; i <= OUTPUT_LANES; i++)
		wire_close(&o->wire[i]);
	pthread_mutex_destroy(&o->lock);
	*o = (struct output){.fd = -1};
}

bool
output_can_flush(const struct output *o)
{
	return o->fd >= 0 || o->wire[0].can_flush;
}

bool
output_knows_data(const struct output *o)
{
	return o->fd >= 0 && o->is_file;
}

uint64_t
output_next_data(const struct output *o, uint64_t at)
{
	off_t data;

	if (!output_knows_data(o))
		return UINT64_MAX;
	data = lseek(o->fd, (off_t)at, SEEK_DATA);
	if (data < 0 && errno != ENXIO)
		return at; /* who cannot tell may have some */
	return data < 0 ? UINT64_MAX : (uint64_t)data;
}

/* A failed write-back is a reason to stop at once; the next sync fails of it,
 * too. */
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

static bool
cannot_be_shared(int sys)
{
	return sys == EXDEV || sys == EINVAL || sys == EOPNOTSUPP ||
	       sys == ENOTTY || sys == ENOSYS || sys == EBADF || sys == EPERM ||
	       sys == EISDIR || sys == ETXTBSY;
}

int
output_share(struct output *o, int lane, int from, uint64_t len, uint64_t at,
	     struct err *err)
{
	struct file_clone_range range = {.src_fd = from,
					 .src_offset = at,
					 .src_length = len,
					 .dest_offset = at};

	if (ioctl(o->fd, FICLONERANGE, &range) == 0)
		return pass_on(o, lane, at, len, err);
	if (cannot_be_shared(errno))
		return 1;
	return err_sys(
	    err, "cannot share %llu bytes at byte %llu with target '%s'",
	    (unsigned long long)len, (unsigned long long)at, o->target->file);
}

/* A request on a connection that is another's, too. */
static int
do_in_turn(struct output *o, enum wire_verb verb, void *data, uint64_t len,
	   uint64_t at, struct err *err)
{
	int rc;

	pthread_mutex_lock(&o->lock);
	if (!o->wire[0].nbd) { /* what ended it is what all are told */
		*err = o->broke;
		rc = -1;
	} else {
		rc = wire_do(&o->wire[0], verb, data, len, at, err);
		if (rc < 0)
			o->broke = *err;
	}
	pthread_mutex_unlock(&o->lock);
	return rc;
}

struct wire *
output_wire(struct output *o, int lane)
{
	return o->fd >= 0 || o->is_shared ? NULL : &o->wire[lane];
}

int
output_begin(struct output *o, int lane, struct output_op *op, void *data,
	     size_t len, uint64_t at, struct err *err)
{
	op->wire.wire = NULL;
	op->direct.direct = NULL;
	if (direct_takes(&o->direct, data, len, at)) {
		direct_begin(&o->direct, &op->direct, data, len, at);
		return 0;
	}
	if (o->fd >= 0)
		return write_file(o, lane, data, len, at, err);
	if (o->is_shared)
		return do_in_turn(o, WIRE_WRITE, data, len, at, err);
	wire_begin(&o->wire[lane], &op->wire, WIRE_WRITE, data, len, at);
	return 0;
}

int
output_end(struct output_op *op, struct wire *also, struct err *err)
{
	if (op->direct.direct)
		return direct_end(&op->direct, err);
	return op->wire.wire ? wire_end(&op->wire, also, err) : 0;
}

int
output_read(struct output *o, int lane, void *data, size_t len, uint64_t at,
	    struct err *err)
{
	if (o->fd >= 0 && fs_pread(o->fd, data, len, (off_t)at, err) < 0)
		return err_wrap(err, "target '%s'", o->target->file);
	if (o->fd >= 0)
		return 0;
	if (o->is_shared)
		return do_in_turn(o, WIRE_READ, data, len, at, err);
	return wire_do(&o->wire[lane], WIRE_READ, data, len, at, err);
}

uint32_t
output_align(const struct output *o)
{
	return o->fd >= 0 ? 1 : o->wire[0].align;
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

int
output_write_zeroes(struct output *o, int lane, uint64_t len, uint64_t at,
		    struct err *err)
{
	struct output_op op;
	uint64_t end = at + len, n;

	for (; at < end; at += n) {
		n = end - at < LEDGER_BLOCK_SIZE ? end - at : LEDGER_BLOCK_SIZE;
		if (output_begin(o, lane, &op, (void *)zero_block(), n, at,
				 err) < 0 ||
		    output_end(&op, NULL, err) < 0)
			return -1;
	}
	return 0;
}

static int
zero_wire(struct output *o, int lane, uint64_t len, uint64_t at,
	  struct err *err)
{
	if (!o->wire[0].can_zero) {
		errno = EOPNOTSUPP;
		return err_sys(err, "the target");
	}
	if (o->is_shared)
		return do_in_turn(o, WIRE_ZERO, NULL, len, at, err);
	return wire_do(&o->wire[lane], WIRE_ZERO, NULL, len, at, err);
}

int
output_punch(struct output *o, int lane, uint64_t len, uint64_t at,
	     struct err *err)
{
	int rc = o->fd >= 0 ? zero_file(o, len, at, err)
			    : zero_wire(o, lane, len, at, err);

	return rc < 0 && is_unsupported(err->sys) ? 1 : rc;
}

int
output_zero(struct output *o, int lane, uint64_t len, uint64_t at,
	    struct err *err)
{
	int rc = output_punch(o, lane, len, at, err);

	return rc > 0 ? output_write_zeroes(o, lane, len, at, err) : rc;
}

static int
flush_wire(struct output *o, struct err *err)
{
	if (o->is_shared)
		return do_in_turn(o, WIRE_FLUSH, NULL, 0, 0, err);
	return wire_do(o->flush, WIRE_FLUSH, NULL, 0, 0, err);
}

/* What has no name any more is durable for nobody. */
static int
check_still_there(const struct output *o, struct err *err)
{
	struct stat mine, there;

	if (!o->is_file ||
	    (fstat(o->fd, &mine) == 0 && stat(o->target->file, &there) == 0 &&
	     mine.st_dev == there.st_dev && mine.st_ino == there.st_ino))
		return 0;
	return err_set(err, ERR_RETRY,
		       "target '%s' was removed or replaced while it was "
		       "written: it is to be copied again from the start",
		       o->target->file);
}

int
output_flush(struct output *o, struct err *err)
{
	if (o->fd < 0)
		return flush_wire(o, err);
	if (fdatasync(o->sync_fd) < 0)
		return err_sys(err, "cannot sync target '%s'", o->target->file);
	return check_still_there(o, err);
}
