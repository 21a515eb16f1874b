-- SPDX-License-Identifier: Apache-2.0
-- What scripts may call and Lua can do by itself; run before every script.

-- The keys in order, numbers before text: pairs() has none, and what a script
-- does should not depend on chance.
function sorted(t)
	local keys = {}
	for k in next, t do
		keys[#keys + 1] = k
	end
	table.sort(keys, function(a, b)
		if type(a) ~= type(b) then
			return type(a) < type(b)
		elseif type(a) == "number" then
			return a < b
		end
		return tostring(a) < tostring(b)
	end)
	local i = 0
	return function()
		i = i + 1
		return keys[i], t[keys[i]]
	end
end

local function describe_in(above, value)
	if type(value) == "string" then
		return string.format("%q", value)
	elseif type(value) ~= "table" then
		return tostring(value)
	elseif above[value] then
		return "{...}"
	end
	above[value] = true
	local parts = {}
	for k, v in sorted(value) do
		local name = math.type(k) and "" or tostring(k) .. " = "
		parts[#parts + 1] = name .. describe_in(above, v)
	end
	above[value] = nil
	return "{" .. table.concat(parts, ", ") .. "}"
end

-- Any value as one line of text, for the log.
function describe(value)
	return describe_in({}, value)
end

function print(...)
	local parts = table.pack(...)
	for i = 1, parts.n do
		parts[i] = tostring(parts[i])
	end
	log(table.concat(parts, "\t"))
end

-- The value; or, if it is nil or false, the step fails for that reason.
function need(value, reason)
	return value or fail(reason)
end

-- In scripts of boot tests: what the console says, until the pattern (one of
-- string.find) is in it; its captures, or all of it.  nil when it does not come
-- in time.  The next call goes on behind it.
local SEEN_MOST = 65536
if read then
	local seen = ""
	function expect(pattern, seconds)
		local left = seconds or 60
		while true do
			local from, to = string.find(seen, pattern)
			if from then
				local said = seen
				seen = string.sub(seen, to + 1)
				return string.match(said, pattern)
			end
			if left <= 0 then
				return nil
			end
			local text, waited = read(left)
			seen = string.sub(seen .. text, -SEEN_MOST)
			left = left - waited
		end
	end
end
