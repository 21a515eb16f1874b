-- SPDX-License-Identifier: Apache-2.0
-- Never ends, and catches what would end it.
-- wants: retry: ran past its deadline
while true do
	pcall(function()
		while true do
		end
	end)
end
