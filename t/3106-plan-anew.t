#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A committed disk is no replica any more. What must be copied again then is
# copied into a new volume beside it, with a licence, and it is set aside.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'after the commit a copy goes into a new volume'
requires jq

state=$PALLETJACK_STATE/t/p/vm-00001
begin() {
	rm -rf "$PALLETJACK_STATE"
	fake_manifest 'vms: "1", power: "on", seed: "1"'"$2" \
		"${3:-"{retry: {attempts: 1}}"}"
	palletjack run --until "$1" m.yaml
}
source_ran() {
	sed -i 's/seed: "[0-9]*"/seed: "'"${1:-9}"'"/' m.yaml
}
digest() {
	palletjack plan m.yaml "$@" | sed -n 's/^digest: //p'
}
words() {
	palletjack plan m.yaml $2 | sed -n "s,^  $1   *,,p"
}
done_times() {
	fake_log | grep -c "^$1\$"
}

check 'plan names the reason, the name it will have, and that it wants a licence' '
	begin create-vm; source_ran; words set-aside >got; cat got;
	grep "^run (cutover.*: changed: source epoch.*sets aside fake.disk-0 as fake.disk-0.aside-1, kept until .gc --disks.*); wants --accept$" got &&
	test "$(words cutover/disk-0)" = "blocked by set-aside" &&
	test "$(words validate)" = "run (changed: source epoch)"
'
check_exit 3 'without one a run does nothing' 'palletjack run m.yaml 2>said'
check 'and says how' '
	cat said && test "$(done_times cutover)" -eq 1 &&
	grep -q "^vm-00001: to accept: palletjack run m.yaml --vm vm-00001 --accept [0-9a-f]*$" said
'
check 'the command that it prints does all anew, and keeps what there was' '
	command=$(sed -n "s/^vm-00001: to accept: //p" said); $command
	test "$(fake_state)" = finished; test -e "$state/fake.disk-0.aside-1"
	for step in cutover cutover/disk-0 verify/disk-0 convert commit create-vm; do
		test "$(done_times "$step")" -eq 2 || exit 1
	done
	test "$(done_times pre-hook)" -eq 1 && test "$(done_times start)" -eq 1
'
check 'a source that was on is known to have been on, though it was off since' '
	test "$(tail -1 "$state/fake.power")" = "target on"
'
check 'it is in the journal, and is not asked for twice' '
	palletjack journal show "$state/journal" >shown; grep renew shown &&
	palletjack run m.yaml && test "$(done_times cutover/disk-0)" -eq 2
'
check '--redo cutover after the commit does the same' '
	begin commit; words set-aside "--redo cutover" >got; cat got;
	grep "^run (cutover asked for anew" got &&
	exits 3 palletjack run --redo cutover m.yaml &&
	palletjack run --redo cutover --accept "$(digest --redo cutover)" m.yaml &&
	test "$(fake_state)" = finished && test "$(done_times cutover/disk-0)" -eq 2
'
check 'given back after the commit: the run says the way on, and it works' '
	begin validate ", faults: \"create-vm:fail\""
	exits 6 palletjack run m.yaml 2>err; cat err
	grep "the source runs again; to try again: palletjack run m.yaml --vm vm-00001; .*--accept" err &&
	source_ran && sed -i "s/create-vm:fail//" m.yaml && exits 3 palletjack run m.yaml &&
	palletjack run m.yaml --accept "$(digest)" && test "$(fake_state)" = finished &&
	test "$(tail -1 "$state/fake.power")" = "target on"
'
check 'a second time makes a second set; gc --disks removes both' '
	begin commit; source_ran 2; palletjack run m.yaml --accept "$(digest)" --until commit
	source_ran 3; words set-aside | grep aside-2
	palletjack run m.yaml --accept "$(digest)" --until commit
	ls "$state" >had; cat had; grep -q aside-1 had; grep -q aside-2 had
	exits 9 palletjack rollback m.yaml; palletjack gc --disks m.yaml
	ls "$state" >left; cat left; refute grep fake.disk- left
'
check 'the licence of the first time is none for the second' '
	begin commit && source_ran 2 && old=$(digest) &&
	palletjack run m.yaml --accept "$old" --until commit && source_ran 3 &&
	exits 3 palletjack run m.yaml --accept "$old"
'
check 'an edit that needs another copy is offered the same way' '
	begin commit && sed -i "s/seed: \"1\"/seed: \"1\", diskSize: 2Mi/" m.yaml &&
	words set-aside | grep "source disk disk-0" && exits 3 palletjack run m.yaml &&
	palletjack run m.yaml --accept "$(digest)"
'
check 'once the start has begun no licence helps, and the way on is said' '
	begin create-vm ", faults: \"start:die=mark\"" "{retry: {attempts: 1}, onFailure: hold}"
	exits 5 palletjack run m.yaml; source_ran
	exits 6 palletjack run m.yaml --accept "$(digest)" 2>err; cat err;
	grep -q "rollback --discard-target-writes" err && grep -q "gc --disks" err &&
	test "$(done_times cutover/disk-0)" -eq 1
'
test -e "${PALLETJACK%/*}/t/fault.so" || { skip 't/fault.so is not built' kills; test_end; }
check 'killed behind each record, it converges without another licence' '
	for n in 1 2 3 4 5 6 8 10 13; do
		begin commit; source_ran
		exits 137 with_fault FAULT_FILE=journal FAULT_AT=$n FAULT_WHEN=after \
			palletjack run m.yaml --accept "$(digest)"
		palletjack journal show "$state/journal" | grep -q renew || {
			echo "at $n: before the record: the licence is still wanted"
			exits 3 palletjack run m.yaml && continue || exit 1
		}
		palletjack run m.yaml && test "$(fake_state)" = finished &&
		test -e "$state/fake.disk-0.aside-1" &&
		test "$(fake_log | sort | uniq -c | grep -c " cutover/disk-0$")" -eq 1 || exit 1
	done
'
test_end
