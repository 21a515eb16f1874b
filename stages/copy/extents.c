/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of what changed on a disk. */
#include "stages/copy/extents.h"

#include <stdlib.h>

#include "base/mem.h"

#define FIRST_GRAIN ((uint64_t)64 * 1024)
#define WORD_BITS 64
#define PAGE_WORDS 512
#define PAGE_BITS ((uint64_t)PAGE_WORDS * WORD_BITS)
#define PAGE_SIZE (PAGE_WORDS * sizeof(uint64_t))
#define PAGES_MOST (32 * 1024 * 1024 / PAGE_SIZE)
/* That are there or not: what somebody says of a disk that no one can have
 * costs no memory either. */
#define TABLE_MOST (128 * 1024)

static uint64_t
end_of(const struct copy_extent *e)
{
	return e->offset + e->length;
}

/* Grains. */

/* Of any two neighbours. */
static uint64_t
halve_word(uint64_t x)
{
	x = (x | x >> 1) & 0x5555555555555555;
	x = (x | x >> 1) & 0x3333333333333333;
	x = (x | x >> 2) & 0x0f0f0f0f0f0f0f0f;
	x = (x | x >> 4) & 0x00ff00ff00ff00ff;
	x = (x | x >> 8) & 0x0000ffff0000ffff;
	return (x | x >> 16) & 0x00000000ffffffff;
}

static void
halve_page(const uint64_t *from, uint64_t *to)
{
	for (size_t i = 0; i < PAGE_WORDS; i++)
		to[i / 2] |= halve_word(from[i]) << i % 2 * (WORD_BITS / 2);
}

/* Grains twice as large: two pages become one, whose number is not above
 * theirs. */
static void
coarsen(struct extents *x)
{
	size_t n = x->pages.n;

	x->grain *= 2;
	x->npresent = 0;
	x->pages.n = 0;
	for (size_t i = 0; i < n; i += 2) {
		uint64_t *low = x->pages.v[i];
		uint64_t *high = i + 1 < n ? x->pages.v[i + 1] : NULL;
		uint64_t *both = low || high ? mem_new(PAGE_SIZE) : NULL;

		if (low)
			halve_page(low, both);
		if (high)
			halve_page(high, both + PAGE_WORDS / 2);
		free(low);
		free(high);
		*vec_push(&x->pages) = both;
		x->npresent += both != NULL;
	}
}

/* The page of this grain; NULL: there are too many, and all is another one
 * now. */
static uint64_t *
page_to_change(struct extents *x, uint64_t grain)
{
	uint64_t number = grain / PAGE_BITS;

	if (number < x->pages.n && x->pages.v[number])
		return x->pages.v[number];
	if (number >= TABLE_MOST || x->npresent == PAGES_MOST) {
		coarsen(x);
		return NULL;
	}
	while (x->pages.n <= number)
		(void)vec_push(&x->pages);
	x->npresent++;
	return x->pages.v[number] = mem_new(PAGE_SIZE);
}

static void
mark(struct extents *x, uint64_t begin, uint64_t end)
{
	uint64_t step;

	for (uint64_t at = begin; at < end; at = step) {
		uint64_t grain = at / x->grain, bit = grain % WORD_BITS;
		uint64_t last = (end - 1) / x->grain;
		uint64_t *page = page_to_change(x, grain);
		bool whole = bit == 0 && last - grain >= WORD_BITS - 1;

		step = at;
		if (!page)
			continue;
		page[grain % PAGE_BITS / WORD_BITS] |=
		    whole ? UINT64_MAX : (uint64_t)1 << bit;
		step = (grain + (whole ? WORD_BITS : 1)) * x->grain;
	}
}

static bool
is_marked(const struct extents *x, uint64_t grain)
{
	const uint64_t *page = x->pages.v[grain / PAGE_BITS];

	return page &&
	       page[grain % PAGE_BITS / WORD_BITS] >> grain % WORD_BITS & 1;
}

static bool
marked_within(const struct extents *x, uint64_t from, uint64_t to,
	      struct copy_extent *ret)
{
	uint64_t grain = from / x->grain, first;
	uint64_t end = (to + x->grain - 1) / x->grain;

	if (end > x->pages.n * PAGE_BITS)
		end = x->pages.n * PAGE_BITS;
	while (grain < end && !is_marked(x, grain))
		grain = x->pages.v[grain / PAGE_BITS]
			    ? grain + 1
			    : (grain / PAGE_BITS + 1) * PAGE_BITS;
	first = grain;
	while (grain < end && is_marked(x, grain))
		grain++;
	if (first >= end)
		return false;
	ret->offset = first * x->grain > from ? first * x->grain : from;
	ret->length =
	    (grain * x->grain < to ? grain * x->grain : to) - ret->offset;
	return true;
}

static uint64_t
marked_bytes(const struct extents *x)
{
	uint64_t n = 0;

	for (size_t i = 0; i < x->pages.n; i++)
		for (size_t w = 0; x->pages.v[i] && w < PAGE_WORDS; w++)
			n += (unsigned)__builtin_popcountll(x->pages.v[i][w]);
	return n * x->grain;
}

/* Entries. */

static int
by_offset(const void *a, const void *b)
{
	uint64_t x = ((const struct copy_extent *)a)->offset;
	uint64_t y = ((const struct copy_extent *)b)->offset;

	return x < y ? -1 : x > y;
}

void
extents_tidy(struct extents *x)
{
	struct copy_extent *v = x->exact.v, *last = v;
	size_t n = x->exact.n;

	if (n == 0)
		return;
	qsort(v, n, sizeof(*v), by_offset);
	for (size_t i = 1; i < n; i++)
		if (v[i].offset > end_of(last) + EXTENTS_GAP)
			*++last = v[i];
		else if (end_of(&v[i]) > end_of(last))
			last->length = end_of(&v[i]) - last->offset;
	x->exact.n = (size_t)(last - v) + 1;
}

/* Full even when it is tidy: half of its room is to be free then, or every
 * few entries it would be made tidy again. */
static void
make_room(struct extents *x)
{
	extents_tidy(x);
	if (x->exact.n <= EXTENTS_EXACT / 2)
		return;
	x->grain = FIRST_GRAIN;
	for (size_t i = 0; i < x->exact.n; i++)
		mark(x, x->exact.v[i].offset, end_of(&x->exact.v[i]));
	vec_done(&x->exact);
}

/* Lists are in order mostly. */
static bool
extends_last(struct extents *x, uint64_t begin, uint64_t end)
{
	struct copy_extent *last;

	if (x->exact.n == 0)
		return false;
	last = &x->exact.v[x->exact.n - 1];
	if (begin < last->offset || begin > end_of(last) + EXTENTS_GAP)
		return false;
	if (end > end_of(last))
		last->length = end - last->offset;
	return true;
}

void
extents_add(struct extents *x, uint64_t offset, uint64_t length)
{
	uint64_t begin = offset / EXTENTS_GRAIN * EXTENTS_GRAIN;
	uint64_t end = (offset + length + EXTENTS_GRAIN - 1) / EXTENTS_GRAIN *
		       EXTENTS_GRAIN;

	if (length == 0 || (!x->grain && extends_last(x, begin, end)))
		return;
	if (x->exact.n == EXTENTS_EXACT)
		make_room(x);
	if (x->grain)
		mark(x, begin, end);
	else
		*vec_push(&x->exact) = (struct copy_extent){begin, end - begin};
}

bool
extents_within(const struct extents *x, uint64_t from, uint64_t to,
	       struct copy_extent *ret)
{
	const struct copy_extent *v = x->exact.v;
	size_t low = 0, high = x->exact.n;

	if (from >= to)
		return false;
	if (x->grain)
		return marked_within(x, from, to, ret);
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (end_of(&v[middle]) > from)
			high = middle;
		else
			low = middle + 1;
	}
	if (low == x->exact.n || v[low].offset >= to)
		return false;
	ret->offset = v[low].offset > from ? v[low].offset : from;
	ret->length =
	    (end_of(&v[low]) < to ? end_of(&v[low]) : to) - ret->offset;
	return true;
}

uint64_t
extents_bytes(const struct extents *x)
{
	uint64_t sum = 0;

	if (x->grain)
		return marked_bytes(x);
	for (size_t i = 0; i < x->exact.n; i++)
		sum += x->exact.v[i].length;
	return sum;
}

void
extents_done(struct extents *x)
{
	for (size_t i = 0; i < x->pages.n; i++)
		free(x->pages.v[i]);
	vec_done(&x->pages);
	vec_done(&x->exact);
	*x = (struct extents){0};
}
