-- SPDX-License-Identifier: Apache-2.0
-- Leaves a note of a megabyte.
-- wants: fail: note 's': larger than 64 KiB
note("s", string.rep("x", 1 << 20))
