-- SPDX-License-Identifier: Apache-2.0
-- Leaves a note of bytes.
-- wants: fail: not UTF-8
note("n", "\xff")
