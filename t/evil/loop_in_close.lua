-- SPDX-License-Identifier: Apache-2.0
-- Goes on in the clean-up of what would end it.
-- wants: retry: ran past its deadline
local function spin()
	while true do
	end
end

while true do
	pcall(function()
		local _ <close> = setmetatable({}, { __close = spin })
		spin()
	end)
end
