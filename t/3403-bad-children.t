#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Children that cannot be made, stop, hang up, or talk nonsense.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'a child that misbehaves costs its step and nothing else'
requires jq
requires_fault

# suffers STATUS FAULT TEXT [POLICY]: vm-00001 convert does that; vm-00002
# finishes, and so does vm-00001 when it behaves again
suffers() {
	rm -rf "$PALLETJACK_STATE"
	fake_manifest "vms: \"2\", faults: \"vm-00001:convert:$2\"" \
		"${4:-{retry: {attempts: 1\}\}}" vm-00001 vm-00002
	exits "$1" palletjack run m.yaml 2>err || {
		cat err
		return 1
	}
	grep "vm-00001  convert  *FAILED in .*: $3" err || {
		cat err
		return 1
	}
	test "$(fake_state vm-00002)" = finished || return 1
	fake_log | refute grep convert || return 1
	sed -i 's/faults: [^}]*/faults: ""/' m.yaml
	palletjack run m.yaml && test "$(fake_state)" = finished
}

check 'one that is stopped meets its deadline' '
	suffers 5 stop "took longer than its deadline" \
		"{retry: {attempts: 1, max: 1ms}, deadlines: {stage: {convert: 300ms}}}"
'
check 'one that hangs up and lives on is ended' '
	suffers 1 mute ".*closed its socket and lived on"
'
check 'one that says what is no message is ended' '
	suffers 1 garbage ".*said what is no message"
'
check 'and so is one that says megabytes of it' '
	suffers 1 flood ".*said what is no message"
'

fake_manifest 'vms: "2"' '{retry: {attempts: 3, first: 1ms, max: 1ms}}' \
	vm-00001 vm-00002
check 'a process that cannot be made is tried for again' '
	for n in 2 3 5 9; do
		rm -rf "$PALLETJACK_STATE"
		with_fault FAULT_OPS=fork FAULT_AT="$n" FAULT_WHEN=EAGAIN \
			palletjack run m.yaml 2>err
		grep "failed: cannot fork: .*(again in" err
		test "$(fake_state)" = finished
	done
'
check 'and given up after the attempts the policy allows' '
	rm -rf "$PALLETJACK_STATE"
	exits 5 with_fault FAULT_OPS=fork FAULT_AT=4 FAULT_LASTS=yes \
		FAULT_WHEN=EAGAIN palletjack run m.yaml 2>err
	grep "to go on: palletjack run m.yaml" err
'
check 'what failed without ever being begun is on record' '
	palletjack status m.yaml -o json >status.json
	jq -e "[.vms[].steps[] | select(.state == \"failed\")
		| select(.begun and (.error.text | test(\"cannot fork\")))]
		| length == 2" status.json
	palletjack status m.yaml
'
check 'and goes on when there is room' '
	palletjack run m.yaml && test "$(fake_state)" = finished
'
test_end
