/* SPDX-License-Identifier: Apache-2.0 */
/* Pools: how much of a kind runs at once, by key (a source host, or ""). */
#ifndef RUNNER_POOL_H
#define RUNNER_POOL_H

#include <stdbool.h>
#include <stddef.h>

struct pool {
	int limit; /* per key; 0 is none */
	struct pool_slot {
		char *key;
		int taken;
	} * slots;
	size_t nslots;
};

bool pool_take(struct pool *p, const char *key);
void pool_give(struct pool *p, const char *key);
void pool_done(struct pool *p);

#endif
