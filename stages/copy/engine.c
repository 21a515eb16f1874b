/* SPDX-License-Identifier: Apache-2.0 */
/* The copy engine.
 *
 * A few workers share the disk span by span.  Each has a connection to the
 * source and does everything with a block itself: read, look for zeroes,
 * hash, write.  Handing blocks to other threads costs more than it gains,
 * unless those do not look at the bytes (direct.h).
 * The caller's thread watches: progress, cancellation, checkpoints.
 *
 *	span taken    what is not unknown is marked pending, ledger synced
 *	block done    the target acknowledged it: noted as `fresh`
 *	checkpoint    the fresh ones so far are taken aside, *then* the target
 *	              is flushed, then they are durable, then the ledger synced
 *
 * A target that takes long to flush must not let the next checkpoint grow:
 * workers wait when two checkpoints' work is not durable yet.
 *
 * So whatever the ledger calls durable was acknowledged before a flush that
 * succeeded, and no block is overwritten while the ledger on disk still calls
 * it durable. */
#include "stages/copy/engine.h"

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "stages/copy/thread.h"

#define DEFAULT_CONNECTIONS 2
#define DEFAULT_CHECKPOINT_MS 5000
#define DEFAULT_CHECKPOINT_BYTES (1024ull * 1024 * 1024)
#define PROGRESS_MS 250
#define SPANS_PER_WORKER 4 /* at least, so that none idles at the end */

size_t
engine_block_len(const struct engine *e, uint64_t block)
{
	uint64_t left = e->size - block * LEDGER_BLOCK_SIZE;

	return left < LEDGER_BLOCK_SIZE ? (size_t)left : LEDGER_BLOCK_SIZE;
}

/* Nobody waits for the source any more, but the target may still answer to
 * what it was sent, and flush. */
void
engine_stop(struct engine *e)
{
	int64_t grace =
	    e->opts->grace_ms > 0 ? e->opts->grace_ms : COPY_GRACE_MS;
	int64_t now = clock_mono_ms();

	if (atomic_exchange(&e->stop, true))
		return;
	atomic_store(&e->source_patience.until_ms, now);
	atomic_store(&e->target_patience.until_ms, now + grace);
	pthread_cond_signal(&e->wake);
	pthread_cond_broadcast(&e->room);
}

void
engine_fail(struct engine *e, const struct err *err)
{
	if (e->err.class == ERR_NONE)
		e->err = *err;
	engine_stop(e);
}

static uint64_t
checkpoint_bytes(const struct engine *e)
{
	return e->opts->checkpoint_bytes ? e->opts->checkpoint_bytes
					 : DEFAULT_CHECKPOINT_BYTES;
}

size_t
engine_batch(const struct engine *e, size_t most)
{
	uint64_t n = checkpoint_bytes(e) / LEDGER_BLOCK_SIZE;

	return n == 0 ? 1 : n < most ? (size_t)n : most;
}

size_t
engine_span(const struct engine *e)
{
	uint64_t n = e->nblocks / (uint64_t)(e->nworkers * SPANS_PER_WORKER);

	return n == 0 ? 1 : n < ENGINE_SPAN ? (size_t)n : ENGINE_SPAN;
}

/* Until one is due for its time; far away when there is nothing to be made
 * durable. */
static int64_t
checkpoint_in_ms(const struct engine *e)
{
	int64_t ms = e->opts->checkpoint_ms > 0 ? e->opts->checkpoint_ms
						: DEFAULT_CHECKPOINT_MS;

	return e->fresh.n > 0 ? e->fresh_since_ms + ms - clock_mono_ms()
			      : INT64_MAX;
}

bool
engine_checkpoint_is_due(const struct engine *e)
{
	return e->fresh.n > 0 &&
	       (e->fresh_bytes >= checkpoint_bytes(e) ||
		e->fresh.n >= ENGINE_FRESH || checkpoint_in_ms(e) <= 0);
}

/* When nothing is in hand, and a block is no more than a checkpoint, what is
 * full has a checkpoint due or under way: so there will be room. */
bool
engine_is_full(const struct engine *e, uint64_t len)
{
	uint64_t at_risk = e->begun_bytes + e->fresh_bytes + e->flushed_bytes;

	return at_risk > 0 && at_risk + len > 2 * checkpoint_bytes(e);
}

/* Lock held. */
static int
note_durable(struct engine *e, struct err *err)
{
	struct ledger *ledger = e->opts->ledger;

	if (!ledger)
		return 0;
	for (size_t i = 0; i < e->flushed.n; i++)
		ledger_durable(ledger, e->flushed.v[i].block,
			       e->opts->generation, e->flushed.v[i].digest);
	return ledger_sync(ledger, err);
}

/* The workers go on meanwhile, and what they write then waits for the next
 * checkpoint.  When a write of theirs failed, nobody knows whose it was, and
 * the flush proves nothing. */
static void *
flush(void *arg)
{
	struct engine *e = arg;
	struct err err = {0};
	int rc = output_flush(&e->out, &err);

	pthread_mutex_lock(&e->lock);
	if (rc < 0)
		e->target_failed = true;
	else if (!e->target_failed)
		rc = note_durable(e, &err);
	if (rc < 0)
		engine_fail(e, &err);
	e->is_flushing = false;
	if (!e->target_failed && rc == 0)
		e->flushed_bytes = 0; /* else they are still at risk */
	pthread_cond_signal(&e->wake);
	pthread_cond_broadcast(&e->room);
	pthread_mutex_unlock(&e->lock);
	return NULL;
}

static void
join_flusher(struct engine *e)
{
	if (e->has_flusher)
		pthread_join(e->flusher, NULL);
	e->has_flusher = false;
}

static void
fail_without_thread(struct engine *e)
{
	engine_fail(e, &(struct err){.class = ERR_RETRY,
				     .text = "cannot start a thread"});
}

/* Lock held. */
static void
begin_checkpoint(struct engine *e)
{
	join_flusher(e);
	vec_done(&e->flushed);
	e->flushed = e->fresh;
	e->flushed_bytes = e->fresh_bytes;
	e->fresh = (struct fresh_list){0};
	e->fresh_bytes = 0;
	pthread_cond_broadcast(&e->room);
	e->is_flushing = true;
	e->has_flusher = thread_start(&e->flusher, flush, e) == 0;
	if (e->has_flusher)
		return;
	e->is_flushing = false;
	fail_without_thread(e);
}

static void
report(struct engine *e)
{
	struct copy_progress progress = e->progress;
	int asked;

	if (!e->opts->progress)
		return;
	pthread_mutex_unlock(&e->lock);
	asked = e->opts->progress(e->opts->arg, &progress);
	pthread_mutex_lock(&e->lock);
	if (asked) {
		e->cancelled = true;
		engine_stop(e);
	}
}

static void
wait_a_little(struct engine *e, int64_t ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (long)ms * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_cond_timedwait(&e->wake, &e->lock, &until);
}

static bool
may_checkpoint(const struct engine *e)
{
	return !e->is_flushing && !e->target_failed && e->err.class == ERR_NONE;
}

/* No checkpoint is late because nobody looked. */
static int64_t
watch_ms(const struct engine *e)
{
	int64_t ms = may_checkpoint(e) ? checkpoint_in_ms(e) : PROGRESS_MS;

	return ms < 0 ? 0 : ms < PROGRESS_MS ? ms : PROGRESS_MS;
}

/* Lock held.  Until no worker runs and no checkpoint is under way. */
static void
watch(struct engine *e)
{
	int64_t reported_ms = clock_mono_ms();

	while (e->nrunning > 0 || e->is_flushing) {
		wait_a_little(e, watch_ms(e));
		if (clock_mono_ms() - reported_ms >= PROGRESS_MS) {
			reported_ms = clock_mono_ms();
			report(e);
		}
		if (engine_checkpoint_is_due(e) && may_checkpoint(e))
			begin_checkpoint(e);
	}
	join_flusher(e);
}

/* The last checkpoint, also of a copy that failed elsewhere: what the target
 * took need not be copied again. */
static void
settle(struct engine *e)
{
	if (!e->target_failed && output_can_flush(&e->out)) {
		begin_checkpoint(e);
		watch(e);
	}
	if (e->cancelled &&
	    (e->err.class == ERR_NONE || e->err.class == ERR_CANCELLED))
		err_set(&e->err, ERR_CANCELLED,
			e->target_failed
			    ? "the copy was asked to stop; the target did not "
			      "finish its last checkpoint in time, which is "
			      "copied again"
			    : "the copy was asked to stop");
	report(e);
}

static int
run_workers(struct engine *e, struct worker *workers, struct err *err)
{
	int started;

	pthread_mutex_lock(&e->lock);
	for (started = 0; started < e->nworkers; started++) {
		if (thread_start(&workers[started].thread, worker_run,
				 &workers[started]) != 0)
			break;
		e->nrunning++;
	}
	if (started == 0)
		fail_without_thread(e);
	watch(e);
	pthread_mutex_unlock(&e->lock);
	for (int i = 0; i < started; i++)
		pthread_join(workers[i].thread, NULL);
	pthread_mutex_lock(&e->lock);
	settle(e);
	pthread_mutex_unlock(&e->lock);
	*err = e->err;
	return e->err.class == ERR_NONE ? 0 : -1;
}

/* The disk's size, as far as it was known before; 0: nobody asked yet. */
static uint64_t
known_size(const struct copy_opts *opts)
{
	return opts->ledger ? ledger_identity(opts->ledger)->size_bytes
			    : opts->size_bytes;
}

/* NBD servers round sizes up to sectors; more than that is another disk. */
static int
check_source_size(struct engine *e, uint64_t source, struct err *err)
{
	unsigned long long has = source, want = known_size(e->opts);

	if (want == 0 || has == want ||
	    (has > want && has == (want + 511) / 512 * 512))
		return 0;
	return err_set(err, ERR_FAIL,
		       "the source has %llu bytes, but %s a disk of %llu: it "
		       "was %s since",
		       has, e->opts->ledger ? "the ledger is for" : "it had",
		       want, has < want ? "shrunk" : "grown");
}

static int
check_target(struct engine *e, struct err *err)
{
	if (e->out.size < e->size)
		return err_set(err, ERR_FAIL,
			       "the target has only %llu bytes, the source "
			       "has %llu",
			       (unsigned long long)e->out.size,
			       (unsigned long long)e->size);
	if (e->opts->ledger && !output_can_flush(&e->out))
		return err_set(err, ERR_FAIL,
			       "the target '%s' offers no flush, so that "
			       "nothing on it can be proved durable: it can "
			       "only be copied to without a ledger",
			       e->opts->target.uri);
	return 0;
}

/* The source is asked first how many connections it can have at all; one that
 * then takes no more, or shows those another disk, is read over those it
 * took. */
static int
open_sources(struct engine *e, struct worker *workers, struct err *err)
{
	const struct copy_opts *opts = e->opts;
	struct input *first = &workers[0].source;
	int most = opts->connections ? opts->connections : DEFAULT_CONNECTIONS;
	struct err ignored;

	if (most > OUTPUT_LANES)
		most = OUTPUT_LANES;
	if (input_open(first, opts->source_file, opts->source_uri,
		       &e->source_patience, err) < 0)
		return -1;
	first->wire.server = opts->source_server;
	for (e->nworkers = 1; e->nworkers < most; e->nworkers++)
		if (!input_can_share(first) ||
		    input_open_more(&workers[e->nworkers].source, first,
				    &ignored) < 0)
			break;
	e->size = known_size(opts) ? known_size(opts) : first->size;
	e->nblocks = (e->size + LEDGER_BLOCK_SIZE - 1) / LEDGER_BLOCK_SIZE;
	e->progress.total_bytes = e->size;
	return check_source_size(e, first->size, err);
}

static int
init_workers(struct engine *e, struct worker *workers, enum ledger_digest kind,
	     struct err *err)
{
	for (int i = 0; i < e->nworkers; i++) {
		struct worker *w = &workers[i];

		w->e = e;
		w->lane = i;
		w->depth = 1;
		w->source.wire.is_same = again_check;
		w->source.wire.arg = w;
		if (digest_init(&w->digest, kind, err) < 0)
			return -1;
	}
	return 0;
}

static int
open_tools(struct engine *e, struct worker *workers, struct err *err)
{
	enum ledger_digest kind = e->opts->ledger
				      ? ledger_identity(e->opts->ledger)->digest
				      : LEDGER_NO_DIGEST;

	e->can_share =
	    e->opts->source_file && e->out.is_file && kind == LEDGER_NO_DIGEST;
	/* Past the page cache where the hashing wants the processor; whoever
	 * has it to spare is faster through it.  Other passes read the
	 * target. */
	if (e->opts->pass == COPY_ALL && kind == LEDGER_SHA256)
		output_go_direct(&e->out);
	return init_workers(e, workers, kind, err);
}

static int
check_pass(const struct copy_opts *opts, struct err *err)
{
	if (opts->ledger && opts->generation == 0)
		return err_set(err, ERR_BUG, "generations count from 1");
	if (opts->pass != COPY_ALL && !opts->ledger)
		return err_set(err, ERR_BUG,
			       "nothing is known of the copy "
			       "that is to be brought up to "
			       "date");
	if (opts->pass == COPY_COMPARE &&
	    ledger_identity(opts->ledger)->digest == LEDGER_NO_DIGEST)
		return err_set(err, ERR_FAIL,
			       "no proof was recorded when the disk was "
			       "copied: there is nothing to compare it with; "
			       "copy all of it again");
	return 0;
}

static int
copy(struct engine *e, struct worker *workers, struct err *err)
{
	const struct copy_opts *opts = e->opts;

	if (check_pass(opts, err) < 0)
		return -1;
	if (open_sources(e, workers, err) < 0 ||
	    output_open(&e->out, &opts->target, e->nworkers,
			&e->target_patience, err) < 0 ||
	    check_target(e, err) < 0 || open_tools(e, workers, err) < 0)
		return -1;
	e->is_first = !opts->ledger || !ledger_was_begun(opts->ledger);
	if (opts->ledger &&
	    ledger_begin(opts->ledger, opts->generation, err) < 0)
		return -1;
	return run_workers(e, workers, err);
}

static void
engine_init(struct engine *e, const struct copy_opts *opts)
{
	pthread_condattr_t monotonic;

	*e = (struct engine){
	    .opts = opts,
	    .out = {.fd = -1},
	    .source_patience = {.wait_ms = opts->wait_ms},
	    .target_patience = {.wait_ms = opts->wait_ms},
	};
	pthread_mutex_init(&e->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&e->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_cond_init(&e->room, NULL);
}

static void
engine_done(struct engine *e, struct worker *workers)
{
	output_close(&e->out); /* from here on no buffer is on its way */
	for (int i = 0; i < OUTPUT_LANES; i++) {
		input_close(&workers[i].source);
		digest_done(&workers[i].digest);
		for (int k = 0; k < ENGINE_SLOTS; k++)
			free(workers[i].slot[k].buf);
	}
	vec_done(&e->fresh);
	vec_done(&e->flushed);
	pthread_cond_destroy(&e->room);
	pthread_cond_destroy(&e->wake);
	pthread_mutex_destroy(&e->lock);
}

int
copy_run(const struct copy_opts *opts, struct copy_progress *ret,
	 struct err *err)
{
	CLEANUP(mem_freep)
	struct worker *workers = mem_new(OUTPUT_LANES * sizeof(*workers));
	struct engine e;
	int rc;

	engine_init(&e, opts);
	rc = copy(&e, workers, err);
	*ret = e.progress;
	engine_done(&e, workers);
	return rc;
}
