/* SPDX-License-Identifier: Apache-2.0 */
/* Counting what runs. */
#include "pool.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static struct pool_slot *
slot_of(struct pool *p, const char *key)
{
	for (size_t i = 0; i < p->nslots; i++)
		if (strcmp(p->slots[i].key, key) == 0)
			return &p->slots[i];
	p->slots = mem_resize(p->slots, (p->nslots + 1) * sizeof(*p->slots));
	p->slots[p->nslots] = (struct pool_slot){.key = mem_strdup(key)};
	return &p->slots[p->nslots++];
}

bool
pool_take(struct pool *p, const char *key)
{
	struct pool_slot *slot = slot_of(p, key);

	if (p->limit > 0 && slot->taken >= p->limit)
		return false;
	slot->taken++;
	return true;
}

void
pool_give(struct pool *p, const char *key)
{
	slot_of(p, key)->taken--;
}

void
pool_done(struct pool *p)
{
	for (size_t i = 0; i < p->nslots; i++)
		free(p->slots[i].key);
	free(p->slots);
	p->slots = NULL;
	p->nslots = 0;
}
