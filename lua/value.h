/* SPDX-License-Identifier: Apache-2.0 */
/* Plain data on its way between JSON and Lua.
 *
 * Integers stay integers.  JSON's null is Lua's nil: such a member is absent.
 * A table with the keys 1 to n is an array, one whose keys are all text is an
 * object, the empty one is an object. */
#ifndef LUA_VALUE_H
#define LUA_VALUE_H

#include <jansson.h>
#include <lua.h>

#include "base/err.h"

#define VALUE_DEPTH 32
#define VALUE_BYTES 65536

/* Pushes a copy; raises a Lua error when it is nested too deep. */
void value_push(lua_State *L, const json_t *json);

/* The value at `index` as JSON, at most VALUE_DEPTH deep and about VALUE_BYTES
 * long.  Raises no Lua error and leaves the stack as it was.  NULL: ERR_FAIL
 * says what in it cannot be kept. */
json_t *value_to_json(lua_State *L, int index, struct err *err);

#endif
