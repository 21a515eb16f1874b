/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a disk back and comparing it with its ledger.
 *
 * A few readers share the blocks, each with a connection or descriptor of its
 * own, and read and hash one after the other.  The caller's thread watches:
 * it alone calls back. */
#include "stages/copy/copy.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/sample.h"
#include "base/vec.h"
#include "stages/copy/digest.h"
#include "stages/copy/readback.h"
#include "stages/copy/thread.h"

#define PROGRESS_MS 250
#define NREADERS 2
#define LESS_TRIES 2	 /* of a block, where another could not be read */
#define PASSED_OVER 4096 /* blocks nobody wants, without a pause */

struct verify;

struct reader {
	struct verify *v;
	pthread_t thread;
	struct readback disk;
	struct digest digest;
	uint8_t *buf;	/* one block, aligned for O_DIRECT */
	uint64_t block; /* in hand; UINT64_MAX: none */
	struct ledger_entry entry;
	bool unreadable; /* the block in hand */
	struct err why;
};

struct verify {
	const struct verify_opts *opts;
	uint64_t size, nblocks; /* of the disk */
	struct wire_patience patience;
	struct reader reader[NREADERS];
	int nreaders;
	atomic_bool stop; /* no new block is begun */

	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t wake;  /* the watching thread */
	int nrunning;
	uint64_t next;	      /* first block nobody has taken */
	struct sample sample; /* VERIFY_SAMPLED */
	size_t nlisted;	      /* VERIFY_LISTED: so many of them are done */
	VEC(uint64_t) differ; /* not yet told of */
	struct copy_progress progress;
	struct verify_result result;
	struct err why; /* the first unreadable block is */
	struct err err; /* the first one */
};

static size_t
block_len(const struct verify *v, uint64_t block)
{
	uint64_t left = v->size - block * LEDGER_BLOCK_SIZE;

	return left < LEDGER_BLOCK_SIZE ? (size_t)left : LEDGER_BLOCK_SIZE;
}

/* The first reader's must open. */
static int
open_disk(struct verify *v, struct err *err)
{
	struct reader *r = &v->reader[0];
	const char *what = v->opts->is_source ? "source" : "target";

	if (readback_open(&r->disk, &v->opts->target, what, &v->patience, err) <
	    0)
		return -1;
	v->nreaders = 1;
	if (r->disk.size < v->size)
		return err_set(err, ERR_MISMATCH,
			       "the %s has only %llu bytes, the ledger is for "
			       "a disk of %llu",
			       what, (unsigned long long)r->disk.size,
			       (unsigned long long)v->size);
	return 0;
}

/* A server that takes no more clients, or shows them another disk, is read over
 * the one it took. */
static void
open_more(struct verify *v)
{
	const struct readback *first = &v->reader[0].disk;
	struct err ignored;

	while (v->nreaders < NREADERS && (uint64_t)v->nreaders < v->nblocks &&
	       (first->disk->file || first->wire.can_multi_conn)) {
		if (readback_open_more(&v->reader[v->nreaders].disk, first,
				       &ignored) < 0)
			break;
		v->nreaders++;
	}
}

static int
open_readers(struct verify *v, struct err *err)
{
	enum ledger_digest kind = ledger_identity(v->opts->ledger)->digest;

	if (open_disk(v, err) < 0)
		return -1;
	open_more(v);
	for (int i = 0; i < v->nreaders; i++) {
		struct reader *r = &v->reader[i];

		r->v = v;
		r->block = UINT64_MAX;
		r->buf = aligned_alloc(4096, LEDGER_BLOCK_SIZE);
		if (!r->buf)
			abort();
		if (digest_init(&r->digest, kind, err) < 0)
			return -1;
	}
	return 0;
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
		break;
	case VERIFY_DURABLE:
		return entry->state == LEDGER_DURABLE;
	}
	return true;
}

/* Lock held.  False when there are none left; r->block may still be none then
 * and otherwise. */
static bool
take_block(struct reader *r)
{
	struct verify *v = r->v;

	r->block = UINT64_MAX;
	for (int i = 0; i < PASSED_OVER && v->next < v->nblocks; i++) {
		uint64_t block = v->next++;

		ledger_get(v->opts->ledger, block, &r->entry);
		v->progress.done_bytes += block_len(v, block);
		if (is_wanted(v, block, &r->entry)) {
			r->block = block;
			return true;
		}
		v->progress.skipped_bytes += block_len(v, block);
	}
	return v->next < v->nblocks;
}

/* Until its share of the bandwidth comes; false: asked to stop. */
static bool
await_turn(struct reader *r)
{
	struct verify *v = r->v;
	const struct throttle *throttle = v->opts->throttle;
	struct throttle_ticket ticket;
	int ms;

	if (!throttle)
		return true;
	throttle_draw(throttle, block_len(v, r->block), &ticket);
	while ((ms = throttle_wait_ms(throttle, &ticket)) > 0) {
		if (atomic_load(&v->stop))
			return false;
		poll(NULL, 0, ms);
		pthread_mutex_lock(&v->lock);
		v->progress.held_ms += ms;
		pthread_mutex_unlock(&v->lock);
	}
	return true;
}

/* What a target cannot read is not what was copied there, and who repairs it
 * writes it anew.  After the first it is not asked for so patiently. */
static bool
is_unreadable(struct reader *r, const struct err *err)
{
	if (r->v->opts->is_source || !wire_is_unreadable(err))
		return false;
	r->disk.wire.ntries = LESS_TRIES;
	r->unreadable = true;
	r->why = *err;
	return true;
}

static int
check_block(struct reader *r, bool *ret_differs, struct err *err)
{
	uint8_t digest[LEDGER_DIGEST_SIZE];
	size_t len = block_len(r->v, r->block);

	r->unreadable = false;
	if (readback_block(&r->disk, r->buf, len, r->block * LEDGER_BLOCK_SIZE,
			   err) < 0) {
		*ret_differs = is_unreadable(r, err);
		return *ret_differs ? 0 : -1;
	}
	if (digest_block(&r->digest, r->buf, len, digest, err) < 0)
		return -1;
	*ret_differs = memcmp(digest, r->entry.digest, sizeof(digest)) != 0;
	return 0;
}

/* Lock held. */
static void
note_checked(struct reader *r, bool differs)
{
	struct verify *v = r->v;

	v->progress.read_bytes += block_len(v, r->block);
	v->result.nchecked++;
	if (!differs)
		return;
	if (r->unreadable && v->result.nunreadable++ == 0)
		v->why = r->why;
	if (v->result.nmismatched++ == 0 || r->block < v->result.first_mismatch)
		v->result.first_mismatch = r->block;
	if (v->opts->differs)
		*vec_push(&v->differ) = r->block;
}

/* Lock held.  Nobody waits for answers any more. */
static void
stop(struct verify *v)
{
	if (!atomic_exchange(&v->stop, true))
		atomic_store(&v->patience.until_ms, clock_mono_ms());
}

static void *
read_blocks(void *arg)
{
	struct reader *r = arg;
	struct verify *v = r->v;
	struct err err = {0};
	bool differs;
	int rc = 0;

	pthread_mutex_lock(&v->lock);
	while (rc == 0 && !atomic_load(&v->stop) && take_block(r)) {
		pthread_mutex_unlock(&v->lock);
		if (r->block != UINT64_MAX && !await_turn(r))
			r->block = UINT64_MAX;
		if (r->block != UINT64_MAX)
			rc = check_block(r, &differs, &err);
		pthread_mutex_lock(&v->lock);
		if (rc == 0 && r->block != UINT64_MAX)
			note_checked(r, differs);
	}
	r->block = UINT64_MAX;
	if (rc < 0 && v->err.class == ERR_NONE)
		v->err = err;
	if (rc < 0)
		stop(v);
	v->nrunning--;
	pthread_cond_signal(&v->wake);
	pthread_mutex_unlock(&v->lock);
	return NULL;
}

static int
by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Lock held.  In ascending order: not those behind which a block is still in
 * hand. */
static void
tell_what_differs(struct verify *v)
{
	uint64_t before = UINT64_MAX;
	size_t n = 0;

	for (int i = 0; i < v->nreaders; i++)
		if (v->reader[i].block < before)
			before = v->reader[i].block;
	if (v->differ.n > 0)
		qsort(v->differ.v, v->differ.n, sizeof(*v->differ.v),
		      by_number);
	for (; n < v->differ.n && v->differ.v[n] < before; n++)
		v->opts->differs(v->opts->arg, v->differ.v[n]);
	if (n > 0)
		memmove(v->differ.v, v->differ.v + n,
			(v->differ.n - n) * sizeof(*v->differ.v));
	v->differ.n -= n;
}

/* Lock held. */
static void
report(struct verify *v)
{
	struct copy_progress progress = v->progress;
	int asked;

	if (!v->opts->progress)
		return;
	pthread_mutex_unlock(&v->lock);
	asked = v->opts->progress(v->opts->arg, &progress);
	pthread_mutex_lock(&v->lock);
	if (!asked || atomic_load(&v->stop))
		return;
	err_set(&v->err, ERR_CANCELLED, "the verification was asked to stop");
	stop(v);
}

/* Lock held.  Until no reader runs. */
static void
watch(struct verify *v)
{
	struct timespec until;
	int64_t next_ms = clock_mono_ms() + PROGRESS_MS;

	while (v->nrunning > 0) {
		until.tv_sec = (time_t)(next_ms / 1000);
		until.tv_nsec = (long)(next_ms % 1000) * 1000000;
		pthread_cond_timedwait(&v->wake, &v->lock, &until);
		if (clock_mono_ms() < next_ms)
			continue;
		next_ms = clock_mono_ms() + PROGRESS_MS;
		tell_what_differs(v);
		report(v);
	}
	tell_what_differs(v);
}

static int
read_all(struct verify *v, struct err *err)
{
	int started;

	pthread_mutex_lock(&v->lock);
	for (started = 0; started < v->nreaders; started++) {
		if (thread_start(&v->reader[started].thread, read_blocks,
				 &v->reader[started]) != 0)
			break;
		v->nrunning++;
	}
	if (started == 0)
		err_set(&v->err, ERR_RETRY, "cannot start a thread");
	watch(v);
	pthread_mutex_unlock(&v->lock);
	for (int i = 0; i < started; i++)
		pthread_join(v->reader[i].thread, NULL);
	*err = v->err;
	return v->err.class == ERR_NONE ? 0 : -1;
}

static int
verdict(const struct verify *v, struct err *err)
{
	const struct verify_result *r = &v->result;

	if (r->nmismatched == 0)
		return 0;
	if (r->nunreadable > 0)
		return err_set(
		    err, ERR_MISMATCH,
		    "%llu of %llu blocks differ from the ledger, the first is "
		    "block %llu at byte %llu; %llu of them are unreadable: %s",
		    (unsigned long long)r->nmismatched,
		    (unsigned long long)r->nchecked,
		    (unsigned long long)r->first_mismatch,
		    (unsigned long long)r->first_mismatch * LEDGER_BLOCK_SIZE,
		    (unsigned long long)r->nunreadable, v->why.text);
	return err_set(
	    err, ERR_MISMATCH,
	    "%llu of %llu blocks differ from the ledger, the first "
	    "is block %llu at byte %llu",
	    (unsigned long long)r->nmismatched, (unsigned long long)r->nchecked,
	    (unsigned long long)r->first_mismatch,
	    (unsigned long long)r->first_mismatch * LEDGER_BLOCK_SIZE);
}

void
copy_verify_soften(const struct verify_result *r, struct err *err)
{
	if (err->class == ERR_MISMATCH && r->nunreadable > 0 &&
	    r->nunreadable == r->nmismatched)
		err->class = ERR_RETRY;
}

/* As far as it is asked for. */
static int
check_complete(const struct verify_opts *opts, struct err *err)
{
	bool listed = opts->which == VERIFY_LISTED;
	uint64_t n = opts->which == VERIFY_DURABLE ? 0
		     : listed			   ? opts->nblocks
			      : ledger_nblocks(opts->ledger);
	struct ledger_entry entry;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t block = listed ? opts->blocks[i] : i;

		ledger_get(opts->ledger, block, &entry);
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
	return check_complete(opts, err);
}

static int
verify_all(struct verify *v, struct err *err)
{
	if (check_ledger(v->opts, err) < 0 || open_readers(v, err) < 0)
		return -1;
	v->sample = sample_begin(v->nblocks, v->opts->sample_size,
				 v->opts->sample_seed);
	if (read_all(v, err) < 0 || ledger_check(v->opts->ledger, err) < 0)
		return -1;
	return verdict(v, err);
}

static void
verify_init(struct verify *v, const struct verify_opts *opts)
{
	pthread_condattr_t monotonic;

	*v = (struct verify){
	    .opts = opts,
	    .size = ledger_identity(opts->ledger)->size_bytes,
	    .nblocks = ledger_nblocks(opts->ledger),
	    .patience = {.wait_ms = opts->wait_ms},
	};
	v->progress.total_bytes = v->size;
	pthread_mutex_init(&v->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&v->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

static void
verify_done(struct verify *v)
{
	for (int i = 0; i < NREADERS; i++) {
		readback_close(&v->reader[i].disk);
		digest_done(&v->reader[i].digest);
		free(v->reader[i].buf);
	}
	vec_done(&v->differ);
	pthread_cond_destroy(&v->wake);
	pthread_mutex_destroy(&v->lock);
}

int
copy_verify(const struct verify_opts *opts, struct verify_result *ret,
	    struct err *err)
{
	struct verify v;
	int rc;

	verify_init(&v, opts);
	rc = verify_all(&v, err);
	*ret = v.result;
	verify_done(&v);
	return rc;
}
