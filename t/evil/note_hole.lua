-- SPDX-License-Identifier: Apache-2.0
-- Leaves a note of a list with a hole.
-- wants: fail: no holes
note("n", { [1] = 1, [9] = 2 })
