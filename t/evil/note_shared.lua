-- SPDX-License-Identifier: Apache-2.0
-- Leaves a note that is small here and huge as JSON.
-- wants: fail: larger than 64 KiB
local t = {}
for _ = 1, 30 do
	t = { t, t }
end
note("t", t)
