#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# As 3406, at a target of libvirt: a vm is moved, disks are set aside and
# copied anew, it is rolled back, what was made is removed; the run and its
# children killed at points as in 3401.  The daemon lives on, and what it knows
# is part of the world.  The conversion is pretended, as in 4003.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
. "${0%/*}/local.sh"
. "${0%/*}/virt.sh"
test_begin 'at libvirt, too, a move goes on from anywhere'
virt_needs
requires_fault
export LIBVIRT_AUTOSTART=0

kill_dir=$PWD/world
kill_ways=before
mkdir -p world
PALLETJACK_STATE=$kill_dir/state
state=$PALLETJACK_STATE/t/p/web
head -c 1500000 /dev/urandom >one.raw
truncate -s 2M one.raw
head -c 300000 /dev/urandom >two.raw
truncate -s 1M two.raw
pretend_conversion 'write -P 0x77 64k 64k'
policy='retry: {attempts: 2, first: 1ms, max: 1ms}, onFailure: hold'
local_manifest web=one.raw:fast,two.raw:bulk 'targetPowerState: "off"' "$policy"
to_libvirt
palletjack plan m.yaml 2>&1 | grep -q 'has no libvirt' &&
	skip_all 'this build has no libvirt'
virt_start
mkdir world/fast world/bulk
for name in fast bulk; do
	virt pool-define-as "$name" dir --target "$PWD/world/$name" &&
		virt pool-start "$name" || skip_all 'libvirtd has no pools here'
done
echo theirs >world/fast/web-notes.raw

# The domain is kept beside the files, as XML.
keep() {
	rm -rf kept kept.xml
	cp -a "$kill_dir" kept
	virt dumpxml web >kept.xml 2>dumped || rm kept.xml
}
prepare() {
	virt_clear
	# pools stay mounted where they are
	find world/fast world/bulk -mindepth 1 -delete
	rm -rf world/state
	cp -a kept/. world/
	test ! -e kept.xml || virt define kept.xml
}
# Ids and times differ: of those files only that they are there, and of the
# mark what it says.
amounts() {
	test -d world/state && fake_fold | jq '.steps |= sort_by(.step)' || return
	(
		cd world && find fast bulk | sort
		find fast bulk -name '*.raw' | sort | xargs -r sha256sum
		find fast bulk -name handover.json | sort | xargs -r jq -r .state
	)
	virt list --all
	virt dumpxml web 2>/dev/null | grep -v "state='\|uuid" || :
	virt dominfo web 2>/dev/null | grep Autostart || :
}
source_ran() {
	printf X | dd of=one.raw bs=1 seek=1000 conv=notrunc status=none
	touch -d 2026-01-01 one.raw
}
digest() {
	palletjack plan m.yaml | sed -n "s/^digest: //p"
}

kill_command='palletjack run m.yaml'
goes_on() {
	again 0 run m.yaml
}
check 'undisturbed, a vm is moved' '
	mkdir world/state && keep && undisturbed 0 &&
	test "$(virt domstate web)" = "shut off" &&
	converted one.raw one.converted && cmp one.converted world/fast/web-disk-0.raw
'
killed_everywhere 'move'

# Setting aside, and the first steps of what is done anew.
check 'a committed vm whose source ran' '
	prepare && palletjack run --until create-vm m.yaml && keep && source_ran &&
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
check 'what is set aside has a name' '
	palletjack plan m.yaml >plan || :; cat plan
	grep "sets aside qemu:///session fast/web-disk-0.raw as disk-0.aside-1.raw" plan
'
check 'undisturbed, it is set aside and copied anew' '
	undisturbed 0 && cmp kept/fast/.palletjack/web/disk-0.raw \
		world/fast/.palletjack/web/disk-0.aside-1.raw &&
	cmp one.raw world/fast/.palletjack/web/disk-0.raw && refute virt dominfo web &&
	test -d world/fast/.palletjack/web/overlays.aside-1
'
killed_everywhere 'set aside'

kill_command='palletjack rollback --discard-target-writes m.yaml'
kill_statuses='5 9 137'
goes_on() {
	again 9 rollback --discard-target-writes m.yaml
}
check 'a finished vm is rolled back' '
	prepare && palletjack run m.yaml --accept "$(cat digest)" && keep &&
	undisturbed 9 && refute virt dominfo web && grep -q rolled-back want
'
killed_everywhere 'rollback'

kill_command='palletjack gc --disks m.yaml'
kill_statuses='0 5 137'
# A directory that bears no claim any more is nobody's: killed just then, it
# stays, empty.
amounts() {
	fake_fold | jq '.steps |= sort_by(.step)' && find world/fast world/bulk -type f | sort
	virt list --all
}
goes_on() {
	again 0 gc --disks m.yaml
}
check 'gc --disks removes its disks, and what was set aside' '
	keep && undisturbed 0 && find world/fast world/bulk -type f >left &&
	echo world/fast/web-notes.raw | cmp_ok left -
'
killed_everywhere 'gc --disks'
test_end
