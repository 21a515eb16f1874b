#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# rollback over the fake endpoint: the order of things, what is refused, and
# kills at every record.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'a rollback gives the source back, and only then'
requires jq
fault=$(dirname "$PALLETJACK")/t/fault.so

state=$PALLETJACK_STATE/t/p/vm-00001
# power: what happened to source, target and mark, one a line
power() {
	cat "$state/fake.power"
}
again() {
	rm -rf "$PALLETJACK_STATE"
	fake_manifest 'vms: "2", power: "on"'
}

again
check_exit 0 'a vm that was never begun has nothing to give back' '
	palletjack rollback m.yaml 2>err; code=$?; cat err;
	grep -q "never begun" err && test ! -e "$state" && exit $code
'
check 'before the start: the mark, then the source; exit 9' '
	palletjack run --until create-vm m.yaml &&
	exits 9 palletjack rollback m.yaml &&
	power >got && cat got &&
	printf "%s\n" "source off" "mark rolled-back" "source on" >want &&
	cmp_ok want got && test "$(fake_state)" = "rolled back"
'
check 'the compensations ran in reverse order, as steps of their own' '
	fake_log | tail -3 >got &&
	printf "%s\n" undo/start undo/create-vm undo/cutover >want &&
	cmp_ok want got &&
	palletjack status m.yaml | grep "^  cutover  *undone"
'
check 'a run does nothing then, and says why' '
	cp "$state/journal" before; exits 9 palletjack run m.yaml 2>err;
	cat err; grep -q "rolled back on .*gc --disks" err &&
	cmp before "$state/journal" &&
	palletjack plan m.yaml | grep "rolled back on"
'
check 'nor does another rollback' '
	exits 9 palletjack rollback m.yaml && cmp before "$state/journal"
'
check 'gc keeps it so, gc --disks lets a run start afresh' '
	palletjack gc m.yaml && exits 9 palletjack run m.yaml &&
	palletjack gc --disks m.yaml && test "$(fake_state)" = begun &&
	palletjack run m.yaml && test "$(fake_state)" = finished &&
	test "$(fake_log | grep -c "^cutover/disk-0\$")" -eq 2 &&
	test "$(power | tail -1)" = "target on"
'
check 'a started target is given up only when that is asked for' '
	cp "$state/journal" before
	exits 6 palletjack rollback m.yaml 2>err; cat err;
	grep -q "may have run.*--discard-target-writes" err &&
	cmp before "$state/journal" && test "$(fake_state)" = finished
'
check 'nor are its disks removed' '
	exits 6 palletjack gc --disks m.yaml 2>err; cat err;
	grep -q "only after .palletjack rollback" err &&
	cmp before "$state/journal"
'
check 'gc of a finished vm leaves it finished' '
	palletjack gc m.yaml && test "$(fake_state)" = finished &&
	palletjack run m.yaml
'
check 'asked for: the target is off before the source is on' '
	exits 9 palletjack rollback --discard-target-writes m.yaml &&
	power | tail -3 >got &&
	printf "%s\n" "mark rolled-back" "target off" "source on" >want &&
	cmp_ok want got
'
check 'a vm never finished: gc --disks starts it afresh' '
	again && fake_manifest "vms: \"1\"" && palletjack run --until verify m.yaml &&
	palletjack gc --disks m.yaml && palletjack run m.yaml &&
	test "$(fake_log | grep -c "^verify/disk-0\$")" -eq 2
'
check 'not while its source is stopped: that would be forgotten' '
	again; palletjack run --until verify m.yaml
	exits 6 palletjack gc --disks m.yaml 2>err; cat err;
	grep -q "not given back" err
'
check 'a failed compensation is retried by the next rollback, or run' '
	again && palletjack run --until verify m.yaml &&
	sed -i "s/power: \"on\"/&, faults: \"undo\/create-vm:fail\"/" m.yaml &&
	exits 6 palletjack rollback m.yaml && test "$(power | tail -1)" = "mark rolled-back" &&
	exits 6 palletjack gc --disks m.yaml &&
	palletjack plan m.yaml | grep "its rollback, begun on .* is not finished" &&
	sed -i "s/:fail//" m.yaml &&
	exits 9 palletjack run m.yaml && test "$(power | tail -1)" = "source on" &&
	test "$(fake_log | grep -c undo/start)" -eq 1
'
check 'other vms of the plan are not concerned' '
	again && fake_manifest "vms: \"2\", power: \"on\"" "{}" vm-00001 vm-00002 &&
	palletjack run m.yaml &&
	exits 9 palletjack rollback --vm vm-00001 --discard-target-writes m.yaml &&
	test "$(fake_state vm-00002)" = finished
'

test -e "$fault" || { skip "$fault is not built" 'kills'; test_end; }

# kill_at N WHEN COMMAND...: that command dies there, then is given again; its
# second exit status
kill_at() {
	n=$1 when=$2
	shift 2
	env LD_PRELOAD="$fault" FAULT_FILE=journal FAULT_AT="$n" \
		FAULT_WHEN="$when" ASAN_OPTIONS=verify_asan_link_order=0 \
		palletjack "$@" >killed 2>&1
	test $? -eq 137 || return 99
	palletjack "$@" >resumed 2>&1
}
again
palletjack run m.yaml >/dev/null 2>&1
cp -r "$PALLETJACK_STATE" finished
before=$(wc -l <"$state/journal")
palletjack rollback --discard-target-writes m.yaml >/dev/null 2>&1
nrecords=$(($(wc -l <"$state/journal") - before))
cp -r "$PALLETJACK_STATE" back
for when in before torn after; do
	check "killed $when each of its $nrecords records, a rollback goes on" '
		for n in $(seq '$nrecords'); do
			rm -rf "$PALLETJACK_STATE"; cp -r finished "$PALLETJACK_STATE"
			code=0
			kill_at $n '$when' rollback --discard-target-writes m.yaml || code=$?
			test $code -eq 9 || { echo "$n: $code"; cat resumed; exit 1; }
			test "$(fake_state)" = "rolled back"
			power | tail -3 | tr "\n" , >got
			echo "mark rolled-back,target off,source on," | tr -d "\n" >want
			cmp_ok want got || exit 1
		done
	'
done
check 'killed at each of its records, gc --disks goes on' '
	for n in 1 2 3 4; do
		rm -rf "$PALLETJACK_STATE"; cp -r back "$PALLETJACK_STATE"
		kill_at $n after gc --disks m.yaml || { cat resumed; exit 1; }
		exits 0 palletjack run m.yaml
	done
'
check 'a run does not go on with a vm whose disks are being removed' '
	rm -rf "$PALLETJACK_STATE"; fake_manifest "vms: \"1\""
	palletjack run --until verify m.yaml
	refute env LD_PRELOAD="$fault" FAULT_FILE=journal FAULT_AT=2 \
		FAULT_WHEN=after ASAN_OPTIONS=verify_asan_link_order=0 \
		palletjack gc --disks m.yaml
	exits 6 palletjack run m.yaml 2>err; cat err;
	grep -q "has begun to remove" err && palletjack gc --disks m.yaml &&
	palletjack run m.yaml
'
test_end
