#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every step has a deadline: as a whole, or, where it tells its progress, from
# one bit of it to the next.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'what stands still is ended, what moves is not'
requires jq

# fresh FAULTS DEADLINES
fresh() {
	rm -rf "$PALLETJACK_STATE"
	fake_manifest 'vms: "2", diskSize: "12Mi", faults: "'"$1"'"' \
		"{retry: {attempts: 1, max: 1ms}, onFailure: hold, deadlines: {$2}}" \
		vm-00001 vm-00002
}

for step in cutover/disk-0 verify/disk-0; do
	check "$step that stands still is ended, and says where and for whom" '
		fresh vm-00001:'"$step"':hang "wait: 500ms"
		exits 5 palletjack run m.yaml 2>err; cat err
		grep -q "vm-00001 .*'"$step"'.*stood still for 500 ms (deadlines.wait): disk-0 at 0 B of .*, waiting for the source (Endpoint t/source) or the target (Endpoint t/target)" err &&
		test "$(fake_state vm-00002)" = finished
	'
done
check 'a step that tells no progress has deadlines.wait as a whole' '
	fresh vm-00001:create-vm:hang "wait: 500ms"
	exits 5 palletjack run m.yaml 2>err; cat err
	grep -q "create-vm.*took longer than its deadline of 500 ms (deadlines.wait)" err
'
check 'a conversion has its own, and so has the commit' '
	for stage in convert commit; do
		fresh "vm-00001:$stage:hang" "wait: 1h, conversion: 300ms"
		exits 5 palletjack run m.yaml 2>err; cat err
		grep -q "$stage.*took longer than its deadline of 300 ms (deadlines of $stage)" err
	done
'
check 'a copy and a verify that move take as long as they like' '
	fresh "cutover/disk-0:slow=1600 verify/disk-0:slow=1600" "wait: 800ms"
	palletjack run m.yaml --vm vm-00001 2>err; cat err
	test "$(fake_state)" = finished
'
check 'a stage that is given a deadline is held to it though it moves' '
	fresh "verify/disk-0:slow=1200" "wait: 1h, stage: {verify: 300ms}"
	exits 5 palletjack run m.yaml --vm vm-00001 2>err; cat err
	grep -q "verify/disk-0.*deadline of 300 ms (deadlines.stage.verify)" err
'
test_end
