/* SPDX-License-Identifier: Apache-2.0 */
/* Bringing blocks that were copied earlier up to date.
 *
 * What a block holds is known by its digest, so that nothing has to be written
 * before it is known to differ, and then the ledger must say so first.  Blocks
 * go in batches, for one sync of the ledger each:
 *
 *	look	  what the source has now is put together in memory: read
 *		  whole; or, where less than half of it changed, the old
 *		  content from the target, if that is what the ledger says,
 *		  and over it what changed from the source
 *	promise	  those that differ are pending, the ledger is synced
 *	write	  what changed of them
 *	settle	  the target has acknowledged all of them
 *
 * Those that do not differ are durable at the new generation with the digest
 * they had: a pass that is cut short goes on behind them. */
#include <string.h>

#include "stages/copy/engine.h"
#include "stages/copy/extents.h"
#include "stages/copy/zero.h"

#define DELTA_AHEAD 4 /* reads under way at once */

enum delta_verdict {
	DELTA_SAME,
	DELTA_ZERO,  /* from..to is to be zero */
	DELTA_WRITE, /* from..to of the slot's buffer */
};

struct delta_block {
	size_t i; /* of the span */
	struct slot *slot;
	struct ledger_entry old;
	size_t len;	 /* of the block */
	size_t from, to; /* what changed of it, in bytes of the block */
	bool is_begun;	 /* it is being read, as a whole, or was */
	bool is_patched; /* all but that is the target's own */
	bool is_damaged; /* the target does not hold what the ledger says */
	enum delta_verdict verdict;
	uint8_t digest[LEDGER_DIGEST_SIZE];
};

struct delta {
	struct worker *w;
	struct delta_block block[ENGINE_SLOTS];
	size_t n;
	uint64_t len; /* of all of them */
};

static uint64_t
block_at(const struct worker *w, const struct delta_block *b)
{
	return (w->first + b->i) * LEDGER_BLOCK_SIZE;
}

/* Looking. */

struct dirty {
	uint64_t begin, end; /* on the disk */
};

/* The next stretch of the block that changed, from byte *at of the disk on, as
 * it can be asked of both ends; false: there is no more. */
static bool
next_dirty(const struct worker *w, const struct delta_block *b, uint64_t *at,
	   struct dirty *ret)
{
	const struct extents *changed = w->e->opts->changed;
	uint64_t end = block_at(w, b) + b->len;
	uint64_t align = input_align(&w->source);
	struct copy_extent x;

	if (align < output_align(&w->e->out))
		align = output_align(&w->e->out);
	if (!changed || !extents_within(changed, *at, end, &x))
		return false;
	*at = x.offset + x.length;
	ret->begin = x.offset / align * align;
	ret->end = (*at + align - 1) / align * align;
	if (ret->end > end)
		ret->end = end;
	return true;
}

/* How much of the block is to be read at the source. */
static uint64_t
dirty_bytes(const struct worker *w, const struct delta_block *b)
{
	uint64_t at = block_at(w, b), sum = 0;
	struct dirty d;

	while (next_dirty(w, b, &at, &d))
		sum += d.end - d.begin;
	return sum;
}

/* Reading most of a block in pieces is dearer than reading it whole, and
 * without a digest nobody knows what the rest of it is. */
static bool
is_worth_patching(const struct worker *w, const struct delta_block *b)
{
	return w->e->opts->pass == COPY_CHANGED &&
	       w->digest.kind != LEDGER_NO_DIGEST &&
	       dirty_bytes(w, b) <= b->len / 2;
}

static void
count(struct worker *w, uint64_t *counter, uint64_t bytes)
{
	pthread_mutex_lock(&w->e->lock);
	*counter += bytes;
	pthread_mutex_unlock(&w->e->lock);
}

/* Puts the old content into the slot; *ret_good: it is what was copied. */
static int
read_old(struct worker *w, struct delta_block *b, bool *ret_good,
	 struct err *err)
{
	uint8_t digest[LEDGER_DIGEST_SIZE];

	if (output_read(&w->e->out, w->lane, b->slot->buf, b->len,
			block_at(w, b), err) < 0) {
		if (!wire_is_unreadable(err))
			return worker_target_failed(w->e);
		*err = (struct err){0}; /* the source has it, too */
		*ret_good = false;
		return 0;
	}
	if (digest_block(&w->digest, b->slot->buf, b->len, digest, err) < 0)
		return -1;
	count(w, &w->e->progress.reread_bytes, b->len);
	*ret_good = memcmp(digest, b->old.digest, sizeof(digest)) == 0;
	return 0;
}

static int
end_read(struct worker *w, struct input_op *op, uint64_t len, struct err *err)
{
	if (input_end(&w->source, op, output_wire(&w->e->out, w->lane), err) <
	    0)
		return -1;
	count(w, &w->e->progress.read_bytes, len);
	return 0;
}

static int
read_source(struct worker *w, const struct delta_block *b, uint64_t from,
	    uint64_t to, struct err *err)
{
	struct input_op *op = &b->slot->read;

	input_begin(&w->source, op, b->slot->buf + from, to - from,
		    block_at(w, b) + from);
	return end_read(w, op, to - from, err);
}

static void
begin_whole(struct worker *w, struct delta_block *b)
{
	input_begin(&w->source, &b->slot->read, worker_buffer(b->slot), b->len,
		    block_at(w, b));
	b->is_begun = true;
}

/* It may be under way. */
static int
read_whole(struct worker *w, struct delta_block *b, struct err *err)
{
	if (!b->is_begun)
		begin_whole(w, b);
	return end_read(w, &b->slot->read, b->len, err);
}

/* What changed, over what was there: up to b->to it is the source's. */
static int
patch(struct worker *w, struct delta_block *b, struct err *err)
{
	uint64_t begin = block_at(w, b), at = begin;
	struct dirty d;

	b->is_patched = true;
	b->from = b->len;
	b->to = 0;
	while (next_dirty(w, b, &at, &d)) {
		if (read_source(w, b, d.begin - begin, d.end - begin, err) < 0)
			return -1;
		if (d.begin - begin < b->from)
			b->from = d.begin - begin;
		if (d.end - begin > b->to)
			b->to = d.end - begin;
	}
	return 0;
}

/* The whole block as the source has it now, in the slot's buffer. */
static int
fill(struct worker *w, struct delta_block *b, struct err *err)
{
	bool good = false;

	(void)worker_buffer(b->slot);
	b->from = 0;
	b->to = b->len;
	if (w->is_hole[b->i]) {
		memset(b->slot->buf, 0, LEDGER_BLOCK_SIZE);
		return 0;
	}
	if (is_worth_patching(w, b)) {
		if (read_old(w, b, &good, err) < 0)
			return -1;
		b->is_damaged = !good;
		if (good && patch(w, b, err) < 0)
			return -1;
	}
	if (!b->is_patched && read_whole(w, b, err) < 0)
		return -1;
	/* a last one that is short is padded by what is written */
	memset(b->slot->buf + b->len, 0, LEDGER_BLOCK_SIZE - b->len);
	return 0;
}

/* A block that is a hole needs no look at its bytes. */
static int
look_at_block(struct worker *w, struct delta_block *b, struct err *err)
{
	bool zero = w->is_hole[b->i];
	int rc;

	if (fill(w, b, err) < 0)
		return -1;
	zero = zero || zero_is(b->slot->buf + b->from, b->to - b->from);
	b->verdict = zero ? DELTA_ZERO : DELTA_WRITE;
	if (zero && !b->is_patched)
		rc = digest_zeroes(&w->digest, b->len, b->digest, err);
	else
		rc = digest_block(&w->digest, b->slot->buf, b->len, b->digest,
				  err);
	if (rc == 0 && !b->is_damaged && w->digest.kind != LEDGER_NO_DIGEST &&
	    memcmp(b->digest, b->old.digest, sizeof(b->digest)) == 0)
		b->verdict = DELTA_SAME;
	return rc;
}

/* The reads of whole blocks are under way before they are waited for. */
static void
read_ahead(struct delta *d, size_t from)
{
	struct worker *w = d->w;

	for (size_t i = from; i < d->n && i < from + DELTA_AHEAD; i++) {
		struct delta_block *b = &d->block[i];

		if (b->is_begun || w->is_hole[b->i] || is_worth_patching(w, b))
			continue;
		begin_whole(w, b);
	}
}

static int
look(struct delta *d, struct err *err)
{
	for (size_t i = 0; i < d->n; i++) {
		read_ahead(d, i);
		if (look_at_block(d->w, &d->block[i], err) < 0)
			return -1;
	}
	return 0;
}

/* What was looked at, for a source that came back. */

static int
tell_patched(const struct worker *w, const struct delta_block *b,
	     delta_piece_fn *tell, void *arg, struct err *err)
{
	uint64_t begin = block_at(w, b), at = begin;
	struct dirty d;

	while (next_dirty(w, b, &at, &d) && d.end - begin <= b->to)
		if (tell(arg, d.begin, d.end - d.begin,
			 b->slot->buf + (d.begin - begin), err) < 0)
			return -1;
	return 0;
}

int
delta_each_in_hand(const struct worker *w, delta_piece_fn *tell, void *arg,
		   struct err *err)
{
	const struct delta *d = w->delta;
	int rc = 0;

	for (size_t i = 0; d && rc == 0 && i < d->n; i++) {
		const struct delta_block *b = &d->block[i];

		if (b->is_patched)
			rc = tell_patched(w, b, tell, arg, err);
		else if (b->is_begun && input_has_come(&b->slot->read))
			rc = tell(arg, block_at(w, b), b->len, b->slot->buf,
				  err);
	}
	return rc;
}

/* Writing. */

static int
promise(struct delta *d, struct err *err)
{
	struct engine *e = d->w->e;
	bool any = false;
	int rc = 0;

	pthread_mutex_lock(&e->lock);
	for (size_t i = 0; i < d->n; i++)
		if (d->block[i].verdict != DELTA_SAME) {
			ledger_pending(e->opts->ledger,
				       d->w->first + d->block[i].i,
				       e->opts->generation);
			any = true;
		}
	if (any)
		rc = ledger_sync(e->opts->ledger, err);
	pthread_mutex_unlock(&e->lock);
	return rc;
}

static int
write_block(struct worker *w, struct delta_block *b, struct err *err)
{
	uint64_t at = block_at(w, b) + b->from;

	b->slot->write = (struct output_op){0};
	if (b->verdict == DELTA_SAME)
		return 0;
	if (b->verdict == DELTA_ZERO)
		return output_zero(&w->e->out, w->lane, b->to - b->from, at,
				   err);
	return output_begin(&w->e->out, w->lane, &b->slot->write,
			    b->slot->buf + b->from, b->to - b->from, at, err);
}

/* What was begun is waited for, whatever came of the others: the buffers are
 * used again. */
static int
write_all(struct delta *d, struct err *err)
{
	struct worker *w = d->w;
	struct err ignored;
	size_t begun = 0;
	int rc = 0;

	while (rc == 0 && begun < d->n) {
		rc = write_block(w, &d->block[begun], err);
		begun += rc == 0;
	}
	for (size_t i = 0; i < begun; i++)
		if (output_end(&d->block[i].slot->write, NULL,
			       rc == 0 ? err : &ignored) < 0)
			rc = -1;
	return rc < 0 ? worker_target_failed(w->e) : 0;
}

static int
settle(struct delta *d, struct err *err)
{
	struct engine *e = d->w->e;
	struct copy_progress *p = &e->progress;

	if (again_lock(d->w, err) < 0)
		return -1;
	e->begun_bytes -= d->len;
	for (size_t i = 0; i < d->n; i++) {
		const struct delta_block *b = &d->block[i];
		uint64_t changed = b->to - b->from;

		worker_note_fresh(d->w, b->i, b->digest,
				  b->verdict == DELTA_ZERO && !b->is_patched);
		p->mended_bytes += b->is_damaged ? b->len : 0;
		p->same_bytes += b->verdict == DELTA_SAME ? b->len : 0;
		p->zero_bytes += b->verdict == DELTA_ZERO ? changed : 0;
		p->zeroed_bytes += b->verdict == DELTA_ZERO ? changed : 0;
		p->written_bytes += b->verdict == DELTA_WRITE ? changed : 0;
	}
	pthread_mutex_unlock(&e->lock);
	return 0;
}

/* The next blocks of the span that are to be looked at, from *next on. */
static void
gather(struct delta *d, size_t *next)
{
	struct worker *w = d->w;
	size_t most = engine_batch(w->e, ENGINE_SLOTS);

	d->len = 0;
	for (d->n = 0; *next < w->n && d->n < most; (*next)++) {
		struct delta_block *b = &d->block[d->n];

		if (w->plan[*next] != BLOCK_DELTA)
			continue;
		*b = (struct delta_block){
		    .i = *next,
		    .slot = &w->slot[d->n],
		    .len = engine_block_len(w->e, w->first + *next),
		};
		pthread_mutex_lock(&w->e->lock);
		ledger_get(w->e->opts->ledger, w->first + b->i, &b->old);
		pthread_mutex_unlock(&w->e->lock);
		d->len += b->len;
		d->n++;
	}
}

/* What the blocks are to be read for at the source, when it may be. */
static int
await_turn(struct delta *d, struct err *err)
{
	uint64_t bytes = 0;

	if (!d->w->e->opts->throttle)
		return 0;
	for (size_t i = 0; i < d->n; i++) {
		const struct delta_block *b = &d->block[i];

		if (!d->w->is_hole[b->i])
			bytes += is_worth_patching(d->w, b)
				     ? dirty_bytes(d->w, b)
				     : b->len;
	}
	return worker_await_turn(d->w, bytes, err);
}

static int
bring_up_to_date(struct delta *d, struct err *err)
{
	struct worker *w = d->w;
	size_t next = 0;

	while (next < w->n && !atomic_load(&w->e->stop)) {
		gather(d, &next);
		if (await_turn(d, err) < 0)
			return atomic_load(&w->e->stop) ? 0 : -1;
		if (worker_take_in_hand(w, d->len, err) < 0 ||
		    look(d, err) < 0 || promise(d, err) < 0 ||
		    write_all(d, err) < 0 || settle(d, err) < 0)
			return -1;
	}
	return 0;
}

int
delta_span(struct worker *w, struct err *err)
{
	struct delta d = {.w = w};
	int rc;

	w->delta = &d;
	rc = bring_up_to_date(&d, err);
	w->delta = NULL;
	return rc;
}
