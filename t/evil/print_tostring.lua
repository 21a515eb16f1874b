-- SPDX-License-Identifier: Apache-2.0
-- Prints what has no text.
-- wants: fail: '__tostring' must return a string
print(setmetatable({}, { __tostring = function() return {} end }))
