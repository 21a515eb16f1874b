-- SPDX-License-Identifier: Apache-2.0
-- The error itself never ends when it is asked for its text.
-- wants: retry: ran past its deadline
local function spin()
	while true do
	end
end

error(setmetatable({}, { __tostring = spin }))
