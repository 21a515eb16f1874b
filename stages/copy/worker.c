/* SPDX-License-Identifier: Apache-2.0 */
/* A worker of the copy engine: takes a span of blocks, copies it, takes the
 * next. */
#include "stages/copy/engine.h"

#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "stages/copy/zero.h"

#define MOST_READS (ENGINE_SLOTS / 2)
#define SLOW_MS 2 /* a wait that is longer wants more reads at once */
#define HELD_MS 5 /* one that is longer leaves nothing half done meanwhile */

static void
count_settled(struct worker *w, uint64_t block)
{
	struct copy_progress *p = &w->e->progress;

	p->done_bytes += engine_block_len(w->e, block);
	p->skipped_bytes += engine_block_len(w->e, block);
	again_note_settled(w, block);
}

/* Lock held. */
static void
wait_for_room(struct engine *e)
{
	while (e->fresh.n >= ENGINE_FRESH && !atomic_load(&e->stop)) {
		pthread_cond_signal(&e->wake);
		pthread_cond_wait(&e->room, &e->lock);
	}
}

/* Gives the worker its next span; 0 when there is none.  A block that the
 * ledger knows is pending on disk before anybody may overwrite it. */
static int
take_span(struct worker *w, struct err *err)
{
	struct engine *e = w->e;
	bool any = false;

	wait_for_room(e);
	w->first = e->next;
	for (w->n = 0; w->n < engine_span(e) && e->next < e->nblocks; w->n++) {
		uint64_t block = e->next++;
		bool overwrites = false;

		w->plan[w->n] = worker_plan(w, w->n, block, &overwrites);
		if (w->plan[w->n] == BLOCK_SETTLED)
			count_settled(w, block);
		if (overwrites)
			ledger_pending(e->opts->ledger, block,
				       e->opts->generation);
		any = any || overwrites;
	}
	if (any && ledger_sync(e->opts->ledger, err) < 0)
		return -1;
	if (e->opts->ledger && ledger_check(e->opts->ledger, err) < 0)
		return -1;
	return w->n > 0;
}

void
worker_note_fresh(struct worker *w, size_t i, const uint8_t *digest,
		  bool is_zero)
{
	struct engine *e = w->e;
	uint64_t block = w->first + i;
	struct fresh *fresh;

	e->progress.done_bytes += engine_block_len(e, block);
	if (w->is_again[i])
		e->progress.redone_bytes += engine_block_len(e, block);
	seen_note(&e->seen, block, digest, is_zero);
	if (!e->opts->ledger)
		return;
	if (e->fresh.n == 0)
		e->fresh_since_ms = clock_mono_ms();
	fresh = vec_push(&e->fresh);
	fresh->block = block;
	memcpy(fresh->digest, digest, LEDGER_DIGEST_SIZE);
	e->fresh_bytes += engine_block_len(e, block);
	/* the end of one that is under way wakes it, too */
	if (!e->is_flushing && engine_checkpoint_is_due(e))
		pthread_cond_signal(&e->wake);
}

int
worker_target_failed(struct engine *e)
{
	pthread_mutex_lock(&e->lock);
	e->target_failed = true;
	pthread_mutex_unlock(&e->lock);
	return -1;
}

static uint64_t
run_len(const struct worker *w, size_t i, size_t n)
{
	/* only the last block can be short */
	return (n - 1) * LEDGER_BLOCK_SIZE +
	       engine_block_len(w->e, w->first + i + n - 1);
}

/* `n` blocks read as zeroes at the source, and do so at the target. */
static int
note_zeroes(struct worker *w, size_t i, size_t n, struct err *err)
{
	struct engine *e = w->e;
	uint64_t len = run_len(w, i, n);
	uint8_t digest[LEDGER_DIGEST_SIZE];

	if (digest_zeroes(&w->digest, engine_block_len(e, w->first + i + n - 1),
			  digest, err) < 0)
		return -1;
	if (again_lock(w, err) < 0)
		return -1;
	for (size_t k = 0; k < n; k++)
		worker_note_fresh(w, i + k, k + 1 < n ? w->digest.zero : digest,
				  true);
	e->progress.zero_bytes += len;
	if (w->plan[i] != BLOCK_BLANK)
		e->progress.zeroed_bytes += len;
	pthread_mutex_unlock(&e->lock);
	return 0;
}

struct slot *
worker_slot(struct worker *w, uint64_t n)
{
	return &w->slot[n % ENGINE_SLOTS];
}

uint8_t *
worker_buffer(struct slot *s)
{
	if (!s->buf)
		s->buf = aligned_alloc(4096, LEDGER_BLOCK_SIZE);
	if (!s->buf)
		abort();
	return s->buf;
}

/* What was in the buffer that was used last is still in the processor's
 * cache: so that one is the next, when none is in use. */
static void
begin_read(struct worker *w, size_t i)
{
	uint64_t block = w->first + i;
	struct slot *s;

	if (w->nwritten == w->nbegun)
		w->nbegun = w->nread = w->nwritten = 0;
	s = worker_slot(w, w->nbegun++);
	s->i = i;
	s->is_settled = true;
	input_begin(&w->source, &s->read, worker_buffer(s),
		    engine_block_len(w->e, block), block * LEDGER_BLOCK_SIZE);
}

/* Here a request at a time is best, and the more the longer the way to the
 * server: what was waited for says which it is. */
static int
wait_for_read(struct worker *w, struct slot *s, struct err *err)
{
	int64_t began_ms = clock_mono_ms();

	if (input_end(&w->source, &s->read, output_wire(&w->e->out, w->lane),
		      err) < 0)
		return -1;
	if (!w->source.file && clock_mono_ms() - began_ms >= SLOW_MS &&
	    w->depth < MOST_READS)
		w->depth++;
	return 0;
}

/* It is not in hand any more. */
static void
leave(struct engine *e, uint64_t len)
{
	pthread_mutex_lock(&e->lock);
	e->begun_bytes -= len;
	pthread_cond_broadcast(&e->room);
	pthread_mutex_unlock(&e->lock);
}

/* A block that was read, its bandwidth with it, and was nothing but zeroes. */
static int
end_zero_read(struct worker *w, size_t i, struct err *err)
{
	struct engine *e = w->e;
	uint64_t len = run_len(w, i, 1);

	if (w->plan[i] != BLOCK_BLANK &&
	    output_zero(&e->out, w->lane, len,
			(w->first + i) * LEDGER_BLOCK_SIZE, err) < 0)
		return worker_target_failed(e);
	if (note_zeroes(w, i, 1, err) < 0)
		return -1;
	leave(e, len); /* it is fresh now */
	return 0;
}

/* A block that was read goes on to the target. */
static int
pass_on(struct worker *w, struct slot *s, struct err *err)
{
	struct engine *e = w->e;
	uint64_t block = w->first + s->i;
	size_t len = engine_block_len(e, block);

	memset(s->buf + len, 0, LEDGER_BLOCK_SIZE - len);
	pthread_mutex_lock(&e->lock);
	e->progress.read_bytes += len;
	pthread_mutex_unlock(&e->lock);
	if (zero_is(s->buf, len))
		return end_zero_read(w, s->i, err);
	if (digest_block(&w->digest, s->buf, len, s->digest, err) < 0)
		return -1;
	if (output_begin(&e->out, w->lane, &s->write, s->buf, len,
			 block * LEDGER_BLOCK_SIZE, err) < 0)
		return worker_target_failed(e);
	s->is_settled = false;
	return 0;
}

/* The oldest read.  Until it is on its way to the target, or was noted as
 * zeroes, it counts as one. */
static int
end_read(struct worker *w, struct err *err)
{
	struct slot *s = worker_slot(w, w->nread);

	if (wait_for_read(w, s, err) < 0 || pass_on(w, s, err) < 0)
		return -1;
	w->nread++;
	return 0;
}

/* The target has acknowledged the block. */
static int
note_written(struct worker *w, struct slot *s, struct err *err)
{
	struct engine *e = w->e;

	if (output_end(&s->write, w->source.file ? NULL : &w->source.wire,
		       err) < 0)
		return worker_target_failed(e);
	if (again_lock(w, err) < 0)
		return -1;
	worker_note_fresh(w, s->i, s->digest, false);
	e->progress.written_bytes += engine_block_len(e, w->first + s->i);
	e->begun_bytes -= engine_block_len(e, w->first + s->i);
	pthread_mutex_unlock(&e->lock);
	return 0;
}

/* The oldest write, which is in hand until it is noted. */
static int
end_write(struct worker *w, struct err *err)
{
	struct slot *s = worker_slot(w, w->nwritten);
	int rc = s->is_settled ? 0 : note_written(w, s, err);

	w->nwritten++;
	return rc;
}

/* Until at most so many reads and writes are under way. */
static int
drain(struct worker *w, uint64_t nreads, uint64_t nwrites, struct err *err)
{
	while (w->nbegun - w->nread > nreads)
		if (atomic_load(&w->e->stop) || end_read(w, err) < 0)
			return -1;
	while (w->nread - w->nwritten > nwrites)
		if (end_write(w, err) < 0)
			return -1;
	return 0;
}

static bool
is_to_be_copied(const struct worker *w, size_t i)
{
	return w->plan[i] == BLOCK_BLANK || w->plan[i] == BLOCK_WRITTEN;
}

static bool
take_in_hand(struct engine *e, uint64_t len)
{
	if (e->opts->ledger && engine_is_full(e, len))
		return false;
	e->begun_bytes += len;
	return true;
}

/* Who has to wait ends what it has in hand first, or all might wait for each
 * other. */
int
worker_take_in_hand(struct worker *w, uint64_t len, struct err *err)
{
	struct engine *e = w->e;
	bool has_room;

	pthread_mutex_lock(&e->lock);
	has_room = take_in_hand(e, len);
	pthread_mutex_unlock(&e->lock);
	if (has_room)
		return 0;
	if (drain(w, 0, 0, err) < 0)
		return -1;
	pthread_mutex_lock(&e->lock);
	while (!has_room && !atomic_load(&e->stop)) {
		has_room = take_in_hand(e, len);
		if (!has_room)
			pthread_cond_wait(&e->room, &e->lock);
	}
	pthread_mutex_unlock(&e->lock);
	return has_room ? 0 : -1;
}

/* Until its share of the bandwidth comes. */
static int
hold(struct worker *w, const struct throttle_ticket *ticket, struct err *err)
{
	struct engine *e = w->e;
	int ms;

	while ((ms = throttle_wait_ms(e->opts->throttle, ticket)) > 0) {
		if (atomic_load(&e->stop) ||
		    (ms > HELD_MS && drain(w, 0, 0, err) < 0))
			return -1;
		poll(NULL, 0, ms);
		pthread_mutex_lock(&e->lock);
		e->progress.held_ms += ms;
		pthread_mutex_unlock(&e->lock);
	}
	return 0;
}

int
worker_await_turn(struct worker *w, uint64_t bytes, struct err *err)
{
	const struct throttle *throttle = w->e->opts->throttle;
	struct throttle_ticket ticket;

	while (throttle && bytes > 0) {
		uint64_t n =
		    bytes < LEDGER_BLOCK_SIZE ? bytes : LEDGER_BLOCK_SIZE;

		throttle_draw(throttle, n, &ticket);
		if (hold(w, &ticket, err) < 0)
			return -1;
		bytes -= n;
	}
	return 0;
}

/* How many blocks of data from i on can be treated as one. */
static size_t
run_of_data(const struct worker *w, size_t i)
{
	size_t most = engine_batch(w->e, ENGINE_SHARE), n = 0;

	while (n < most && i + n < w->n && !w->is_hole[i + n] &&
	       is_to_be_copied(w, i + n))
		n++;
	return n;
}

/* 1: the file system would not. */
static int
share_data(struct worker *w, size_t i, size_t n, struct err *err)
{
	static const uint8_t none[LEDGER_DIGEST_SIZE];
	struct engine *e = w->e;
	uint64_t first = w->first + i;
	uint64_t len = run_len(w, i, n);
	int rc;

	if (worker_take_in_hand(w, len, err) < 0)
		return -1;
	rc = output_share(&e->out, w->lane, w->source.fd, len,
			  first * LEDGER_BLOCK_SIZE, err);
	if (rc < 0)
		return worker_target_failed(e);
	if (rc > 0) {
		leave(e, len);
		atomic_store(&e->can_share, false);
		return 1;
	}
	pthread_mutex_lock(&e->lock);
	e->begun_bytes -= len;
	for (size_t k = 0; k < n; k++)
		worker_note_fresh(w, i + k, none, false);
	e->progress.read_bytes += len;
	e->progress.written_bytes += len;
	pthread_mutex_unlock(&e->lock);
	return 0;
}

/* *ret_n blocks, at least one. */
static int
copy_data(struct worker *w, size_t i, size_t *ret_n, struct err *err)
{
	bool can_share = atomic_load(&w->e->can_share);
	unsigned ahead = output_ahead(&w->e->out);
	int rc;

	*ret_n = can_share ? run_of_data(w, i) : 1;
	if (worker_await_turn(w, *ret_n * LEDGER_BLOCK_SIZE, err) < 0)
		return -1;
	if (can_share) {
		rc = share_data(w, i, *ret_n, err);
		if (rc <= 0)
			return rc;
	}
	*ret_n = 1;
	ahead = ahead > w->depth ? ahead : w->depth;
	if (drain(w, w->depth - 1, ahead - 1, err) < 0 ||
	    worker_take_in_hand(w, engine_block_len(w->e, w->first + i), err) <
		0)
		return -1;
	begin_read(w, i);
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

/* Zeroes that nobody read, but that are sent: they have their share of the
 * bandwidth, as all that is moved. */
static int
send_zeroes(struct worker *w, size_t i, size_t n, struct err *err)
{
	for (; n > 0; i++, n--) {
		uint64_t len = run_len(w, i, 1);

		if (atomic_load(&w->e->stop) ||
		    worker_await_turn(w, len, err) < 0)
			return -1;
		if (output_write_zeroes(&w->e->out, w->lane, len,
					(w->first + i) * LEDGER_BLOCK_SIZE,
					err) < 0)
			return worker_target_failed(w->e);
	}
	return 0;
}

/* `*n` holes that are alike, or fewer of them: what is not blank is made zero,
 * and that would have to be done again. */
static int
copy_holes(struct worker *w, size_t i, size_t *n, struct err *err)
{
	struct engine *e = w->e;
	uint64_t len;
	int rc;

	if (w->plan[i] == BLOCK_BLANK)
		return note_zeroes(w, i, *n, err);
	*n = engine_batch(e, *n);
	len = run_len(w, i, *n);
	if (worker_take_in_hand(w, len, err) < 0)
		return -1;
	rc = output_punch(&e->out, w->lane, len,
			  (w->first + i) * LEDGER_BLOCK_SIZE, err);
	if (rc < 0)
		return worker_target_failed(e);
	if ((rc > 0 && send_zeroes(w, i, *n, err) < 0) ||
	    note_zeroes(w, i, *n, err) < 0)
		return -1;
	leave(e, len); /* they are fresh now */
	return 0;
}

static int
copy_blocks(struct worker *w, struct err *err)
{
	size_t n;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < w->n; i += n) {
		if (atomic_load(&w->e->stop))
			return 0;
		n = run_of_holes(w, i);
		if (!is_to_be_copied(w, i))
			n = n ? n : 1;
		else if (n > 0)
			rc = copy_holes(w, i, &n, err);
		else
			rc = copy_data(w, i, &n, err);
	}
	return rc;
}

/* After a failure elsewhere, or when asked to stop, nobody waits for reads any
 * more, but what the target was sent is still worth its answer. */
static int
copy_span(struct worker *w, struct err *err)
{
	bool holes[ENGINE_SPAN];
	struct err ignored;
	size_t n;

	memset(w->is_hole, false, sizeof(w->is_hole));
	for (n = 0; n < w->n && w->plan[n] == BLOCK_SETTLED; n++)
		;
	if (n == w->n)
		return 0;
	if (input_zero_blocks(&w->source, w->first, w->n, holes, err) < 0)
		return -1;
	memcpy(w->is_hole, holes, w->n * sizeof(*holes));
	if (copy_blocks(w, err) == 0 && drain(w, 0, 0, err) == 0)
		return delta_span(w, err);
	while (w->nwritten < w->nread)
		(void)end_write(w, &ignored);
	return atomic_load(&w->e->stop) && err->class == ERR_NONE ? 0 : -1;
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
