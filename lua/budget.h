/* SPDX-License-Identifier: Apache-2.0 */
/* What one call of a script may use: memory by its allocator, time by a hook
 * that looks at the clock every few thousand instructions. */
#ifndef LUA_BUDGET_H
#define LUA_BUDGET_H

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

#define BUDGET_MEMORY_MIB 32

/* Why the script was made to end; the first reason stays. */
enum budget_stop { BUDGET_GOES_ON, BUDGET_OUT_OF_TIME, BUDGET_FAILED };

struct budget {
	size_t used_bytes;
	int64_t mono_deadline_ms; /* 0: none */
	enum budget_stop stop;
	char where[80]; /* out of time: "chunk:line", or "" */
};

/* A lua_Alloc; `budget` is the struct budget. */
void *budget_alloc(void *budget, void *p, size_t old_bytes, size_t size_bytes);

/* From here on L is watched.  Its allocator must be budget_alloc. */
void budget_watch(lua_State *L);

/* From here on every instruction of the script raises an error, so that no
 * pcall of its own can carry on; the caller raises the first. */
void budget_stop(lua_State *L, enum budget_stop why);

#endif
