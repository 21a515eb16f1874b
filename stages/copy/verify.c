/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a disk back and comparing it with its ledger. */
#include "stages/copy/copy.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/sample.h"
#include "stages/copy/digest.h"
#include "stages/copy/readback.h"

#define PROGRESS_MS 250

struct verify {
	const struct verify_opts *opts;
	uint64_t size; /* of the disk */
	struct readback disk;
	struct wire_patience patience;
	struct sample sample; /* VERIFY_SAMPLED */
	size_t nlisted;	      /* VERIFY_LISTED: so many of them are done */
	struct digest digest;
	uint8_t *buf; /* one block, aligned for O_DIRECT */
	struct copy_progress progress;
	int64_t reported_ms;
	struct verify_result result;
};

static int
open_disk(struct verify *v, struct err *err)
{
	const char *what = v->opts->is_source ? "source" : "target";

	if (readback_open(&v->disk, &v->opts->target, what, &v->patience, err) <
	    0)
		return -1;
	if (v->disk.size < v->size)
		return err_set(err, ERR_MISMATCH,
			       "the %s has only %llu bytes, the ledger is for "
			       "a disk of %llu",
			       what, (unsigned long long)v->disk.size,
			       (unsigned long long)v->size);
	return 0;
}

static void
note_mismatch(struct verify *v, uint64_t block)
{
	if (v->result.nmismatched++ == 0)
		v->result.first_mismatch = block;
	if (v->opts->differs)
		v->opts->differs(v->opts->arg, block);
}

static bool
is_wanted(struct verify *v, uint64_t block, const struct ledger_entry *entry)
{
	const struct verify_opts *opts = v->opts;

	switch (opts->which) {
	case VERIFY_ALL_BLOCKS:
		break;
	case VERIFY_SINCE_GENERATION:
		return entry->generation >= opts->generation;
	case VERIFY_SAMPLED:
		return sample_takes(&v->sample);
	case VERIFY_LISTED:
		if (v->nlisted == opts->nblocks ||
		    opts->blocks[v->nlisted] != block)
			return false;
		v->nlisted++;
	}
	return true;
}

static int
verify_block(struct verify *v, uint64_t block, struct err *err)
{
	uint64_t at = block * LEDGER_BLOCK_SIZE;
	uint64_t left = v->size - at;
	size_t len = left < LEDGER_BLOCK_SIZE ? left : LEDGER_BLOCK_SIZE;
	uint8_t digest[LEDGER_DIGEST_SIZE];
	struct ledger_entry entry;

	ledger_get(v->opts->ledger, block, &entry);
	v->progress.done_bytes += len;
	if (!is_wanted(v, block, &entry)) {
		v->progress.skipped_bytes += len;
		return 0;
	}
	if (readback_block(&v->disk, v->buf, len, at, err) < 0 ||
	    digest_block(&v->digest, v->buf, len, digest, err) < 0)
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
check_ledger(const struct verify_opts *opts, struct err *err)
{
	const struct ledger *ledger = opts->ledger;

	if (ledger_identity(ledger)->digest == LEDGER_NO_DIGEST)
		return err_set(err, ERR_FAIL,
			       "no proof was recorded when the disk was "
			       "copied: it cannot be verified");
	if (ledger_sealed(ledger) && !opts->is_source)
		return err_set(err, ERR_FAIL,
			       "the ledger is sealed: the disk may have been "
			       "converted and is no longer what was copied");
	return check_complete(ledger, err);
}

static int
verify_all(struct verify *v, struct err *err)
{
	const struct ledger *ledger = v->opts->ledger;

	if (check_ledger(v->opts, err) < 0 || open_disk(v, err) < 0 ||
	    digest_init(&v->digest, ledger_identity(ledger)->digest, err) < 0)
		return -1;
	v->sample = sample_begin(ledger_nblocks(ledger), v->opts->sample_size,
				 v->opts->sample_seed);
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
	readback_close(&v.disk);
	digest_done(&v.digest);
	free(v.buf);
	return rc;
}
