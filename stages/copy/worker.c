/* SPDX-License-Identifier: Apache-2.0 */
/* A worker of the copy engine: takes a span of blocks, copies it, takes the
 * next. */
#include "stages/copy/engine.h"

#include <string.h>

#include "base/clock.h"
#include "stages/copy/zero.h"

#define SPANS_PER_WORKER 4 /* at least, so that none idles at the end */

static enum block_plan
plan_block(struct engine *e, uint64_t block, bool *ret_overwrites)
{
	const struct copy_opts *opts = e->opts;
	struct ledger_entry entry = {.state = LEDGER_UNKNOWN};
	bool blank = opts->target.reads_as_zero;

	if (opts->ledger) {
		ledger_get(opts->ledger, block, &entry);
		blank = blank && ledger_is_untouched(opts->ledger, block,
						     opts->generation);
	}
	if (entry.state == LEDGER_DURABLE &&
	    entry.generation == opts->generation)
		return BLOCK_SETTLED;
	*ret_overwrites = entry.state != LEDGER_UNKNOWN;
	return blank ? BLOCK_BLANK : BLOCK_WRITTEN;
}

static void
count_settled(struct engine *e, uint64_t block)
{
	e->progress.done_bytes += engine_block_len(e, block);
	e->progress.skipped_bytes += engine_block_len(e, block);
}

static size_t
span_length(const struct engine *e)
{
	uint64_t n = e->nblocks / (uint64_t)(e->nworkers * SPANS_PER_WORKER);

	return n == 0 ? 1 : n < ENGINE_SPAN ? (size_t)n : ENGINE_SPAN;
}

/* Gives the worker its next span; 0 when there is none.  A block that the
 * ledger knows is pending on disk before anybody may overwrite it. */
static int
take_span(struct worker *w, struct err *err)
{
	struct engine *e = w->e;
	bool any = false;

	w->first = e->next;
	for (w->n = 0; w->n < span_length(e) && e->next < e->nblocks; w->n++) {
		uint64_t block = e->next++;
		bool overwrites = false;

		w->plan[w->n] = plan_block(e, block, &overwrites);
		if (w->plan[w->n] == BLOCK_SETTLED)
			count_settled(e, block);
		if (overwrites)
			ledger_pending(e->opts->ledger, block,
				       e->opts->generation);
		any = any || overwrites;
	}
	if (any && ledger_sync(e->opts->ledger, err) < 0)
		return -1;
	return w->n > 0;
}

/* Lock held. */
static void
note_fresh(struct engine *e, uint64_t block, const uint8_t *digest)
{
	struct fresh *fresh;

	e->progress.done_bytes += engine_block_len(e, block);
	if (!e->opts->ledger)
		return;
	if (e->fresh.n == 0)
		e->fresh_since_ms = clock_mono_ms();
	fresh = vec_push(&e->fresh);
	fresh->block = block;
	memcpy(fresh->digest, digest, LEDGER_DIGEST_SIZE);
	e->fresh_bytes += engine_block_len(e, block);
	if (engine_checkpoint_is_due(e))
		pthread_cond_signal(&e->wake);
}

/* What the target was asked for did not happen. */
static int
target_failed(struct engine *e)
{
	pthread_mutex_lock(&e->lock);
	e->target_failed = true;
	pthread_mutex_unlock(&e->lock);
	return -1;
}

/* `n` blocks that read as zeroes at the source; all BLANK or none. */
static int
copy_zeroes(struct worker *w, size_t i, size_t n, struct err *err)
{
	struct engine *e = w->e;
	uint64_t first = w->first + i;
	uint64_t at = first * LEDGER_BLOCK_SIZE;
	uint64_t len =
	    (n - 1) * LEDGER_BLOCK_SIZE + engine_block_len(e, first + n - 1);
	uint8_t digest[LEDGER_DIGEST_SIZE];

	if (w->plan[i] != BLOCK_BLANK &&
	    output_zero(&e->out, w->lane, len, at, err) < 0)
		return target_failed(e);
	/* only the last block can be short */
	if (digest_zeroes(&w->digest, engine_block_len(e, first + n - 1),
			  digest, err) < 0)
		return -1;
	pthread_mutex_lock(&e->lock);
	for (size_t k = 0; k < n; k++)
		note_fresh(e, first + k, k + 1 < n ? w->digest.zero : digest);
	e->progress.zero_bytes += len;
	pthread_mutex_unlock(&e->lock);
	return 0;
}

static int
copy_data(struct worker *w, size_t i, struct err *err)
{
	struct engine *e = w->e;
	uint64_t block = w->first + i;
	uint64_t at = block * LEDGER_BLOCK_SIZE;
	size_t len = engine_block_len(e, block);
	uint8_t digest[LEDGER_DIGEST_SIZE];
	bool is_zero;

	if (wire_read(&w->source, w->buf, len, at, err) < 0)
		return -1;
	memset(w->buf + len, 0, LEDGER_BLOCK_SIZE - len);
	is_zero = zero_is(w->buf, len);
	pthread_mutex_lock(&e->lock);
	e->progress.read_bytes += len;
	pthread_mutex_unlock(&e->lock);
	if (is_zero)
		return copy_zeroes(w, i, 1, err);
	if (digest_block(&w->digest, w->buf, len, digest, err) < 0)
		return -1;
	if (output_write(&e->out, w->lane, w->buf, len, at, err) < 0)
		return target_failed(e);
	pthread_mutex_lock(&e->lock);
	note_fresh(e, block, digest);
	e->progress.written_bytes += len;
	pthread_mutex_unlock(&e->lock);
	return 0;
}

/* How many holes from i on can be treated as one. */
static size_t
run_of_holes(const struct worker *w, size_t i)
{
	size_t n = 0;

	while (i + n < w->n && w->is_hole[i + n] &&
	       w->plan[i + n] == w->plan[i])
		n++;
	return n;
}

static int
copy_span(struct worker *w, struct err *err)
{
	size_t n;
	int rc = 0;

	for (n = 0; n < w->n && w->plan[n] == BLOCK_SETTLED; n++)
		;
	if (n == w->n)
		return 0;
	if (wire_zero_blocks(&w->source, w->first, w->n, w->is_hole, err) < 0)
		return -1;
	for (size_t i = 0; rc == 0 && i < w->n; i += n) {
		if (atomic_load(&w->e->stop))
			return 0;
		n = run_of_holes(w, i);
		if (w->plan[i] == BLOCK_SETTLED)
			n = n ? n : 1;
		else if (n > 0)
			rc = copy_zeroes(w, i, n, err);
		else
			n = 1, rc = copy_data(w, i, err);
	}
	return rc;
}

void *
worker_run(void *arg)
{
	struct worker *w = arg;
	struct engine *e = w->e;
	struct err err = {0};
	int more = 1;

	while (more > 0 && !atomic_load(&e->stop)) {
		pthread_mutex_lock(&e->lock);
		more = take_span(w, &err);
		pthread_mutex_unlock(&e->lock);
		if (more > 0 && copy_span(w, &err) < 0)
			more = -1;
	}
	pthread_mutex_lock(&e->lock);
	if (more < 0)
		engine_fail(e, &err);
	e->nrunning--;
	pthread_cond_signal(&e->wake);
	pthread_mutex_unlock(&e->lock);
	return NULL;
}
