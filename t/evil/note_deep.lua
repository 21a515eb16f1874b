-- SPDX-License-Identifier: Apache-2.0
-- Leaves a note without a bottom.
-- wants: fail: tables nested so deep cannot be kept
local t = {}
for _ = 1, 1000 do
	t = { t }
end
note("t", t)
