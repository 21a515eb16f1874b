/* SPDX-License-Identifier: Apache-2.0 */
/* What scripts may call and see; API.md is the operators' side of it. */
#ifndef LUA_API_H
#define LUA_API_H

#include <jansson.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/log.h"
#include "lua/host.h"

/* One call's results.  Outlives its Lua state. */
struct api {
	lua_log_fn *log;
	void *arg;
	size_t log_left_bytes;	       /* beyond this, lines are dropped */
	json_t *notes;		       /* an object; owned */
	size_t note_bytes;	       /* of all of them as JSON, about */
	char reason[500];	       /* of fail() */
	bool doubts;		       /* or of inconclusive() */
	const struct lua_probe *probe; /* NULL in hooks */
};

void api_init(struct api *api, const struct lua_hook_call *call);
void api_done(struct api *api);

/* Adds functions and data to the table at `globals`; api must outlive L. */
void api_open(lua_State *L, int globals, struct api *api,
	      const struct lua_hook_call *call);

/* One log line for each line of the text. */
void api_log(struct api *api, enum log_level level, const char *text);

/* Ends the script, for that reason: a lua_CFunction's last words. */
int api_refuse(lua_State *L, struct api *api, const char *reason);

/* lua/probe.c: adds what only scripts of boot tests may call. */
void probe_open(lua_State *L, int globals, struct api *api);

/* Makes text that a script chose fit for one line of a journal, in place:
 * control characters become blanks, what is not UTF-8 question marks. */
void api_clean(char *text);

#endif
