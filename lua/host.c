/* SPDX-License-Identifier: Apache-2.0 */
/* One call of a script, from a fresh state to a verdict.
 *
 * Errors of Lua leave by longjmp, which passes over scoped cleanup: all Lua
 * that may raise one runs below the pcall in host_call, and what C owns is
 * freed outside of it, by hand. */
#include "lua/host.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "lua/api.h"
#include "lua/budget.h"
#include "lua/sandbox.h"

#define TRACEBACK "\nstack traceback:\n"

static const unsigned char prelude[] = {
#include "lua/prelude.inc"
};

struct host {
	const struct lua_hook_call *call;
	struct budget budget;
	struct api api;
	int status; /* of Lua: LUA_OK, LUA_ERRRUN, LUA_ERRMEM, ... */
};

/* Text only: made-up bytecode could do anything to this process. */
static int
load_script(lua_State *L, const struct script *script)
{
	const char *chunk = lua_pushfstring(L, "@%s", script->chunk);
	int status =
	    luaL_loadbufferx(L, script->lua, strlen(script->lua), chunk, "t");

	lua_remove(L, -2);
	return status;
}

/* An error value that is no text has no line either: the innermost line of the
 * script that was running is the best there is. */
static const char *
describe_error(lua_State *L)
{
	const char *what = luaL_typename(L, 1);
	lua_Debug ar;

	if (luaL_callmeta(L, 1, "__tostring") && lua_isstring(L, -1))
		return lua_tostring(L, -1);
	for (int level = 1; lua_getstack(L, level, &ar); level++) {
		lua_getinfo(L, "Sl", &ar);
		if (ar.currentline > 0)
			return lua_pushfstring(
			    L, "%s:%d: error with a %s instead of a message",
			    ar.short_src, ar.currentline, what);
	}
	return lua_pushfstring(L, "error with a %s instead of a message", what);
}

/* The message handler: runs where the error was raised. */
static int
l_explain(lua_State *L)
{
	const char *text = lua_tostring(L, 1);

	if (!text)
		text = describe_error(L);
	luaL_traceback(L, L, text, 1);
	return 1;
}

static void
run_prelude(lua_State *L)
{
	if (luaL_loadbufferx(L, (const char *)prelude, sizeof(prelude),
			     "=prelude", "t") != LUA_OK)
		lua_error(L);
	lua_call(L, 0, 0);
}

/* Leaves the message on the stack, if there is one. */
static int
l_run(lua_State *L)
{
	struct host *host = lua_touserdata(L, 1);
	int globals;

	sandbox_open(L);
	globals = lua_gettop(L);
	api_open(L, globals, &host->api, host->call);
	run_prelude(L);
	sandbox_close(L, globals);
	lua_pushcfunction(L, l_explain);
	host->status = load_script(L, host->call->script);
	if (host->status == LUA_OK)
		host->status = lua_pcall(L, 0, 0, -2);
	return host->status == LUA_OK ? 0 : 1;
}

static const char *
what_it_is(const struct host *host)
{
	return host->call->probe ? "script" : "hook";
}

/* "hook 'demo/announce': announce.lua:3: ..." */
static int
complain(const struct host *host, const char *text, struct err *err)
{
	const struct object *o = &host->call->script->o;

	err_set(err, ERR_FAIL, "%s '%s/%s': %s", what_it_is(host), o->namespace,
		o->name, text);
	api_clean(err->text);
	return -1;
}

static int
out_of_time(const struct host *host, struct err *err)
{
	const struct object *o = &host->call->script->o;
	const char *where = host->budget.where;
	char limit[CLOCK_TEXT_SIZE];

	clock_format_duration(host->call->deadline_ms, limit);
	err_set(err, ERR_RETRY, "%s '%s/%s' ran past its deadline of %s%s%s",
		what_it_is(host), o->namespace, o->name, limit,
		*where ? ", at " : "", where);
	api_clean(err->text);
	return -1;
}

static int
refused(const struct host *host, struct err *err)
{
	const struct object *o = &host->call->script->o;

	return err_set(err, ERR_FAIL, "%s '%s/%s' %s: %s", what_it_is(host),
		       o->namespace, o->name,
		       host->api.doubts	   ? "cannot tell"
		       : host->call->probe ? "says"
					   : "refused",
		       host->api.reason);
}

/* Where the script failed goes to the log, what failed to the error. */
static int
failed(struct host *host, const char *message, struct err *err)
{
	const char *trace = strstr(message, TRACEBACK);
	char text[sizeof(err->text)];

	snprintf(text, sizeof(text), "%.*s",
		 (int)(trace ? trace - message : (long)strlen(message)),
		 message);
	if (trace)
		api_log(&host->api, LOG_LEVEL_INFO, trace + 1);
	return complain(host, text, err);
}

/* A script that was stopped may have caught that and failed in another way:
 * why it was stopped is what counts. */
static int
verdict(struct host *host, const char *message, struct err *err)
{
	char text[100];

	switch (host->budget.stop) {
	case BUDGET_OUT_OF_TIME:
		return out_of_time(host, err);
	case BUDGET_FAILED:
		return refused(host, err);
	case BUDGET_GOES_ON:
		break;
	}
	if (host->status == LUA_OK)
		return 0;
	if (host->status != LUA_ERRMEM)
		return failed(host, message ? message : "unknown error", err);
	snprintf(text, sizeof(text), "it needs more than %d MiB of memory",
		 BUDGET_MEMORY_MIB);
	return complain(host, text, err);
}

static int
host_call(struct host *host, lua_State *L, struct err *err)
{
	int status;

	budget_watch(L);
	lua_pushcfunction(L, l_run);
	lua_pushlightuserdata(L, host);
	status = lua_pcall(L, 1, 1, 0);
	if (status != LUA_OK)
		host->status = status;
	return verdict(host, lua_tostring(L, -1), err);
}

static int
call_script(struct host *host, json_t **ret_notes, struct err *err)
{
	const struct lua_hook_call *call = host->call;
	lua_State *L = lua_newstate(budget_alloc, &host->budget);
	int result;

	if (!L)
		return err_set(err, ERR_RETRY, "no memory for a script");
	if (call->deadline_ms)
		host->budget.mono_deadline_ms =
		    clock_mono_ms() + call->deadline_ms;
	api_init(&host->api, call);
	result = host_call(host, L, err);
	lua_close(L);
	if (result == 0)
		*ret_notes = json_incref(host->api.notes);
	api_done(&host->api);
	return result;
}

int
lua_hook(const struct lua_hook_call *call, json_t **ret_notes, struct err *err)
{
	struct host host = {.call = call};

	return call_script(&host, ret_notes, err);
}

enum lua_said
lua_ask(const struct lua_hook_call *call, json_t **ret_notes, struct err *err)
{
	struct host host = {.call = call};

	if (call_script(&host, ret_notes, err) == 0)
		return LUA_SAID_YES;
	return host.budget.stop == BUDGET_FAILED && !host.api.doubts
		   ? LUA_SAID_NO
		   : LUA_SAID_NOTHING;
}

static int
l_compile(lua_State *L)
{
	if (load_script(L, lua_touserdata(L, 1)) != LUA_OK)
		return lua_error(L);
	return 0;
}

int
lua_check(const struct script *script, struct err *err)
{
	struct budget budget = {0};
	lua_State *L = lua_newstate(budget_alloc, &budget);
	struct script copy = *script;
	const char *text;
	int result = 0;

	if (!L)
		return err_set(err, ERR_RETRY, "no memory for a script");
	lua_pushcfunction(L, l_compile);
	lua_pushlightuserdata(L, &copy);
	if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
		text = lua_tostring(L, -1);
		result = err_set(err, ERR_USER, "script '%s/%s': %s",
				 script->o.namespace, script->o.name, text);
		api_clean(err->text);
	}
	lua_close(L);
	return result;
}
