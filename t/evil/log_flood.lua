-- SPDX-License-Identifier: Apache-2.0
-- Fills the disk with its log.
-- wants: retry: ran past its deadline
while true do
	log(string.rep("all work and no play\n", 100))
end
