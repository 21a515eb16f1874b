/* SPDX-License-Identifier: Apache-2.0 */
/* Samples: how many, which, and what they are worth. */
#include "base/sample.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int
wrong(const char *text, struct err *err)
{
	return err_set(err, ERR_USER,
		       "a sample is a share such as 10%%, or a confidence and "
		       "the number of bad blocks it is for, such as 99%%:20, "
		       "not '%s'",
		       text);
}

/* "12.5%" as 0.125; *ret_end is what follows. */
static int
parse_percent(const char *text, double *ret, const char **ret_end)
{
	char *end;
	double percent;

	if (!*text || !strchr("0123456789.", *text))
		return -1;
	percent = strtod(text, &end);
	if (end == text || *end != '%' || !(percent > 0) || percent > 100)
		return -1;
	*ret = percent / 100;
	*ret_end = end + 1;
	return 0;
}

int
sample_parse(const char *text, struct sample_want *ret, struct err *err)
{
	struct sample_want want = {0};
	const char *rest;
	double part;
	char *end;

	if (parse_percent(text, &part, &rest) < 0)
		return wrong(text, err);
	if (*rest == '\0') {
		want.share = part;
		*ret = want;
		return 0;
	}
	if (*rest != ':' || rest[1] < '1' || rest[1] > '9')
		return wrong(text, err);
	errno = 0;
	want.bad = strtoull(rest + 1, &end, 10);
	if (errno || *end)
		return wrong(text, err);
	want.confidence = part;
	*ret = want;
	return 0;
}

double
sample_miss(uint64_t n, uint64_t size, uint64_t bad)
{
	double p = 1;

	if (bad > n)
		bad = n;
	if (bad == 0)
		return 1;
	if (size + bad > n)
		return 0;
	for (uint64_t i = 0; i < bad && p > 1e-300; i++)
		p *= (double)(n - size - i) / (double)(n - i);
	return p;
}

/* The fewest that will do. */
static uint64_t
size_for_confidence(const struct sample_want *want, uint64_t n)
{
	uint64_t low = 1, high = n;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (sample_miss(n, middle, want->bad) <= 1 - want->confidence)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

uint64_t
sample_size(const struct sample_want *want, uint64_t n)
{
	double size;

	if (n == 0)
		return 0;
	if (want->confidence > 0)
		return size_for_confidence(want, n);
	size = want->share * (double)n;
	if (size >= (double)n)
		return n;
	/* never less than was asked for */
	return (uint64_t)size + ((double)(uint64_t)size < size);
}

struct sample
sample_begin(uint64_t n, uint64_t size, uint64_t seed)
{
	return (struct sample){n, size < n ? size : n, seed};
}

/* SplitMix64. */
static uint64_t
next(struct sample *s)
{
	uint64_t z = s->state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* 0 to n - 1, each as likely as the others. */
static uint64_t
below(struct sample *s, uint64_t n)
{
	uint64_t limit = UINT64_MAX - UINT64_MAX % n, r;

	do
		r = next(s);
	while (r >= limit);
	return r % n;
}

/* Selection sampling: so many are wanted of those that are left. */
bool
sample_takes(struct sample *s)
{
	bool takes;

	if (s->left == 0)
		return false;
	takes = below(s, s->left--) < s->wanted;
	s->wanted -= takes;
	return takes;
}
