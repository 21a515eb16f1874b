-- SPDX-License-Identifier: Apache-2.0
-- Takes the guard off the globals.
-- wants: fail: metatable_swap.lua:6: cannot change a protected metatable
local env = _ENV
assert(getmetatable(env) == false and getmetatable("") == false)
setmetatable(env, nil)
