/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of a source that were seen. */
#include "stages/copy/seen.h"

#include <string.h>

static void
put(struct seen_block *b, uint64_t block, const uint8_t *digest)
{
	b->block = block;
	memcpy(b->digest, digest, sizeof(b->digest));
}

/* Nobody is to be outwitted: any number that is spread well will do. */
static uint64_t
next_chance(struct seen *s)
{
	s->chance = s->chance * 6364136223846793005u + 1442695040888963407u;
	return s->chance >> 33;
}

static void
draw(struct seen *s, struct seen_lot *lot, uint64_t block,
     const uint8_t *digest)
{
	uint64_t i = lot->n++;

	if (i >= SEEN_DRAWN)
		i = next_chance(s) % lot->n;
	if (i < SEEN_DRAWN)
		put(&lot->block[i], block, digest);
}

void
seen_note(struct seen *s, uint64_t block,
	  const uint8_t digest[LEDGER_DIGEST_SIZE], bool is_zero)
{
	if (block == 0) {
		put(&s->first, block, digest);
		s->has_first = true;
	}
	if (!is_zero)
		put(&s->last[s->nlast++ % SEEN_LAST], block, digest);
	draw(s, is_zero ? &s->zero : &s->data, block, digest);
}

static size_t
add(struct seen_block *ret, size_t at, const struct seen_block *from,
    uint64_t n, size_t most)
{
	size_t count = n < most ? (size_t)n : most;

	memcpy(ret + at, from, count * sizeof(*ret));
	return at + count;
}

size_t
seen_list(const struct seen *s, struct seen_block ret[SEEN_MOST])
{
	size_t n = add(ret, 0, &s->first, s->has_first, 1);

	n = add(ret, n, s->last, s->nlast, SEEN_LAST);
	n = add(ret, n, s->data.block, s->data.n, SEEN_DRAWN);
	return add(ret, n, s->zero.block, s->zero.n, SEEN_DRAWN);
}
