-- SPDX-License-Identifier: Apache-2.0
-- Leaves a note of nothing.
-- wants: fail: note 'n': a nil cannot be kept
note("n", nil)
