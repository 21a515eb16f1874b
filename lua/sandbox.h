/* SPDX-License-Identifier: Apache-2.0 */
/* The globals a script starts with: an allow-list, nothing of the system. */
#ifndef LUA_SANDBOX_H
#define LUA_SANDBOX_H

#include <lua.h>

/* Makes them the globals of L, and pushes them. */
void sandbox_open(lua_State *L);

/* The same table again: reading a global it lacks is an error from here on.
 * Scripts may define their own; that is how they define functions. */
void sandbox_close(lua_State *L, int globals);

#endif
