-- SPDX-License-Identifier: Apache-2.0
-- Runs out of memory for ever.
-- wants: retry: ran past its deadline
while true do
	pcall(string.rep, "x", 1 << 30)
end
