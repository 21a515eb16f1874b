/* SPDX-License-Identifier: Apache-2.0 */
/* Samples: how many of a row of things are looked at, which, and what that is
 * worth.
 *
 * `size` of `n` things are drawn at random, each set of them equally likely.
 * When k of the n are bad, none of them is drawn with probability
 *
 *	C(n - k, size) / C(n, size) = product over i < k of
 *				      (n - size - i) / (n - i)
 *
 * which is at most (1 - size/n)^k.  That holds for damage that does not know
 * which things will be drawn; the seed is therefore made anew each time. */
#ifndef BASE_SAMPLE_H
#define BASE_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* What somebody asks for. */
struct sample_want {
	double share;	   /* of all, 0 to 1; when confidence is 0 */
	double confidence; /* 0 to 1: to find at least one of ... */
	uint64_t bad;	   /* ... so many bad ones */
};

/* "10%", or "99%:20": enough that 20 bad ones are found out with a probability
 * of 99 %.  ERR_USER says what is wrong with it. */
int sample_parse(const char *text, struct sample_want *ret, struct err *err);
/* How many of `n` that makes: at least one where there is one. */
uint64_t sample_size(const struct sample_want *want, uint64_t n);
/* The probability that a sample of `size` holds none of `bad` bad ones. */
double sample_miss(uint64_t n, uint64_t size, uint64_t bad);

/* Draws in order: ask sample_takes for each of the n things in turn. */
struct sample {
	uint64_t left;	 /* things not asked for yet */
	uint64_t wanted; /* of them */
	uint64_t state;
};

struct sample sample_begin(uint64_t n, uint64_t size, uint64_t seed);
bool sample_takes(struct sample *s);

#endif
