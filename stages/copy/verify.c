/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the target back and comparing it with the ledger. */
#include "stages/copy/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "stages/copy/digest.h"
#include "stages/copy/wire.h"

#define PROGRESS_MS 250

struct verify {
	const struct verify_opts *opts;
	uint64_t size;	  /* of the disk */
	int fd;		  /* -1: over NBD */
	struct wire wire; /* a connection that wrote nothing */
	struct wire_patience patience;
	struct digest digest;
	uint8_t *buf; /* one block, aligned for O_DIRECT */
	struct copy_progress progress;
	int64_t reported_ms;
	struct verify_result result;
};

/* What was written may still be in the page cache only; what counts is what
 * the disk gives back. */
static int
open_file(struct verify *v, const char *path, uint64_t *ret_size,
	  struct err *err)
{
	off_t size;

	v->fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (v->fd < 0 && errno == EINVAL)
		v->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (v->fd < 0)
		return err_sys(err, "cannot open target '%s'", path);
	(void)posix_fadvise(v->fd, 0, 0, POSIX_FADV_DONTNEED);
	size = lseek(v->fd, 0, SEEK_END);
	if (size < 0)
		return err_sys(err, "cannot ask target '%s' for its size",
			       path);
	*ret_size = (uint64_t)size;
	return 0;
}

static int
open_target(struct verify *v, struct err *err)
{
	const struct copy_target *target = &v->opts->target;
	uint64_t size = 0;

	if (target->file && open_file(v, target->file, &size, err) < 0)
		return -1;
	if (!target->file) {
		if (wire_open(&v->wire, target->uri, "target", &v->patience,
			      err) < 0)
			return -1;
		size = v->wire.size;
	}
	if (size < v->size)
		return err_set(err, ERR_MISMATCH,
			       "the target has only %llu bytes, the ledger is "
			       "for a disk of %llu",
			       (unsigned long long)size,
			       (unsigned long long)v->size);
	return 0;
}

/* Where O_DIRECT turns out not to be wanted after all, it is switched off. */
static ssize_t
read_some(struct verify *v, size_t got, uint64_t at)
{
	size_t left = LEDGER_BLOCK_SIZE - got;
	ssize_t n = pread(v->fd, v->buf + got, left, (off_t)(at + got));

	if (n < 0 && errno == EINVAL && fcntl(v->fd, F_GETFL) & O_DIRECT &&
	    fcntl(v->fd, F_SETFL, 0) == 0)
		n = pread(v->fd, v->buf + got, left, (off_t)(at + got));
	if (n == 0)
		errno = EIO; /* it was long enough a moment ago */
	return n;
}

static int
read_file(struct verify *v, size_t len, uint64_t at, struct err *err)
{
	size_t got = 0;
	ssize_t n;

	while (got < len) {
		n = read_some(v, got, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(err,
				       "cannot read byte %llu of target '%s'",
				       (unsigned long long)(at + got),
				       v->opts->target.file);
		got += (size_t)n;
	}
	(void)posix_fadvise(v->fd, (off_t)at, LEDGER_BLOCK_SIZE,
			    POSIX_FADV_DONTNEED);
	return 0;
}

static void
note_mismatch(struct verify *v, uint64_t block)
{
	if (v->result.nmismatched++ == 0)
		v->result.first_mismatch = block;
}

static int
verify_block(struct verify *v, uint64_t block, struct err *err)
{
	uint64_t at = block * LEDGER_BLOCK_SIZE;
	uint64_t left = v->size - at;
	size_t len = left < LEDGER_BLOCK_SIZE ? left : LEDGER_BLOCK_SIZE;
	uint8_t digest[LEDGER_DIGEST_SIZE];
	struct ledger_entry entry;
	int rc;

	ledger_get(v->opts->ledger, block, &entry);
	v->progress.done_bytes += len;
	if (v->opts->which == VERIFY_SINCE_GENERATION &&
	    entry.generation < v->opts->generation) {
		v->progress.skipped_bytes += len;
		return 0;
	}
	rc = v->fd >= 0 ? read_file(v, len, at, err)
			: wire_do(&v->wire, WIRE_READ, v->buf, len, at, err);
	if (rc < 0 || digest_block(&v->digest, v->buf, len, digest, err) < 0)
		return -1;
	v->progress.read_bytes += len;
	v->result.nchecked++;
	if (memcmp(digest, entry.digest, sizeof(digest)) != 0)
		note_mismatch(v, block);
	return 0;
}

static int
report(struct verify *v, struct err *err)
{
	if (!v->opts->progress ||
	    clock_mono_ms() - v->reported_ms < PROGRESS_MS)
		return 0;
	v->reported_ms = clock_mono_ms();
	if (v->opts->progress(v->opts->arg, &v->progress) == 0)
		return 0;
	return err_set(err, ERR_CANCELLED,
		       "the verification was asked to stop");
}

static int
verdict(const struct verify *v, struct err *err)
{
	const struct verify_result *r = &v->result;

	if (r->nmismatched == 0)
		return 0;
	return err_set(
	    err, ERR_MISMATCH,
	    "%llu of %llu blocks differ from the ledger, the first "
	    "is block %llu at byte %llu",
	    (unsigned long long)r->nmismatched, (unsigned long long)r->nchecked,
	    (unsigned long long)r->first_mismatch,
	    (unsigned long long)r->first_mismatch * LEDGER_BLOCK_SIZE);
}

static int
check_complete(const struct ledger *ledger, struct err *err)
{
	struct ledger_entry entry;

	for (uint64_t block = 0; block < ledger_nblocks(ledger); block++) {
		ledger_get(ledger, block, &entry);
		if (entry.state != LEDGER_DURABLE)
			return err_set(err, ERR_FAIL,
				       "block %llu is not copied yet: there is "
				       "nothing to compare it with",
				       (unsigned long long)block);
	}
	return 0;
}

static int
check_ledger(const struct ledger *ledger, struct err *err)
{
	if (ledger_identity(ledger)->digest == LEDGER_NO_DIGEST)
		return err_set(err, ERR_FAIL,
			       "no proof was recorded when the disk was "
			       "copied: it cannot be verified");
	if (ledger_sealed(ledger))
		return err_set(err, ERR_FAIL,
			       "the ledger is sealed: the disk may have been "
			       "converted and is no longer what was copied");
	return check_complete(ledger, err);
}

static int
verify_all(struct verify *v, struct err *err)
{
	const struct ledger *ledger = v->opts->ledger;

	if (check_ledger(ledger, err) < 0 || open_target(v, err) < 0 ||
	    digest_init(&v->digest, ledger_identity(ledger)->digest, err) < 0)
		return -1;
	for (uint64_t block = 0; block < ledger_nblocks(ledger); block++)
		if (verify_block(v, block, err) < 0 || report(v, err) < 0)
			return -1;
	return verdict(v, err);
}

int
copy_verify(const struct verify_opts *opts, struct verify_result *ret,
	    struct err *err)
{
	struct verify v = {
	    .opts = opts,
	    .fd = -1,
	    .size = ledger_identity(opts->ledger)->size_bytes,
	    .buf = aligned_alloc(4096, LEDGER_BLOCK_SIZE),
	    .reported_ms = clock_mono_ms(),
	    .patience = {.wait_ms = opts->wait_ms},
	};
	int rc;

	if (!v.buf)
		abort();
	v.progress.total_bytes = v.size;
	rc = verify_all(&v, err);
	*ret = v.result;
	wire_close(&v.wire);
	digest_done(&v.digest);
	mem_closep(&v.fd);
	free(v.buf);
	return rc;
}
