/* SPDX-License-Identifier: Apache-2.0 */
/* An allow-list rather than a deny-list: what a later Lua adds stays out.
 *
 * Absent on purpose: io, os, package, debug (the system), load and its kin
 * (bytecode crashes the interpreter), collectgarbage, coroutine (no hook needs
 * one, and each would have to be watched by itself), xpcall (when the watch
 * raises its error the message handler runs inside the watch, that is,
 * unwatched: a handler that loops could not be ended). */
#include "lua/sandbox.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stddef.h>

static const char *const base_names[] = {
    "assert",	"error",    "getmetatable", "ipairs",	"next",	  "pairs",
    "pcall",	"rawequal", "rawget",	    "rawlen",	"rawset", "select",
    "tonumber", "tostring", "type",	    "_VERSION",
};

static const luaL_Reg libraries[] = {
    {"string", luaopen_string},
    {"table", luaopen_table},
    {"math", luaopen_math},
    {"utf8", luaopen_utf8},
};

/* Finalizers run with hooks off: one that loops could not be ended.  Lua looks
 * for __gc only here, so that adding it to the metatable later is harmless. */
static int
l_setmetatable(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	if (!lua_isnil(L, 2))
		luaL_checktype(L, 2, LUA_TTABLE);
	lua_settop(L, 2);
	if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
		return luaL_error(L, "cannot change a protected metatable");
	if (lua_istable(L, 2)) {
		lua_pushliteral(L, "__gc");
		if (lua_rawget(L, 2) != LUA_TNIL)
			return luaL_error(L, "'__gc' is not for scripts");
		lua_settop(L, 2);
	}
	lua_setmetatable(L, 1);
	return 1;
}

static void
take_base(lua_State *L, int globals)
{
	luaL_requiref(L, "_G", luaopen_base, 0);
	for (size_t i = 0; i < sizeof(base_names) / sizeof(*base_names); i++) {
		lua_getfield(L, -1, base_names[i]);
		lua_setfield(L, globals, base_names[i]);
	}
	lua_pop(L, 1);
	lua_pushcfunction(L, l_setmetatable);
	lua_setfield(L, globals, "setmetatable");
}

static void
take_libraries(lua_State *L, int globals)
{
	for (size_t i = 0; i < sizeof(libraries) / sizeof(*libraries); i++) {
		luaL_requiref(L, libraries[i].name, libraries[i].func, 0);
		lua_setfield(L, globals, libraries[i].name);
	}
	lua_getfield(L, globals, "string");
	lua_pushnil(L);
	lua_setfield(L, -2, "dump");
	lua_pop(L, 1);
}

static void
lock_strings(lua_State *L)
{
	lua_pushliteral(L, "");
	lua_getmetatable(L, -1);
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 2);
}

/* The full set must be out of reach; what stays under this name in the
 * registry only tells tracebacks how functions are called. */
static void
replace_globals(lua_State *L, int globals)
{
	lua_pushvalue(L, globals);
	lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
	lua_createtable(L, 0, 1);
	lua_pushvalue(L, globals);
	lua_setfield(L, -2, "_G");
	lua_setfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
}

void
sandbox_open(lua_State *L)
{
	int globals;

	lua_newtable(L);
	globals = lua_gettop(L);
	take_base(L, globals);
	take_libraries(L, globals);
	lock_strings(L);
	replace_globals(L, globals);
}

static int
l_unknown_global(lua_State *L)
{
	return luaL_error(L, "unknown global '%s'", luaL_tolstring(L, 2, NULL));
}

void
sandbox_close(lua_State *L, int globals)
{
	globals = lua_absindex(L, globals);
	lua_createtable(L, 0, 2);
	lua_pushcfunction(L, l_unknown_global);
	lua_setfield(L, -2, "__index");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_setmetatable(L, globals);
}
