-- SPDX-License-Identifier: Apache-2.0
-- Calls itself through C without end.
-- wants: fail: C stack overflow
local function deeper()
	return string.gsub("x", "x", deeper)
end
deeper()
