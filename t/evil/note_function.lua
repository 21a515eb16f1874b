-- SPDX-License-Identifier: Apache-2.0
-- Leaves a note of a function.
-- wants: fail: note 'f': 'inner': a function cannot be kept
note("f", { inner = print })
