-- SPDX-License-Identifier: Apache-2.0
-- Never ends.
-- wants: retry: evil' ran past its deadline of 300 ms, at endless_loop.lua:
while true do
end
