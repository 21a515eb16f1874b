/* SPDX-License-Identifier: Apache-2.0 */
/* Token buckets in shared memory.
 *
 * `drawn` and `given` only grow.  Whoever finds that time has passed moves
 * `given_us` on, and who succeeds in that adds the bytes of that time to
 * `given`: killed in between, those bytes are lost, and nothing else.  So what
 * is given is never more than the rates allow, whatever happens to whom.  Only
 * monotonic time is counted; the wall clock chooses the rate. */
#include "stages/copy/throttle.h"

#include <time.h>

#include "base/clock.h"

/* Also keeps elapsed time * rate within 64 bits. */
#define MOST_RATE (1ull << 43)
#define MOST_ELAPSED_US 1000000
#define LONGEST_MS 100		     /* rates change meanwhile */
#define LEAST_SPARE (1024ull * 1024) /* saved up while nobody wants any */
#define SPARE_PART 4		     /* of a second's bytes */

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2,
	       "a lock in shared memory would outlive its holder");

static int64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void
throttle_add(struct throttle *t, struct throttle_bucket *bucket,
	     throttle_rate_fn *rate, const void *arg)
{
	t->limit[t->n++] = (struct throttle_limit){bucket, rate, arg};
}

static uint64_t
rate_now(const struct throttle_limit *l)
{
	uint64_t rate = l->rate(l->arg, clock_wall_ms());

	return rate < MOST_RATE ? rate : MOST_RATE;
}

/* Gives at least so many. */
static void
give_upto(struct throttle_bucket *b, uint64_t upto)
{
	uint64_t given = atomic_load(&b->given);

	while (given < upto &&
	       !atomic_compare_exchange_weak(&b->given, &given, upto))
		;
}

/* What nobody wanted is kept for bursts, up to a point. */
static void
drop_spare(struct throttle_bucket *b, uint64_t rate)
{
	uint64_t spare = rate / SPARE_PART, most, given;

	if (spare < LEAST_SPARE)
		spare = LEAST_SPARE;
	most = atomic_load(&b->drawn) + spare;
	given = atomic_load(&b->given);
	while (given > most &&
	       !atomic_compare_exchange_weak(&b->given, &given, most))
		;
}

/* Time that was worth no whole byte is left for later. */
static void
give(struct throttle_bucket *b, uint64_t rate)
{
	int64_t before = atomic_load(&b->given_us), from = before;
	int64_t now = now_us();
	uint64_t bytes;

	if (before == 0 || now - from > MOST_ELAPSED_US)
		from = before == 0 ? now : now - MOST_ELAPSED_US;
	bytes = now > from ? (uint64_t)(now - from) * rate / 1000000 : 0;
	if (bytes == 0 && before != 0)
		return;
	from += (int64_t)((bytes * 1000000 + rate - 1) / rate);
	if (!atomic_compare_exchange_strong(&b->given_us, &before, from))
		return; /* somebody else did */
	atomic_fetch_add(&b->given, bytes);
	drop_spare(b, rate);
}

static int
wait_for(const struct throttle_limit *l, uint64_t upto)
{
	uint64_t rate = rate_now(l), given, ms;

	if (rate == 0) {
		/* who comes when there is a limit again owes nothing */
		give_upto(l->bucket, upto);
		return 0;
	}
	give(l->bucket, rate);
	given = atomic_load(&l->bucket->given);
	if (given >= upto)
		return 0;
	ms = (upto - given) / (rate / 1000 + 1);
	return ms >= LONGEST_MS ? LONGEST_MS : (int)ms + 1;
}

void
throttle_draw(const struct throttle *t, uint64_t bytes,
	      struct throttle_ticket *ret)
{
	for (size_t i = 0; i < t->n; i++)
		ret->upto[i] =
		    atomic_fetch_add(&t->limit[i].bucket->drawn, bytes) + bytes;
}

int
throttle_wait_ms(const struct throttle *t, const struct throttle_ticket *ticket)
{
	int longest = 0;

	for (size_t i = 0; i < t->n; i++) {
		int ms = wait_for(&t->limit[i], ticket->upto[i]);

		longest = ms > longest ? ms : longest;
	}
	return longest;
}
