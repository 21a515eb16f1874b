/* SPDX-License-Identifier: Apache-2.0 */
/* The pauses between the tries of a step: exponential, with full jitter, and
 * a budget.  The jitter is drawn from a fixed seed: SEED=N takes another. */
#include "retries.h"

#include <stdlib.h>

#include "t/tap.h"

#define DRAWS 1000

static uint64_t random_state = 7;

static double
drawn(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (double)(random_state >> 11) / (double)(1ULL << 53);
}

static struct run_policy
policy_of(int attempts, int64_t first_ms, double factor, int64_t max_ms,
	  int64_t total_ms)
{
	struct run_policy p = {0};

	p.retry.attempts = attempts;
	p.retry.first_ms = first_ms;
	p.retry.factor = factor;
	p.retry.max_ms = max_ms;
	p.retry.total_ms = total_ms;
	return p;
}

/* The longest pauses, one after the other. */
static void
test_back_off(void)
{
	static const int64_t twice[] = {100, 200, 400, 800, 1000, 1000, -1};
	static const int64_t half[] = {100, 150, 225, 337, 506, 759, -1};
	struct run_policy p = policy_of(7, 100, 2, 1000, 0),
			  q = policy_of(7, 100, 1.5, 0, 0);
	struct retries r = {0}, s = {0};

	for (int i = 0; i < 7; i++) {
		is_int(retries_take(&p, 1, &r), twice[i], "factor 2, to max");
		is_int(retries_take(&q, 1, &s), half[i], "factor 1.5");
	}
	is_int(r.tried, 7, "tries are counted");
	is_int(r.paused_ms, 3500, "and what they waited");
}

/* Anywhere between nothing and the longest, evenly. */
static void
test_jitter(void)
{
	struct run_policy p = policy_of(100, 500, 2, 0, 0);
	int64_t sum = 0, least = INT64_MAX, most = 0;
	bool within = true;

	for (int i = 0; i < DRAWS; i++) {
		struct retries r = {.tried = 2};
		int64_t ms = retries_take(&p, drawn(), &r);

		within = within && ms >= 0 && ms <= 2000 && r.paused_ms == ms;
		sum += ms;
		least = ms < least ? ms : least;
		most = ms > most ? ms : most;
	}
	ok(within, "no pause is longer than its back-off");
	ok(least < 20 && most > 1980, "they reach from %lld to %lld of 2000 ms",
	   (long long)least, (long long)most);
	ok(llabs(sum / DRAWS - 1000) < 60, "%lld ms in the middle",
	   (long long)(sum / DRAWS));
}

static void
test_random(void)
{
	double least = 1, most = 0;

	for (int i = 0; i < DRAWS; i++) {
		double share = retries_random();

		least = share < least ? share : least;
		most = share > most ? share : most;
	}
	ok(least >= 0 && most <= 1, "shares are between 0 and 1");
	/* wrong once in 10^40 times */
	ok(least < 0.1 && most > 0.9, "and all over it");
}

/* Forgetting the process in between changes nothing: what is left is what the
 * journal's two numbers say. */
static void
test_budget(void)
{
	struct run_policy p = policy_of(1000, 100, 2, 300, 1000);
	bool kept = true;

	for (int i = 0; i < DRAWS; i++) {
		struct retries r = {0};
		int64_t sum = 0, ms;

		while ((ms = retries_take(&p, drawn(), &r)) >= 0) {
			struct retries next = {r.tried, r.paused_ms};

			sum += ms;
			r = next;
		}
		kept = kept && sum == 1000 && r.paused_ms == 1000;
	}
	ok(kept, "all pauses together are as long as the budget, to the ms");
}

static void
test_edges(void)
{
	struct run_policy none = policy_of(1, 100, 2, 0, 0),
			  at_once = policy_of(9, 0, 2, 0, 0),
			  long_ago = policy_of(99999, 100, 10, 0, 0),
			  capped = policy_of(99999, 100, 10, 60000, 0);
	struct retries r = {0};
	int64_t ms;

	is_int(retries_take(&none, 1, &r), -1, "one attempt is no retry");
	is_int(retries_take(&at_once, 1, &r), 0, "no first pause, none at all");
	is_int(retries_take(&long_ago, 0, &r), 0, "a share of 0 is no pause");
	r.tried = 5000;
	ms = retries_take(&long_ago, 1, &r);
	ok(ms > 0, "beyond all numbers it is still a pause: %lld",
	   (long long)ms);
	is_int(retries_take(&capped, 1, &r), 60000, "and max holds");
}

int
main(void)
{
	const char *seed = getenv("SEED");

	if (seed)
		random_state = strtoull(seed, NULL, 10) | 1;
	tap_diag("SEED=%llu", (unsigned long long)random_state);
	test_back_off();
	test_jitter();
	test_random();
	test_budget();
	test_edges();
	return tap_done();
}
