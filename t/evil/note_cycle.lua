-- SPDX-License-Identifier: Apache-2.0
-- Leaves a note of a table that contains itself.
-- wants: fail: note 't': 'me': a table inside itself cannot be kept
local t = {}
t.me = t
note("t", t)
