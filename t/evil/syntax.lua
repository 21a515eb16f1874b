-- SPDX-License-Identifier: Apache-2.0
-- Is no Lua.
-- wants: fail: syntax.lua:5: unexpected
if vm then note(
