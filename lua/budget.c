/* SPDX-License-Identifier: Apache-2.0 */
/* A script's allocator with a limit, and the hook that ends it. */
#include "lua/budget.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

#define LIMIT_BYTES ((size_t)BUDGET_MEMORY_MIB * 1024 * 1024)
#define INSTRUCTIONS_PER_LOOK 10000

static struct budget *
budget_of(lua_State *L)
{
	void *budget;

	lua_getallocf(L, &budget);
	return budget;
}

void *
budget_alloc(void *arg, void *p, size_t old_bytes, size_t size_bytes)
{
	struct budget *b = arg;
	void *moved;

	/* Without an old block the old size is the kind of the new object. */
	if (!p)
		old_bytes = 0;
	if (size_bytes == 0) {
		free(p);
		b->used_bytes -= old_bytes;
		return NULL;
	}
	if (size_bytes > old_bytes &&
	    size_bytes - old_bytes > LIMIT_BYTES - b->used_bytes)
		return NULL;
	moved = realloc(p, size_bytes);
	if (!moved && size_bytes > old_bytes)
		return NULL;
	b->used_bytes += size_bytes - old_bytes;
	return moved ? moved : p; /* Lua counts on shrinking to succeed */
}

static void
look(lua_State *L, lua_Debug *ar)
{
	struct budget *b = budget_of(L);

	(void)ar;
	if (b->stop == BUDGET_GOES_ON) {
		if (!b->mono_deadline_ms ||
		    clock_mono_ms() < b->mono_deadline_ms)
			return;
		budget_stop(L, BUDGET_OUT_OF_TIME);
	}
	luaL_error(L, "the script was ended");
}

void
budget_watch(lua_State *L)
{
	lua_sethook(L, look, LUA_MASKCOUNT, INSTRUCTIONS_PER_LOOK);
}

static void
remember_where(lua_State *L, struct budget *b)
{
	lua_Debug ar;

	for (int level = 0; lua_getstack(L, level, &ar); level++) {
		lua_getinfo(L, "Sl", &ar);
		if (ar.currentline > 0) {
			snprintf(b->where, sizeof(b->where), "%s:%d",
				 ar.short_src, ar.currentline);
			return;
		}
	}
}

void
budget_stop(lua_State *L, enum budget_stop why)
{
	struct budget *b = budget_of(L);

	if (b->stop != BUDGET_GOES_ON)
		return;
	b->stop = why;
	remember_where(L, b);
	lua_sethook(L, look, LUA_MASKCOUNT, 1);
}
