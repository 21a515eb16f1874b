/* SPDX-License-Identifier: Apache-2.0 */
/* What a boot test's script may do to the vm that boots: read what its console
 * says, type on it, ask its agent.  Waiting happens outside of Lua, in time
 * that the script was given. */
#include <lauxlib.h>

#include "base/clock.h"
#include "lua/api.h"
#include "lua/value.h"

#define READ_SECONDS 0
#define AGENT_SECONDS 30
#define MOST_SECONDS 86400

static struct api *
api_of(lua_State *L)
{
	return lua_touserdata(L, lua_upvalueindex(1));
}

static int64_t
wait_of(lua_State *L, int index, lua_Number dflt)
{
	lua_Number seconds = luaL_optnumber(L, index, dflt);

	luaL_argcheck(L, seconds >= 0 && seconds <= MOST_SECONDS, index,
		      "seconds, up to a day");
	return (int64_t)(seconds * 1000);
}

/* The boot has ended while the script waited: who called it knows how. */
static int
end(lua_State *L)
{
	return api_refuse(L, api_of(L), "the boot has ended");
}

/* read([seconds]): the text, and how many seconds it took */
static int
l_read(lua_State *L)
{
	const struct lua_probe *probe = api_of(L)->probe;
	int64_t wait_ms = wait_of(L, 1, READ_SECONDS);
	int64_t begun_ms = clock_mono_ms();
	const char *text;
	size_t len;

	if (probe->read(probe->arg, wait_ms, &text, &len) < 0)
		return end(L);
	lua_pushlstring(L, text, len);
	lua_pushnumber(L, (lua_Number)(clock_mono_ms() - begun_ms) / 1000);
	return 2;
}

/* send(text) */
static int
l_send(lua_State *L)
{
	const struct lua_probe *probe = api_of(L)->probe;
	size_t len;
	const char *text = luaL_checklstring(L, 1, &len);

	return probe->send(probe->arg, text, len) < 0 ? end(L) : 0;
}

/* The result goes by way of JSON; freed before anything may raise an error. */
static int
ask_agent(lua_State *L, const char *command, json_t *arguments, int64_t wait_ms)
{
	const struct lua_probe *probe = api_of(L)->probe;
	json_t *answer = NULL;
	struct err err = {0};
	int rc = probe->agent(probe->arg, command, arguments, wait_ms, &answer,
			      &err);

	json_decref(arguments);
	if (rc < 0)
		return end(L);
	if (!answer) {
		lua_pushnil(L);
		lua_pushstring(L, err.text);
		return 2;
	}
	value_push(L, answer);
	json_decref(answer);
	return 1;
}

/* agent(command [, arguments [, seconds]]) */
static int
l_agent(lua_State *L)
{
	const char *command = luaL_checkstring(L, 1);
	int64_t wait_ms = wait_of(L, 3, AGENT_SECONDS);
	json_t *arguments = NULL;
	struct err err;

	if (!lua_isnoneornil(L, 2)) {
		luaL_checktype(L, 2, LUA_TTABLE);
		arguments = value_to_json(L, 2, &err);
		if (!arguments)
			return luaL_error(L, "arguments: %s", err.text);
	}
	return ask_agent(L, command, arguments, wait_ms);
}

/* inconclusive(reason): does not return. */
static int
l_inconclusive(lua_State *L)
{
	struct api *api = api_of(L);

	api->doubts |= !api->reason[0];
	return api_refuse(L, api, lua_tostring(L, 1));
}

static const luaL_Reg functions[] = {
    {"read", l_read},	{"send", l_send},
    {"agent", l_agent}, {"inconclusive", l_inconclusive},
    {NULL, NULL},
};

void
probe_open(lua_State *L, int globals, struct api *api)
{
	lua_pushvalue(L, globals);
	lua_pushlightuserdata(L, api);
	luaL_setfuncs(L, functions, 1);
	lua_pop(L, 1);
}
