#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# RunPolicy onFailure: what a failure behind the source's stop leads to, and the
# next command that is printed.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'a failure behind the stop leads to the declared state'
requires jq

state=$PALLETJACK_STATE/t/p/vm-00001
power() {
	cat "$state/fake.power"
}
# fail_with POLICY FAULT
fail_with() {
	rm -rf "$PALLETJACK_STATE"
	fake_manifest 'vms: "2", power: "on", faults: "'"$2"'"' \
		"{retry: {attempts: 1}, $1}" vm-00001 vm-00002
}
mend() {
	sed -i 's/faults: "[^"]*"/faults: ""/' m.yaml
}

fail_with '' vm-00001:convert:fail
check 'by default the source is given back, and the command is said' '
	exits 6 palletjack run m.yaml 2>err; cat err;
	test "$(power | tail -1)" = "source on" &&
	grep -q "vm-00001: the source runs again; to try again: palletjack run m.yaml --vm vm-00001" err &&
	test "$(fake_state)" = stopped && test "$(fake_state vm-00002)" = finished
'
check 'the next run stops it again, and copies what may have changed meanwhile' '
	palletjack plan m.yaml --vm vm-00001 |
		grep "cutover/disk-0 *run (changed: source epoch)" &&
	mend && palletjack run m.yaml && power >got && cat got &&
	printf "%s\n" "source off" "source on" "source off" "mark started" \
		"target on" >want && cmp_ok want got &&
	test "$(fake_log | grep -c "^cutover\$")" -eq 2 &&
	test "$(fake_log | grep -c "^cutover/disk-0\$")" -eq 2 &&
	grep -a "^vm-00001 disk-0 block 0 of seed 0, started 1 times$" \
		"$state/fake.disk-0"
'
check 'a source that was off anyway did not run: no copy is repeated' '
	fail_with "" vm-00001:convert:fail && sed -i "s/power: \"on\", //" m.yaml &&
	exits 6 palletjack run m.yaml && mend && palletjack run m.yaml &&
	test "$(fake_log | grep -c "^cutover/disk-0\$")" -eq 1
'
# started FAULTS [ON-FAILURE]: it was off at its first cutover, and somebody
# starts it before the next
started() {
	rm -rf "$PALLETJACK_STATE"
	fake_manifest "vms: \"1\", faults: \"$1\"" \
		"{retry: {attempts: 1}, onFailure: ${2:-restart-source}}"
	sed -i "s/^  targetNamespace: .*/&\n  targetPowerState: auto/" m.yaml
	palletjack run m.yaml --until verify || return 1
	echo "source on" >>"$state/fake.power"
}
check 'off at the first cutover, and started before the next: it ran' '
	started ""; palletjack run m.yaml && power >got && cat got &&
	printf "%s\n" "source on" "source off" "mark started" "target on" >want &&
	cmp_ok want got
'
check 'so a failure gives it back' '
	started vm-00001:convert:fail; exits 6 palletjack run m.yaml 2>err; cat err;
	test "$(power | tail -1)" = "source on" && grep "the source runs again" err
'
check 'and, held, its source is said to be off' '
	started vm-00001:convert:fail hold; exits 6 palletjack run m.yaml 2>err; cat err;
	test "$(power | tail -1)" = "source off"
	grep "the source is off; to go on" err
	palletjack status m.yaml | grep "the source was stopped on"
	exits 9 palletjack rollback m.yaml
	test "$(power | tail -1)" = "source on"
'
# Another look finds it off, as the killed run left it.
check 'killed behind that stop, it still ran' '
	started ""
	exits 0 palletjack run m.yaml --until cutover
	cp "$state/journal" whole
	head -n "$(grep -n "type.:.record.*power.*:.on" whole | cut -d: -f1)" \
		whole >"$state/journal"
	palletjack run m.yaml; cat "$state/fake.power"
	test "$(power | tail -1)" = "target on"
'
check 'a source that ran meanwhile is copied again' '
	fail_with "" vm-00001:convert:fail && exits 6 palletjack run m.yaml &&
	mend && sed -i "s/power: \"on\"/&, seed: \"9\"/" m.yaml &&
	palletjack run m.yaml &&
	test "$(fake_log | grep -c "^cutover/disk-0\$")" -eq 2
'
check 'behind the commit it is said what else may be wanted' '
	fail_with "" vm-00001:create-vm:fail; exits 6 palletjack run m.yaml 2>err;
	cat err; test "$(power | tail -1)" = "source on" &&
	grep -q "to try again: palletjack run m.yaml --vm vm-00001; .*(--accept); to give up: palletjack rollback m.yaml" err
'
check 'exhausted retries are a failure, too' '
	fail_with "" vm-00001:verify:retry && exits 5 palletjack run m.yaml &&
	test "$(power | tail -1)" = "source on"
'
check 'a failure before the stop concerns no source' '
	fail_with "" vm-00001:pre-hook:fail && exits 6 palletjack run m.yaml &&
	test ! -e "$state/fake.power"
'
check 'hold: it stays off, and both ways on are said' '
	fail_with "onFailure: hold" vm-00001:convert:fail
	exits 6 palletjack run m.yaml 2>err; cat err;
	test "$(power | tail -1)" = "source off" &&
	grep -q "to go on: palletjack run m.yaml --vm vm-00001; to give it back: palletjack rollback m.yaml --vm vm-00001" err
'
check 'rollback: the compensations, at once' '
	fail_with "onFailure: rollback" vm-00001:convert:fail
	exits 6 palletjack run m.yaml 2>err; cat err;
	power | tail -2 >got &&
	printf "%s\n" "mark rolled-back" "source on" >want && cmp_ok want got &&
	grep -q "to start afresh: palletjack gc --disks m.yaml --vm vm-00001" err &&
	test "$(fake_state)" = "rolled back" &&
	test "$(fake_state vm-00002)" = finished
'
check 'and the next run leaves it alone' '
	mend && exits 9 palletjack run m.yaml &&
	test "$(power | tail -1)" = "source on"
'
check 'a start that did not reach the target started nothing: the policy holds' '
	fail_with "" vm-00001:start:fail
	exits 6 palletjack run m.yaml 2>err; cat err;
	test "$(power | tail -1)" = "source on" && grep "the source runs again" err
'
check 'nor did the one after it' '
	fail_with "onFailure: hold" vm-00001:start:fail
	for attempt in 1 2; do
		exits 6 palletjack run m.yaml 2>err || { cat err; exit 1; }
		grep "vm-00001: the source is off; to go on" err
		test "$(power | tail -1)" = "source off"
	done
	sed -i "s/onFailure: hold/onFailure: restart-source/" m.yaml
	exits 6 palletjack run m.yaml
	test "$(power | tail -1)" = "source on"
'
check 'nor one that is asked for anew, and killed before that is begun' '
	fail_with "onFailure: hold" vm-00001:start:fail
	exits 6 palletjack run m.yaml
	exits 6 palletjack run --redo start m.yaml
	n=$(grep -n "\"type\":\"redo\"" "$state/journal" | cut -d: -f1)
	head -n "$n" "$state/journal" >cut
	cat cut >"$state/journal"
	palletjack cancel m.yaml --vm vm-00001
	exits 9 palletjack run m.yaml 2>err; cat err
	refute grep "may have started" err
'
check 'from the start on people decide, whatever the policy' '
	fail_with "onFailure: rollback" vm-00001:start:die=mark
	exits 5 palletjack run m.yaml 2>err; cat err;
	test "$(power | tail -1)" = "source off" &&
	grep -q "palletjack rollback --discard-target-writes m.yaml --vm vm-00001" err
'
check 'a source that cannot be started is not said to run' '
	fail_with "" "vm-00001:convert:fail vm-00001:undo/cutover:fail"
	exits 6 palletjack run m.yaml 2>err; cat err;
	grep -q "the source is off; to go on" err && test "$(power | tail -1)" = "source off"
'
check 'the next run goes on from there' '
	mend && palletjack run m.yaml && test "$(power | tail -1)" = "target on"
'
test_end
