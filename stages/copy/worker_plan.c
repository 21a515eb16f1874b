/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a block, by what the ledger and the target know of it. */
#include "stages/copy/engine.h"
#include "stages/copy/extents.h"

/* Blocks are asked for in turn, and what this run writes lies before them: one
 * answer holds up to the data it names. */
static bool
target_has_data(struct engine *e, uint64_t block)
{
	uint64_t at = block * LEDGER_BLOCK_SIZE;

	if (at >= e->next_data)
		e->next_data = output_next_data(&e->out, at);
	return e->next_data < at + engine_block_len(e, block);
}

/* Nothing was written there.  What an attempt before this one wrote may be of a
 * source that was another then, and nobody noticed. */
static bool
is_blank(struct engine *e, uint64_t block)
{
	const struct copy_opts *opts = e->opts;

	if (!opts->target.reads_as_zero || !opts->ledger)
		return opts->target.reads_as_zero;
	return ledger_is_untouched(opts->ledger, block, opts->generation) &&
	       (e->is_first ||
		(output_knows_data(&e->out) && !target_has_data(e, block)));
}

/* Is a block without an entry one that an earlier attempt reached? */
static bool
was_begun(struct engine *e, const struct ledger_entry *entry, uint64_t block)
{
	if (!e->opts->ledger)
		return false;
	/* of generation 0 is what was pending since the disk grew */
	return (entry->state == LEDGER_PENDING && entry->generation > 0) ||
	       (entry->state == LEDGER_UNKNOWN && target_has_data(e, block));
}

/* Of a block that is durable at another generation, in a pass that brings it
 * up to date. */
static bool
may_differ(const struct engine *e, uint64_t block)
{
	const struct copy_opts *opts = e->opts;
	uint64_t at = block * LEDGER_BLOCK_SIZE;
	struct copy_extent ignored;

	if (opts->pass == COPY_COMPARE)
		return true;
	return opts->changed &&
	       extents_within(opts->changed, at,
			      at + engine_block_len(e, block), &ignored);
}

enum block_plan
worker_plan(struct worker *w, size_t i, uint64_t block, bool *ret_overwrites)
{
	struct engine *e = w->e;
	const struct copy_opts *opts = e->opts;
	struct ledger_entry entry = {.state = LEDGER_UNKNOWN};

	w->is_again[i] = false;
	if (opts->ledger)
		ledger_get(opts->ledger, block, &entry);
	if (entry.state == LEDGER_DURABLE &&
	    entry.generation == opts->generation)
		return BLOCK_SETTLED;
	if (entry.state == LEDGER_DURABLE && opts->pass != COPY_ALL)
		return may_differ(e, block) ? BLOCK_DELTA : BLOCK_SETTLED;
	*ret_overwrites = entry.state != LEDGER_UNKNOWN;
	w->is_again[i] = was_begun(e, &entry, block);
	return is_blank(e, block) ? BLOCK_BLANK : BLOCK_WRITTEN;
}
