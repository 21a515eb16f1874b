-- SPDX-License-Identifier: Apache-2.0
-- Leaves a note of no number.
-- wants: fail: infinite or none at all
note("n", 0 / 0)
