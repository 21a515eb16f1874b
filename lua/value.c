/* SPDX-License-Identifier: Apache-2.0 */
/* JSON to Lua may raise errors and owns nothing.  Lua to JSON owns the tree it
 * builds, so it uses only those functions of Lua that raise none. */
#include "lua/value.h"

#include <lauxlib.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

static void push(lua_State *L, const json_t *json, int depth);

static void
push_array(lua_State *L, const json_t *json, int depth)
{
	size_t n = json_array_size(json);

	lua_createtable(L, (int)n, 0);
	for (size_t i = 0; i < n; i++) {
		push(L, json_array_get(json, i), depth + 1);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
}

static void
push_object(lua_State *L, const json_t *json, int depth)
{
	const char *key;
	json_t *member;

	lua_createtable(L, 0, (int)json_object_size(json));
	/* the macro wants it writable, and writes nothing */
	json_object_foreach((json_t *)json, key, member)
	{
		push(L, member, depth + 1);
		lua_setfield(L, -2, key);
	}
}

static void
push(lua_State *L, const json_t *json, int depth)
{
	luaL_checkstack(L, 4, "nested too deep");
	if (depth > VALUE_DEPTH)
		luaL_error(L, "nested deeper than %d levels", VALUE_DEPTH);
	switch (json_typeof(json)) {
	case JSON_OBJECT:
		push_object(L, json, depth);
		break;
	case JSON_ARRAY:
		push_array(L, json, depth);
		break;
	case JSON_STRING:
		lua_pushlstring(L, json_string_value(json),
				json_string_length(json));
		break;
	case JSON_INTEGER:
		lua_pushinteger(L, json_integer_value(json));
		break;
	case JSON_REAL:
		lua_pushnumber(L, json_real_value(json));
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		lua_pushboolean(L, json_is_true(json));
		break;
	case JSON_NULL:
		lua_pushnil(L);
		break;
	}
}

void
value_push(lua_State *L, const json_t *json)
{
	push(L, json, 1);
}

/* A walk from Lua to JSON. */
struct walk {
	lua_State *L;
	size_t left_bytes;		/* a table shared often counts often */
	const void *above[VALUE_DEPTH]; /* the tables we are inside of */
	int depth;
	struct err *err;
};

static json_t *take(struct walk *w, int index);

static json_t *
refuse(struct walk *w, const char *what)
{
	err_set(w->err, ERR_FAIL, "%s", what);
	return NULL;
}

static bool
afford(struct walk *w, size_t bytes)
{
	if (bytes > w->left_bytes) {
		err_set(w->err, ERR_FAIL, "larger than %d KiB",
			VALUE_BYTES / 1024);
		return false;
	}
	w->left_bytes -= bytes;
	return true;
}

static json_t *
take_string(struct walk *w, int index)
{
	size_t len;
	const char *text = lua_tolstring(w->L, index, &len);
	json_t *json;

	if (!afford(w, len + 3))
		return NULL;
	if (memchr(text, '\0', len))
		return refuse(w, "text with a NUL in it cannot be kept");
	json = json_stringn(text, len);
	return json ? json : refuse(w, "text that is not UTF-8 cannot be kept");
}

static json_t *
take_number(struct walk *w, int index)
{
	lua_Number number;

	if (!afford(w, 8))
		return NULL;
	if (lua_isinteger(w->L, index))
		return json_integer(lua_tointeger(w->L, index));
	number = lua_tonumber(w->L, index);
	if (!isfinite(number))
		return refuse(w, "a number that is infinite or none at all "
				 "cannot be kept");
	return json_real(number);
}

static json_t *
take_array(struct walk *w, int index, lua_Integer n)
{
	json_t *array = json_array(), *item;

	for (lua_Integer i = 1; i <= n; i++) {
		lua_rawgeti(w->L, index, i);
		item = take(w, lua_gettop(w->L));
		lua_pop(w->L, 1);
		if (!item) {
			err_wrap(w->err, "[%lld]", (long long)i);
			json_decref(array);
			return NULL;
		}
		json_array_append_new(array, item);
	}
	return array;
}

/* The key is at the top but one, its value at the top. */
static int
take_member(struct walk *w, json_t *object)
{
	const char *name = lua_tostring(w->L, -2);
	json_t *key = take_string(w, lua_gettop(w->L) - 1), *value;

	if (!key)
		return err_wrap(w->err, "a field's name");
	json_decref(key);
	value = take(w, lua_gettop(w->L));
	if (!value)
		return err_wrap(w->err, "'%.60s'", name);
	return json_object_set_new(object, name, value);
}

static json_t *
take_object(struct walk *w, int index)
{
	json_t *object = json_object();

	lua_pushnil(w->L);
	while (lua_next(w->L, index)) {
		if (take_member(w, object) < 0) {
			lua_pop(w->L, 2);
			json_decref(object);
			return NULL;
		}
		lua_pop(w->L, 1);
	}
	return object;
}

static json_t *
take_contents(struct walk *w, int index)
{
	lua_Integer n = (lua_Integer)lua_rawlen(w->L, index);
	lua_Integer nitems = 0, nfields = 0;

	lua_pushnil(w->L);
	while (lua_next(w->L, index)) {
		lua_pop(w->L, 1);
		if (lua_isinteger(w->L, -1))
			nitems++;
		else if (lua_type(w->L, -1) == LUA_TSTRING)
			nfields++;
		else {
			lua_pop(w->L, 1);
			return refuse(w, "a field's name must be text");
		}
	}
	if (nitems && nfields)
		return refuse(w, "a table is a list or has named fields, "
				 "not both");
	if (nitems != n)
		return refuse(w, "a list must have no holes and start at 1");
	return nitems ? take_array(w, index, n) : take_object(w, index);
}

static json_t *
take_table(struct walk *w, int index)
{
	const void *table = lua_topointer(w->L, index);
	json_t *json;

	for (int i = 0; i < w->depth; i++)
		if (w->above[i] == table)
			return refuse(w, "a table inside itself cannot be "
					 "kept");
	if (w->depth == VALUE_DEPTH || !lua_checkstack(w->L, 4))
		return refuse(w, "tables nested so deep cannot be kept");
	if (!afford(w, 2))
		return NULL;
	w->above[w->depth++] = table;
	json = take_contents(w, index);
	w->depth--;
	return json;
}

static json_t *
take(struct walk *w, int index)
{
	switch (lua_type(w->L, index)) {
	case LUA_TSTRING:
		return take_string(w, index);
	case LUA_TNUMBER:
		return take_number(w, index);
	case LUA_TTABLE:
		return take_table(w, index);
	case LUA_TBOOLEAN:
		if (!afford(w, 5))
			return NULL;
		return json_boolean(lua_toboolean(w->L, index));
	default:
		err_set(w->err, ERR_FAIL, "a %s cannot be kept",
			lua_typename(w->L, lua_type(w->L, index)));
		return NULL;
	}
}

json_t *
value_to_json(lua_State *L, int index, struct err *err)
{
	struct walk w = {.L = L, .left_bytes = VALUE_BYTES, .err = err};

	return take(&w, lua_absindex(L, index));
}
