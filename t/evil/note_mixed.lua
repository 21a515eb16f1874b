-- SPDX-License-Identifier: Apache-2.0
-- Leaves a note that is half a list.
-- wants: fail: not both
note("n", { 1, 2, three = 3 })
