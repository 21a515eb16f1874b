-- SPDX-License-Identifier: Apache-2.0
-- Raises an error without a message.
-- wants: fail: error_table.lua:4: error with a table instead of a message
error({ code = 7 })
