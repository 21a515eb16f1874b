/* SPDX-License-Identifier: Apache-2.0 */
/* Samples find what they promise to find. */
#include "base/sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "t/tap.h"

#define NTRIALS 20000

static struct err err;
static uint64_t seed;

static void
test_words(void)
{
	static const char *const wrong[] = {"",	      "%",     "10",	 "0%",
					    "101%",   "-1%",   "x%",	 "10%x",
					    "99%:",   "99%:0", "99%:-1", "99:5",
					    "99%:5x", "nan%",  "1e400%"};
	struct sample_want want;

	ok(sample_parse("10%", &want, &err) == 0 && want.share > 0.0999 &&
	       want.share < 0.1001 && want.bad == 0,
	   "a share");
	ok(sample_parse("99.9%:20", &want, &err) == 0 &&
	       want.confidence > 0.9989 && want.bad == 20,
	   "a confidence");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ok(sample_parse(wrong[i], &want, &err) < 0 &&
		       err.class == ERR_USER,
		   "neither: '%s'", wrong[i]);
}

static void
test_sizes(void)
{
	struct sample_want tenth = {.share = 0.1}, all = {.share = 1};
	struct sample_want sure = {.confidence = 1, .bad = 3};
	struct sample_want want = {.confidence = 0.99, .bad = 20};

	is_int(sample_size(&tenth, 1000), 100, "a tenth");
	is_int(sample_size(&tenth, 3), 1, "at least one");
	is_int(sample_size(&tenth, 0), 0, "of none, none");
	is_int(sample_size(&all, 77), 77, "all");
	is_int(sample_size(&sure, 10), 8, "to be sure of 3 in 10 takes 8");
	is_int(sample_size(&want, 10), 1, "all are bad: one will do");
	for (uint64_t n = 20; n < 100000; n = n * 3 + 1) {
		uint64_t size = sample_size(&want, n);

		ok(sample_miss(n, size, 20) <= 0.01 + 1e-12 &&
		       (size == 0 || sample_miss(n, size - 1, 20) > 0.01),
		   "of %llu, %llu and not one less", (unsigned long long)n,
		   (unsigned long long)size);
	}
}

/* Damage to the first `bad` of n things: how often does a sample miss it? */
static void
test_misses(uint64_t n, uint64_t size, uint64_t bad)
{
	double p = sample_miss(n, size, bad), slack;
	uint64_t missed = 0, drawn = 0;

	for (int trial = 0; trial < NTRIALS; trial++) {
		struct sample s =
		    sample_begin(n, size, seed * 1000003 + (uint64_t)trial);
		bool found = false;

		for (uint64_t i = 0; i < n; i++) {
			bool takes = sample_takes(&s);

			drawn += takes;
			/* spread over all places, the ends included */
			found |= takes && i * bad / n != (i + 1) * bad / n;
		}
		missed += !found;
	}
	is_int((long long)drawn, (long long)(size * NTRIALS),
	       "each sample has its size");
	/* five standard deviations: one false alarm in 1.7 million */
	slack = 25 * p * (1 - p) * NTRIALS;
	ok(((double)missed - p * NTRIALS) * ((double)missed - p * NTRIALS) <=
	       slack + 1,
	   "%llu of %llu, %llu bad: missed %llu times in %d, %.1f by the "
	   "formula, seed %llu",
	   (unsigned long long)size, (unsigned long long)n,
	   (unsigned long long)bad, (unsigned long long)missed, NTRIALS,
	   p * NTRIALS, (unsigned long long)seed);
}

int
main(void)
{
	const char *given = getenv("SEED");

	seed = given ? strtoull(given, NULL, 10) : (uint64_t)getpid();
	test_words();
	test_sizes();
	test_misses(100, 10, 1);
	test_misses(100, 10, 20);
	test_misses(64, 40, 2);
	test_misses(200, 199, 1);
	test_misses(50, 50, 1);
	return tap_done();
}
