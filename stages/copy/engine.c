/* SPDX-License-Identifier: Apache-2.0 */
/* The copy engine.
 *
 * A few workers share the disk span by span.  Each has a connection to the
 * source and does everything with a block itself: read, look for zeroes,
 * hash, write.  Handing blocks to other threads costs more than it gains.
 * The caller's thread watches: progress, cancellation, checkpoints.
 *
 *	span taken    what is not unknown is marked pending, ledger synced
 *	block done    the target acknowledged it: noted as `fresh`
 *	checkpoint    the fresh ones so far are taken aside, *then* the target
 *	              is flushed, then they are durable, then the ledger synced
 *
 * So whatever the ledger calls durable was acknowledged before a flush that
 * succeeded, and no block is overwritten while the ledger on disk still calls
 * it durable. */
#include "stages/copy/engine.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"

#define DEFAULT_CONNECTIONS 2
#define DEFAULT_CHECKPOINT_MS 5000
#define DEFAULT_CHECKPOINT_BYTES (1024ull * 1024 * 1024)
#define PROGRESS_MS 250

size_t
engine_block_len(const struct engine *e, uint64_t block)
{
	uint64_t left = e->size - block * LEDGER_BLOCK_SIZE;

	return left < LEDGER_BLOCK_SIZE ? (size_t)left : LEDGER_BLOCK_SIZE;
}

void
engine_fail(struct engine *e, const struct err *err)
{
	if (e->err.class == ERR_NONE)
		e->err = *err;
	atomic_store(&e->stop, true);
	pthread_cond_signal(&e->wake);
}

bool
engine_checkpoint_is_due(const struct engine *e)
{
	const struct copy_opts *opts = e->opts;
	int64_t ms = opts->checkpoint_ms > 0 ? opts->checkpoint_ms
					     : DEFAULT_CHECKPOINT_MS;
	uint64_t bytes = opts->checkpoint_bytes ? opts->checkpoint_bytes
						: DEFAULT_CHECKPOINT_BYTES;

	return e->fresh.n > 0 && (e->fresh_bytes >= bytes ||
				  clock_mono_ms() - e->fresh_since_ms >= ms);
}

/* Lock held, but for the flush: the workers go on meanwhile, and what they
 * write then waits for the next checkpoint. */
static int
checkpoint(struct engine *e, struct err *err)
{
	struct ledger *ledger = e->opts->ledger;
	struct fresh_list flushed = e->fresh;
	int rc;

	e->fresh = (struct fresh_list){0};
	e->fresh_bytes = 0;
	pthread_mutex_unlock(&e->lock);
	rc = output_flush(&e->out, err);
	pthread_mutex_lock(&e->lock);
	if (rc < 0)
		e->target_failed = true;
	for (size_t i = 0; rc == 0 && ledger && i < flushed.n; i++)
		ledger_durable(ledger, flushed.v[i].block, e->opts->generation,
			       flushed.v[i].digest);
	vec_done(&flushed);
	if (rc == 0 && ledger)
		rc = ledger_sync(ledger, err);
	return rc;
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
		atomic_store(&e->stop, true);
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

/* Lock held. */
static void
watch(struct engine *e)
{
	int64_t reported_ms = clock_mono_ms();
	struct err err = {0};

	while (e->nrunning > 0) {
		wait_a_little(e, PROGRESS_MS);
		if (clock_mono_ms() - reported_ms >= PROGRESS_MS) {
			reported_ms = clock_mono_ms();
			report(e);
		}
		if (engine_checkpoint_is_due(e) && !e->target_failed &&
		    e->err.class == ERR_NONE && checkpoint(e, &err) < 0)
			engine_fail(e, &err);
	}
}

/* Workers leave signals to the thread that knows what to do about them. */
static int
start_worker(struct worker *w)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&w->thread, NULL, worker_run, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

/* The last checkpoint, also of a copy that failed elsewhere: what the target
 * took need not be copied again. */
static void
settle(struct engine *e)
{
	struct err err = {0};

	if (!e->target_failed && output_can_flush(&e->out) &&
	    checkpoint(e, &err) < 0)
		engine_fail(e, &err);
	if (e->err.class == ERR_NONE && e->cancelled)
		err_set(&e->err, ERR_CANCELLED, "the copy was asked to stop");
	report(e);
}

static int
run_workers(struct engine *e, struct worker *workers, struct err *err)
{
	int started;

	pthread_mutex_lock(&e->lock);
	for (started = 0; started < e->nworkers; started++) {
		if (start_worker(&workers[started]) != 0)
			break;
		e->nrunning++;
	}
	if (started == 0)
		engine_fail(e, &(struct err){.class = ERR_RETRY,
					     .text = "cannot start a thread"});
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

/* NBD servers round sizes up to sectors; more than that is another disk. */
static int
check_source_size(struct engine *e, uint64_t source, struct err *err)
{
	unsigned long long has = source, want = e->size;

	if (!e->opts->ledger || has == want ||
	    (has > want && has == (want + 511) / 512 * 512))
		return 0;
	return err_set(err, ERR_FAIL,
		       "the source has %llu bytes, but the ledger is for a "
		       "disk of %llu: it was %s since",
		       has, want, has < want ? "shrunk" : "grown");
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

/* The source is asked first how many connections it can have at all. */
static int
open_sources(struct engine *e, struct worker *workers, struct err *err)
{
	const struct copy_opts *opts = e->opts;
	int most = opts->connections ? opts->connections : DEFAULT_CONNECTIONS;

	if (most > OUTPUT_LANES)
		most = OUTPUT_LANES;
	do {
		struct worker *w = &workers[e->nworkers];

		w->e = e;
		w->lane = e->nworkers;
		if (wire_open(&w->source, opts->source_uri, "source", err) < 0)
			return -1;
		e->nworkers++;
	} while (e->nworkers < most && workers[0].source.can_multi_conn);
	e->size = opts->ledger ? ledger_identity(opts->ledger)->size_bytes
			       : workers[0].source.size;
	e->nblocks = (e->size + LEDGER_BLOCK_SIZE - 1) / LEDGER_BLOCK_SIZE;
	e->progress.total_bytes = e->size;
	return check_source_size(e, workers[0].source.size, err);
}

static int
open_tools(struct engine *e, struct worker *workers, struct err *err)
{
	enum ledger_digest kind = e->opts->ledger
				      ? ledger_identity(e->opts->ledger)->digest
				      : LEDGER_NO_DIGEST;

	for (int i = 0; i < e->nworkers; i++) {
		workers[i].buf = aligned_alloc(4096, LEDGER_BLOCK_SIZE);
		if (!workers[i].buf)
			abort();
		if (digest_init(&workers[i].digest, kind, err) < 0)
			return -1;
	}
	return 0;
}

static int
copy(struct engine *e, struct worker *workers, struct err *err)
{
	const struct copy_opts *opts = e->opts;

	if (opts->ledger && opts->generation == 0)
		return err_set(err, ERR_BUG, "generations count from 1");
	if (open_sources(e, workers, err) < 0 ||
	    output_open(&e->out, &opts->target, e->nworkers, err) < 0 ||
	    check_target(e, err) < 0 || open_tools(e, workers, err) < 0)
		return -1;
	if (opts->ledger &&
	    ledger_begin(opts->ledger, opts->generation, err) < 0)
		return -1;
	return run_workers(e, workers, err);
}

static void
engine_init(struct engine *e, const struct copy_opts *opts)
{
	pthread_condattr_t monotonic;

	*e = (struct engine){.opts = opts, .out = {.fd = -1}};
	pthread_mutex_init(&e->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&e->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

static void
engine_done(struct engine *e, struct worker *workers)
{
	for (int i = 0; i < OUTPUT_LANES; i++) {
		wire_close(&workers[i].source);
		digest_done(&workers[i].digest);
		free(workers[i].buf);
	}
	output_close(&e->out);
	vec_done(&e->fresh);
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
