/* SPDX-License-Identifier: Apache-2.0 */
/* Every function for scripts has three parts: read the arguments, call plain C
 * that knows no Lua errors, push the results.  Only the middle owns anything,
 * because an error leaves the others by longjmp. */
#include "lua/api.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "lua/budget.h"
#include "lua/value.h"

#define LOG_BYTES 1048576

void
api_init(struct api *api, const struct lua_hook_call *call)
{
	*api = (struct api){
	    .log = call->log,
	    .arg = call->arg,
	    .log_left_bytes = LOG_BYTES,
	    .probe = call->probe,
	    .notes = json_object(),
	};
}

void
api_done(struct api *api)
{
	json_decref(api->notes);
	api->notes = NULL;
}

void
api_clean(char *text)
{
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	utf8_clean(text);
}

static void
log_one(struct api *api, enum log_level level, const char *text, size_t len)
{
	char *line;

	if (api->log_left_bytes == 0)
		return;
	if (len >= api->log_left_bytes) {
		api->log_left_bytes = 0;
		api->log(api->arg, LOG_LEVEL_WARNING,
			 "the script logs too much: the rest is dropped");
		return;
	}
	api->log_left_bytes -= len + 1;
	line = mem_strndup(text, len);
	api_clean(line);
	api->log(api->arg, level, line);
	free(line);
}

void
api_log(struct api *api, enum log_level level, const char *text)
{
	size_t len;

	if (!api->log)
		return;
	do {
		len = strcspn(text, "\n");
		log_one(api, level, text, len);
		text += len + (text[len] == '\n');
	} while (*text);
}

static struct api *
api_of(lua_State *L)
{
	return lua_touserdata(L, lua_upvalueindex(1));
}

/* log(text [, level]) */
static int
l_log(lua_State *L)
{
	const char *text = luaL_checkstring(L, 1);
	const char *name = luaL_optstring(L, 2, "info");
	enum log_level level;

	if (log_parse_level(name, &level) < 0)
		return luaL_argerror(L, 2,
				     "the levels are 'error', 'warning', "
				     "'info' and 'debug'");
	api_log(api_of(L), level, text);
	return 0;
}

int
api_refuse(lua_State *L, struct api *api, const char *reason)
{
	if (!reason)
		reason = "it gave no reason";
	if (!api->reason[0]) {
		snprintf(api->reason, sizeof(api->reason), "%s", reason);
		api_clean(api->reason);
	}
	budget_stop(L, BUDGET_FAILED);
	return luaL_error(L, "%s", reason);
}

/* fail(reason): does not return, not even through pcall. */
static int
l_fail(lua_State *L)
{
	return api_refuse(L, api_of(L), lua_tostring(L, 1));
}

static size_t
json_bytes(const json_t *value)
{
	return value
		   ? json_dumpb(value, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY)
		   : 0;
}

/* A note that is refused leaves the one before it. */
static int
keep_note(lua_State *L, const char *key, struct err *err)
{
	struct api *api = api_of(L);
	json_t *value = value_to_json(L, 2, err);
	json_t *name, *old = json_object_get(api->notes, key);
	size_t bytes;

	if (!value)
		return -1;
	name = json_string(key);
	/* beside the two, a colon and a comma */
	bytes = api->note_bytes - json_bytes(old) + json_bytes(value) +
		(old ? 0 : json_bytes(name) + 2);
	if (!name || bytes > VALUE_BYTES) {
		json_decref(value);
		json_decref(name);
		return name ? err_set(err, ERR_FAIL, "notes larger than %d KiB",
				      VALUE_BYTES / 1024)
			    : err_set(err, ERR_FAIL, "its name is not UTF-8");
	}
	json_decref(name);
	json_object_set_new(api->notes, key, value);
	api->note_bytes = bytes;
	return 0;
}

/* note(key, value) */
static int
l_note(lua_State *L)
{
	const char *key = luaL_checkstring(L, 1);
	struct err err;

	luaL_checkany(L, 2);
	if (keep_note(L, key, &err) < 0)
		return luaL_error(L, "note '%s': %s", key, err.text);
	return 0;
}

static const luaL_Reg functions[] = {
    {"log", l_log},
    {"fail", l_fail},
    {"note", l_note},
    {NULL, NULL},
};

static void
push_table(lua_State *L, const json_t *json)
{
	if (json)
		value_push(L, json);
	else
		lua_newtable(L);
}

void
api_open(lua_State *L, int globals, struct api *api,
	 const struct lua_hook_call *call)
{
	globals = lua_absindex(L, globals);
	lua_pushvalue(L, globals);
	lua_pushlightuserdata(L, api);
	luaL_setfuncs(L, functions, 1);
	lua_pop(L, 1);
	if (api->probe)
		probe_open(L, globals, api);

	lua_pushstring(L, call->step);
	lua_setfield(L, globals, "step");
	lua_pushstring(L, call->key);
	lua_setfield(L, globals, "key");
	push_table(L, call->plan);
	lua_setfield(L, globals, "plan");
	push_table(L, call->vm);
	lua_setfield(L, globals, "vm");
	push_table(L, call->notes);
	lua_setfield(L, globals, "notes");
}
