-- SPDX-License-Identifier: Apache-2.0
-- Refuses, and does not say why.
-- wants: fail: refused: it gave no reason
pcall(fail)
