-- SPDX-License-Identifier: Apache-2.0
-- Refuses, and carries on as if it had not.
-- wants: fail: hook 'demo/evil' refused: the licence server is down
pcall(fail, "the licence server is down")
while true do
	pcall(fail, "another reason")
end
