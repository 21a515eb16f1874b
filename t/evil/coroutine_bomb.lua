-- SPDX-License-Identifier: Apache-2.0
-- Coroutines without end; there are none to be had.
-- wants: fail: coroutine_bomb.lua:5: unknown global 'coroutine'
local function bomb()
	return coroutine.wrap(bomb)()
end
bomb()
