/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks that were damaged on the target, copied again. */
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

int
copy_repair(const struct copy_opts *opts, const uint64_t *blocks,
	    size_t nblocks, struct copy_progress *ret, struct err *err)
{
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
	return copy_run(&again, ret, err);
}
