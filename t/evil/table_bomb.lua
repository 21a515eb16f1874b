-- SPDX-License-Identifier: Apache-2.0
-- A table that only grows.
-- wants: fail: it needs more than 32 MiB of memory
local t = {}
while true do
	t[#t + 1] = { #t }
end
