#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# As 3405, at a local target: disks are set aside and copied anew, a vm is
# rolled back, what was made is removed; the run and its children killed at
# points as in 3401, with LONG=1 in the middle of writes and behind them, too.
# The conversion is pretended, as in 4003.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
. "${0%/*}/local.sh"
test_begin 'at a local target, too, all that can be undone goes on from anywhere'
requires jq
requires qemu-img --version
requires qemu-io --version
requires_fault

kill_dir=$PWD/world
kill_ways=before
mkdir world
PALLETJACK_STATE=$kill_dir/state
state=$PALLETJACK_STATE/t/p/web
head -c 1500000 /dev/urandom >one.raw
truncate -s 2M one.raw
head -c 300000 /dev/urandom >two.raw
truncate -s 1M two.raw
pretend_conversion 'write -P 0x77 64k 64k'
local_target=world/target
local_manifest web=one.raw:fast,two.raw:bulk 'targetPowerState: "off"' \
	'retry: {attempts: 2, first: 1ms, max: 1ms}, onFailure: hold'

# Ids and times differ: of those files only that they are there, and of the
# mark what it says.
amounts() {
	fake_fold && test -d world/target || return
	(
		cd world/target && find . | sort
		find . -name '*.raw' -o -name domain.xml -o -name start |
			sort | xargs -r sha256sum
		find . -name handover.json | sort | xargs -r jq -r .state
	)
}
source_ran() {
	printf X | dd of=one.raw bs=1 seek=1000 conv=notrunc status=none
	touch -d 2026-01-01 one.raw
}
digest() {
	palletjack plan m.yaml | sed -n "s/^digest: //p"
}

# Setting aside, and the first steps of what is done anew.
check 'a committed vm whose source ran' '
	palletjack run --until create-vm m.yaml && keep && source_ran &&
	digest >digest && test -s digest
'
kill_command="palletjack run m.yaml --until cutover --accept $(cat digest)"
goes_on() {
	if palletjack journal show "$state/journal" | grep -q renew; then
		again 0 run m.yaml --until cutover
	else
		exits 3 palletjack run m.yaml >asked 2>&1 &&
			again 0 run m.yaml --until cutover \
				--accept "$(cat digest)"
	fi
}
check 'undisturbed, it is set aside and copied anew' '
	undisturbed 0 && cmp kept/target/fast/web/disk-0.raw \
		world/target/fast/web/disk-0.aside-1.raw &&
	cmp one.raw world/target/fast/web/disk-0.raw &&
	test -d world/target/web/overlays.aside-1
'
killed_everywhere 'set aside'

kill_command='palletjack rollback --discard-target-writes m.yaml'
kill_statuses='5 9 137'
goes_on() {
	again 9 rollback --discard-target-writes m.yaml
}
check 'a finished vm is rolled back' '
	prepare && palletjack run m.yaml --accept "$(cat digest)" && keep &&
	undisturbed 9 && test ! -e world/target/web/start &&
	grep -q rolled-back want
'
killed_everywhere 'rollback'

kill_command='palletjack gc --disks m.yaml'
kill_statuses='0 5 137'
# A directory that bears no claim any more is nobody's: killed just then, it
# stays, empty.
amounts() {
	fake_fold && find world/target -type f | sort
}
goes_on() {
	again 0 gc --disks m.yaml
}
check 'gc --disks removes its disks, and what was set aside' '
	keep && echo mine >kept/target/bulk/web/notes && undisturbed 0 &&
	find world/target -type f >left && echo world/target/bulk/web/notes |
		cmp_ok left -
'
killed_everywhere 'gc --disks'

kill_command='palletjack gc m.yaml'
goes_on() {
	again 0 gc m.yaml
}
check 'one that was converted is rolled back; gc removes its overlays' '
	rm -rf world && mkdir world && palletjack run --until convert m.yaml &&
	test -d world/target/web/overlays/ov.1 &&
	exits 9 palletjack rollback m.yaml && keep && undisturbed 0 &&
	test ! -e world/target/web/overlays
'
killed_everywhere 'gc'
test_end
