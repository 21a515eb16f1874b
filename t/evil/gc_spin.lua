-- SPDX-License-Identifier: Apache-2.0
-- A finalizer that never ends would run with hooks off.
-- wants: fail: gc_spin.lua:6: '__gc' is not for scripts
local mt = {}
mt.__gc = function() while true do end end
setmetatable({}, mt)
