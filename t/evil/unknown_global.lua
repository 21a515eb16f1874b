-- SPDX-License-Identifier: Apache-2.0
-- A typo, past things that are allowed.
-- wants: fail: unknown_global.lua:7: unknown global 'nmae'
function greet(name)
	return "hello " .. name
end
log(greet(nmae))
