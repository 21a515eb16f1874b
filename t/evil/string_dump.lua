-- SPDX-License-Identifier: Apache-2.0
-- Makes bytecode.
-- wants: fail: string_dump.lua:4: attempt to call a nil value
string.dump(print)
