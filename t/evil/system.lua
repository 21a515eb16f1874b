-- SPDX-License-Identifier: Apache-2.0
-- Looks for the system under all its names.
-- wants: fail: system.lua:8: unknown global 'os'
for _, name in ipairs({ "io", "package", "debug", "require", "load",
	"loadfile", "dofile", "collectgarbage", "_G" }) do
	assert(rawget(_ENV, name) == nil, name)
end
os.exit(0)
