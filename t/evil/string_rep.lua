-- SPDX-License-Identifier: Apache-2.0
-- More text than there is memory in the world.
-- wants: fail: string_rep.lua:4: resulting string
string.rep("x", math.maxinteger)
