-- SPDX-License-Identifier: Apache-2.0
-- A hook after the move: says what became of the vm, from the notes that the
-- hook before the move left.

local GIB = 1 << 30

need(notes.disks, "announce left no note of the disks")
for _, disk in ipairs(notes.disks) do
	log(string.format("%s: %.1f GiB are at the target", disk.name,
		disk.bytes / GIB))
end
log(notes.greeting .. ", and goodbye")
