-- SPDX-License-Identifier: Apache-2.0
-- Calls itself without end.
-- wants: fail: hook 'demo/evil'
local function deeper(n)
	return 1 + deeper(n + 1)
end
deeper(1)
