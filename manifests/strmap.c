/* SPDX-License-Identifier: Apache-2.0 */
/* Open addressing with linear probing; nothing is ever taken out. */
#include "manifests/strmap.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/mem.h"

/* Differs from process to process, so that no manifest can be built whose keys
 * all fall into one slot.  Nothing depends on the order of slots. */
static uint64_t
hash_seed(void)
{
	static uint64_t seed;

	if (!seed && getentropy(&seed, sizeof(seed)) < 0)
		seed = 1;
	seed |= 1;
	return seed;
}

static size_t
hash(const char *key)
{
	uint64_t h = hash_seed();

	for (; *key; key++) {
		h = (h ^ (unsigned char)*key) * 0x100000001b3u;
		h ^= h >> 29;
	}
	return (size_t)(h ^ (h >> 32));
}

/* Where key is, or the free slot where it belongs; cap is a power of two. */
static struct strmap_slot *
find_slot(const struct strmap *m, const char *key)
{
	size_t i = hash(key) & (m->cap - 1);

	while (m->slots[i].key && strcmp(m->slots[i].key, key) != 0)
		i = (i + 1) & (m->cap - 1);
	return &m->slots[i];
}

static void
grow(struct strmap *m)
{
	struct strmap bigger = {.cap = m->cap ? m->cap * 2 : 16, .n = m->n};

	bigger.slots = mem_new(bigger.cap * sizeof(*bigger.slots));
	for (size_t i = 0; i < m->cap; i++)
		if (m->slots[i].key)
			*find_slot(&bigger, m->slots[i].key) = m->slots[i];
	free(m->slots);
	*m = bigger;
}

void *
strmap_get(const struct strmap *m, const char *key)
{
	return m->cap ? find_slot(m, key)->value : NULL;
}

void *
strmap_add(struct strmap *m, const char *key, void *value)
{
	struct strmap_slot *slot;

	if (m->n >= m->cap / 2)
		grow(m);
	slot = find_slot(m, key);
	if (slot->key)
		return slot->value;
	*slot = (struct strmap_slot){key, value};
	m->n++;
	return NULL;
}

void
strmap_set(struct strmap *m, const char *key, void *value)
{
	if (strmap_add(m, key, value))
		find_slot(m, key)->value = value;
}

void
strmap_done(struct strmap *m)
{
	free(m->slots);
	*m = (struct strmap){0};
}
