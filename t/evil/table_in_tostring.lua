-- SPDX-License-Identifier: Apache-2.0
-- The error itself fails when it is asked for its text.
-- wants: fail: instead of a message
error(setmetatable({}, { __tostring = function() return {} end }))
