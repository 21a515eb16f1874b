-- SPDX-License-Identifier: Apache-2.0
-- Goes on in the message handler of what would end it; there is none to be had.
-- wants: fail: unknown global 'xpcall'
local function spin()
	while true do
	end
end

while true do
	xpcall(spin, spin)
end
