-- SPDX-License-Identifier: Apache-2.0
-- Leaves notes without end.
-- wants: fail: notes larger than 64 KiB
for i = 1, math.maxinteger do
	note("n" .. i, string.rep("x", 10000))
end
