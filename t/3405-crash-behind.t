#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What comes behind a first move, killed at these points as in 3401: committed
# disks are set aside and copied anew, a vm is rolled back, what was made is
# removed.  First at the fake endpoint, then at a local target.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'setting aside, rolling back and removing go on from anywhere'
requires jq
requires_fault

# All that is killed is in here; each kind of command begins with a copy.
kill_dir=$PWD/world
mkdir world
PALLETJACK_STATE=$kill_dir/state
state=$PALLETJACK_STATE/t/p/vm-00001

# Ids differ: of those files only that they are there.
amounts() {
	fake_fold && (
		cd "$state" && cat fake.power &&
			sha256sum fake.disk-*[0-9] fake.vm* 2>/dev/null
		find . -name "fake.*" -o -name "*.ledger" | sort
	)
}
quick='{bootTest: once, retry: {first: 1ms, max: 1ms}, checkpoint: {bytes: 1Mi}}'

# Setting aside, and the first steps of what is done anew.
kill_command=
check 'a committed vm whose source ran' '
	fake_manifest "vms: \"1\", power: \"on\", diskSize: 2Mi, seed: \"1\"" "$quick" &&
	palletjack run --until create-vm m.yaml && keep &&
	sed -i "s/seed: \"1\"/seed: \"2\"/" m.yaml &&
	palletjack plan m.yaml | sed -n "s/^digest: //p" >digest
'
kill_command="palletjack run m.yaml --until verify --accept $(cat digest)"
# Until it is on record that all is begun anew the licence is wanted.
goes_on() {
	if palletjack journal show "$state/journal" | grep -q renew; then
		again 0 run m.yaml --until verify
	else
		exits 3 palletjack run m.yaml >asked 2>&1 &&
			again 0 run m.yaml --until verify \
				--accept "$(cat digest)"
	fi
}
check 'undisturbed, it is set aside and copied anew' '
	undisturbed 0 && grep -q fake.disk-0.aside-1 want && cmp \
		kept/state/t/p/vm-00001/fake.disk-0 "$state/fake.disk-0.aside-1" &&
	grep -a "of seed 2" "$state/fake.disk-0"
'
killed_everywhere 'set aside'

# Rolling back what was started.
kill_command='palletjack rollback --discard-target-writes m.yaml'
kill_statuses='5 9 137'
goes_on() {
	again 9 rollback --discard-target-writes m.yaml
}
check 'a finished vm is rolled back' '
	prepare && palletjack run m.yaml --accept "$(cat digest)" && keep &&
	undisturbed 9 && tail -3 world/state/t/p/vm-00001/fake.power | tr "\n" , >got &&
	printf "mark rolled-back,target off,source on," | cmp_ok - got
'
killed_everywhere 'rollback'

# Removing the overlay of one that was given back, then its disks.
kill_command='palletjack gc m.yaml'
kill_statuses='0 5 137'
goes_on() {
	again 0 gc m.yaml
}
check 'one that was converted is rolled back; gc removes its overlay' '
	rm -rf world && mkdir world && palletjack run --until convert m.yaml &&
	test -e "$state/fake.overlay" && exits 9 palletjack rollback m.yaml &&
	keep && undisturbed 0 && test ! -e "$state/fake.overlay"
'
killed_everywhere 'gc'

kill_command='palletjack gc --disks m.yaml'
goes_on() {
	again 0 gc --disks m.yaml
}
check 'gc --disks removes its disks, and what was set aside' '
	sed -i "s/seed: \"2\"/seed: \"1\"/" m.yaml &&
	rm -rf world && mkdir world && palletjack run --until create-vm m.yaml &&
	sed -i "s/seed: \"1\"/seed: \"2\"/" m.yaml &&
	palletjack run m.yaml --until commit --accept "$(palletjack plan m.yaml |
		sed -n "s/^digest: //p")" &&
	test -e "$state/fake.disk-0.aside-1" && exits 9 palletjack rollback m.yaml &&
	keep && undisturbed 0 && ls "$state" | refute grep fake.disk
'
killed_everywhere 'gc --disks'
test_end
