/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks that were damaged on the target, copied again. */
#include <string.h>

#include "base/mem.h"
#include "stages/copy/copy.h"

static int
check_source(const struct copy_opts *opts, const uint64_t *blocks,
	     size_t nblocks, struct err *err)
{
	struct verify_opts check = {
	    .target = {.file = opts->source_file, .uri = opts->source_uri},
	    .is_source = true,
	    .ledger = opts->ledger,
	    .wait_ms = opts->wait_ms,
	    .throttle = opts->throttle,
	    .which = VERIFY_LISTED,
	    .blocks = blocks,
	    .nblocks = nblocks,
	    /* it may take long, and whoever waits for a sign of life waits
	     * for this one, too */
	    .progress = opts->progress,
	    .arg = opts->arg,
	};
	struct verify_result result;

	if (copy_verify(&check, &result, err) == 0)
		return 0;
	if (err->class == ERR_MISMATCH)
		return err_wrap(err, "the source is not what was copied any "
				     "more, and nothing was repaired");
	return err_wrap(err, "looking whether the source still has the blocks");
}

/* From here on, if all ends, a copy makes them good. */
static int
give_up_blocks(const struct copy_opts *opts, const uint64_t *blocks,
	       size_t nblocks, struct err *err)
{
	for (size_t i = 0; i < nblocks; i++)
		ledger_pending(opts->ledger, blocks[i], opts->generation);
	return ledger_sync(opts->ledger, err);
}

/* Their digests, one behind the other; caller frees. */
static uint8_t *
digests_of(const struct ledger *l, const uint64_t *blocks, size_t nblocks)
{
	uint8_t *all = mem_new((nblocks + 1) * LEDGER_DIGEST_SIZE);
	struct ledger_entry entry;

	for (size_t i = 0; i < nblocks; i++) {
		ledger_get(l, blocks[i], &entry);
		memcpy(all + i * LEDGER_DIGEST_SIZE, entry.digest,
		       LEDGER_DIGEST_SIZE);
	}
	return all;
}

/* The source may have changed since it was looked at: then what was copied is
 * to be copied again, and not by the digest that it has now. */
static int
check_copied(const struct copy_opts *opts, const uint64_t *blocks,
	     size_t nblocks, const uint8_t *was, struct err *err)
{
	CLEANUP(mem_freep)
	uint8_t *now = digests_of(opts->ledger, blocks, nblocks);
	uint64_t other = UINT64_MAX;

	for (size_t i = nblocks; i-- > 0;) {
		if (memcmp(was + i * LEDGER_DIGEST_SIZE,
			   now + i * LEDGER_DIGEST_SIZE,
			   LEDGER_DIGEST_SIZE) == 0)
			continue;
		ledger_pending(opts->ledger, blocks[i], opts->generation);
		other = blocks[i];
	}
	if (other == UINT64_MAX)
		return 0;
	if (ledger_sync(opts->ledger, err) < 0)
		return -1;
	return err_set(err, ERR_MISMATCH,
		       "the source changed while it was copied from: block "
		       "%llu at byte %llu is not what was copied before",
		       (unsigned long long)other,
		       (unsigned long long)other * LEDGER_BLOCK_SIZE);
}

int
copy_repair(const struct copy_opts *opts, const uint64_t *blocks,
	    size_t nblocks, struct copy_progress *ret, struct err *err)
{
	CLEANUP(mem_freep)
	uint8_t *was = digests_of(opts->ledger, blocks, nblocks);
	struct copy_opts again = *opts;

	*ret = (struct copy_progress){0};
	if (ledger_sealed(opts->ledger))
		return err_set(err, ERR_FAIL,
			       "the ledger is sealed: the disk may have been "
			       "converted, and what was copied is not to be "
			       "put into it any more");
	if (check_source(opts, blocks, nblocks, err) < 0 ||
	    give_up_blocks(opts, blocks, nblocks, err) < 0)
		return -1;
	/* nothing changed: what is not durable is all there is to copy */
	again.pass = COPY_CHANGED;
	again.changed = NULL;
	if (copy_run(&again, ret, err) < 0)
		return -1;
	return check_copied(opts, blocks, nblocks, was, err);
}
