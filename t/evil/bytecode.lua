Lua
-- SPDX-License-Identifier: Apache-2.0
-- Bytecode, or so it says.
-- wants: fail: attempt to load a binary chunk
