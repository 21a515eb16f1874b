/* SPDX-License-Identifier: Apache-2.0 */
/* The source while it is read. */
#include "stages/copy/input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "stages/copy/ledger.h"

/* QEMU's own way of saying who writes to an image: readers' locks on single
 * bytes.  We see its and it sees ours; where there are no locks there is none
 * to see. */
enum { QEMU_WRITES = 100 + 1, QEMU_BEARS_NO_WRITER = 200 + 1 };

static int
check_nobody_writes(struct input *in, struct err *err)
{
	struct flock writer = {.l_type = F_WRLCK,
			       .l_whence = SEEK_SET,
			       .l_start = QEMU_WRITES,
			       .l_len = 1};
	struct flock reader = {.l_type = F_RDLCK,
			       .l_whence = SEEK_SET,
			       .l_start = QEMU_BEARS_NO_WRITER,
			       .l_len = 1};

	(void)fcntl(in->fd, F_OFD_SETLK, &reader);
	if (fcntl(in->fd, F_OFD_GETLK, &writer) < 0 || writer.l_type == F_UNLCK)
		return 0;
	return err_set(err, ERR_FAIL,
		       "source '%s' is open for writing in QEMU, or another "
		       "copy's target: shut down the vm that uses it, or let "
		       "that copy end",
		       in->file);
}

static int
open_file(struct input *in, struct err *err)
{
	struct stat st;
	off_t size;

	in->fd = open(in->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (in->fd < 0)
		return err_sys(err, "cannot open source '%s'", in->file);
	if (fstat(in->fd, &st) < 0)
		return err_sys(err, "cannot examine source '%s'", in->file);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(err, ERR_FAIL,
			       "source '%s' is neither a file nor a block "
			       "device",
			       in->file);
	size = lseek(in->fd, 0, SEEK_END);
	if (size < 0)
		return err_sys(err, "cannot ask source '%s' for its size",
			       in->file);
	(void)posix_fadvise(in->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	in->size = (uint64_t)size;
	return check_nobody_writes(in, err);
}

int
input_open(struct input *in, const char *file, const char *uri,
	   const struct wire_patience *patience, struct err *err)
{
	*in = (struct input){.file = file, .fd = -1};
	if (file)
		return open_file(in, err);
	if (wire_open(&in->wire, uri, "source", patience, err) < 0)
		return -1;
	in->wire.comes_back = true;
	in->size = in->wire.size;
	return 0;
}

/* Whoever took its name, or cut it, since the first was opened. */
static int
open_file_more(struct input *in, const struct input *first, struct err *err)
{
	struct stat mine, firsts;

	if (open_file(in, err) < 0)
		return -1;
	if (in->size == first->size && fstat(in->fd, &mine) == 0 &&
	    fstat(first->fd, &firsts) == 0 && mine.st_dev == firsts.st_dev &&
	    mine.st_ino == firsts.st_ino)
		return 0;
	return err_set(err, ERR_RETRY,
		       "source '%s' was replaced or changed its size",
		       in->file);
}

int
input_open_more(struct input *in, const struct input *first, struct err *err)
{
	*in = (struct input){.file = first->file, .fd = -1};
	if (first->file)
		return open_file_more(in, first, err);
	if (wire_open_more(&in->wire, &first->wire, err) < 0)
		return -1;
	in->size = in->wire.size;
	return 0;
}

void
input_close(struct input *in)
{
	if (in->file && in->fd >= 0)
		close(in->fd);
	wire_close(&in->wire);
	in->fd = -1;
}

bool
input_can_share(const struct input *in)
{
	return in->file || in->wire.can_multi_conn;
}

uint32_t
input_align(const struct input *in)
{
	return in->file ? 1 : in->wire.align;
}

void
input_begin(struct input *in, struct input_op *op, void *data, size_t len,
	    uint64_t at)
{
	*op = (struct input_op){.data = data, .len = len, .at = at};
	if (!in->file)
		wire_begin(&in->wire, &op->wire, WIRE_READ, data, len, at);
}

/* The file ends where another program cut it: what is missing is not zero, it
 * is gone. */
static int
read_file(struct input *in, const struct input_op *op, struct err *err)
{
	if (fs_pread(in->fd, op->data, op->len, (off_t)op->at, err) == 0)
		return 0;
	err_wrap(err, "cannot read %zu bytes at byte %llu of source '%s'",
		 op->len, (unsigned long long)op->at, in->file);
	err->class = ERR_RETRY;
	return -1;
}

int
input_end(struct input *in, struct input_op *op, struct wire *also,
	  struct err *err)
{
	if (in->file)
		return read_file(in, op, err);
	return wire_end(&op->wire, also, err);
}

bool
input_has_come(const struct input_op *op)
{
	return op->wire.npending == 0 && !op->wire.error;
}

static void
mark_data(uint64_t first, size_t n, bool *is_zero, uint64_t from, uint64_t to)
{
	uint64_t block = from / LEDGER_BLOCK_SIZE;

	for (; block < first + n && block * LEDGER_BLOCK_SIZE < to; block++)
		is_zero[block - first] = false;
}

/* What lies past the end is a hole, too, but none to believe in. */
static int
check_not_cut(const struct input *in, struct err *err)
{
	off_t size = lseek(in->fd, 0, SEEK_END);

	if (size >= 0 && (uint64_t)size >= in->size)
		return 0;
	return err_set(err, ERR_FAIL,
		       "source '%s' shrank while it was copied: it has %lld "
		       "bytes now, and had %llu",
		       in->file, (long long)size, (unsigned long long)in->size);
}

/* A hole of a file reads as zeroes, by definition.  Where nobody knows, as on
 * a block device, all is data. */
int
input_zero_blocks(struct input *in, uint64_t first, size_t n, bool *is_zero,
		  struct err *err)
{
	off_t at = (off_t)(first * LEDGER_BLOCK_SIZE);
	off_t end = (off_t)((first + n) * LEDGER_BLOCK_SIZE);
	off_t hole;

	if (!in->file)
		return wire_zero_blocks(&in->wire, first, n, is_zero, err);
	memset(is_zero, true, n * sizeof(*is_zero));
	while (at < end) {
		at = lseek(in->fd, at, SEEK_DATA);
		if (at < 0 && errno == ENXIO)
			return check_not_cut(in, err); /* the rest is hole */
		hole = at < 0 ? -1 : lseek(in->fd, at, SEEK_HOLE);
		if (at < 0 || hole <= at) {
			memset(is_zero, false, n * sizeof(*is_zero));
			return 0;
		}
		mark_data(first, n, is_zero, (uint64_t)at, (uint64_t)hole);
		at = hole;
	}
	return 0;
}
