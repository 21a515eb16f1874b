-- SPDX-License-Identifier: Apache-2.0
-- Text that doubles.
-- wants: fail: it needs more than 32 MiB of memory
local s = "x"
while true do
	s = s .. s
end
