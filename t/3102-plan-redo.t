#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# --redo: a stage done anew because somebody wants it, and what follows from
# that; data only with a licence.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'a stage can be done anew'
requires jq

begin() {
	rm -rf "$PALLETJACK_STATE"
	fake_manifest 'vms: "1"' '{bootTest: once}'
	palletjack run --until "$1" m.yaml
}
words() {
	palletjack plan m.yaml $2 | sed -n "s,^  $1   *,,p"
}
digest() {
	palletjack plan m.yaml "$@" | sed -n 's/^digest: //p'
}
done_times() {
	fake_log | grep -c "^$1\$"
}

check_exit 2 'of stages that there are' 'begin verify && palletjack run --redo x m.yaml'
check 'a stage that only looks is done anew alone' '
	begin convert && test "$(words verify/disk-0 "--redo verify")" = \
		"run (asked for anew)" &&
	words convert "--redo verify" | grep "^skip (done" &&
	palletjack run --redo verify --until convert m.yaml &&
	test "$(done_times verify/disk-0)" -eq 2 && test "$(done_times convert)" -eq 1
'
check 'one that writes the disks takes along what came after it' '
	begin boot-test && palletjack run --redo convert --until boot-test m.yaml &&
	test "$(done_times convert)" -eq 2 && test "$(done_times boot-test)" -eq 2 &&
	test "$(done_times cutover/disk-0)" -eq 1
'
check_exit 3 'copying anew wants a licence' '
	begin convert && palletjack run --redo cutover m.yaml 2>said
'
check 'plan shows which, and the run says how' '
	cat said && test "$(done_times cutover/disk-0)" -eq 1 &&
	test "$(words cutover/disk-0 "--redo cutover")" = \
		"run (asked for anew); wants --accept" &&
	grep -q "to accept: palletjack run m.yaml --redo cutover --vm vm-00001 --accept" said
'
check 'with it, all that came of the copy is done anew as well' '
	digest --redo cutover >old
	palletjack run --redo cutover --accept "$(cat old)" --until convert m.yaml
	for step in cutover cutover/disk-0 verify/disk-0 convert; do
		test "$(done_times "$step")" -eq 2 || return 1
	done
	test "$(done_times pre-hook)" -eq 1
'
check_exit 3 'the same licence does not do it once more' '
	palletjack run --redo cutover --accept "$(cat old)" m.yaml
'
check_exit 6 'a redo that is cut short in the middle' '
	begin convert &&
	sed -i "s/vms: \"1\"/&, faults: \"cutover:fail\"/" m.yaml &&
	palletjack run --redo cutover --accept "$(digest --redo cutover)" m.yaml
'
check 'goes on in the next run, without being asked for twice' '
	sed -i "s/cutover:fail/none:fail/" m.yaml &&
	test "$(words convert)" = "run (asked for anew)" &&
	palletjack run m.yaml && test "$(fake_state)" = finished &&
	test "$(done_times convert)" -eq 2 && test "$(done_times cutover/disk-0)" -eq 2
'
check 'what a commit was made of is not made anew' '
	begin commit &&
	words convert "--redo convert" |
		grep "^refused (asked for anew; commit has begun" &&
	exits 6 palletjack run --redo convert m.yaml &&
	test "$(fake_log | tail -1)" = commit
'
check 'a finished vm stays finished' '
	palletjack run m.yaml && palletjack run --redo cutover m.yaml &&
	test "$(done_times cutover/disk-0)" -eq 1
'
check 'and plan says that its --redo does nothing' '
	palletjack plan --redo cutover m.yaml 2>err; cat err
	grep "RedoOfFinished: vm .vm-00001.: it is handed over, so --redo does nothing; to move it anew.*: palletjack rollback --discard-target-writes m.yaml --vm vm-00001, then: palletjack gc --disks m.yaml --vm vm-00001" err
	palletjack plan m.yaml 2>err; cat err
	refute grep "redo does nothing" err
'
test_end
