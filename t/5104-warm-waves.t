#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Warm vms that are cut over together: generations come before, and who only
# waits for the cutover keeps none of its wave from them.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'an atomic wave of warm vms is copied whole, whoever waits'
requires jq

fake_type=warm
# fresh [SETTINGS [INTERVAL]]: three vms of one wave, one place
fresh() {
	rm -rf "$PALLETJACK_STATE"
	again "$@"
}
again() {
	fake_manifest "vms: \"3\", power: \"on\", ${1:-}" \
		"{waves: [{name: all, atomic: true, vms: [vm-00001, vm-00002, vm-00003]}],
		limits: {inFlight: 1}, precopy: {interval: ${2:-1h}}, retry: {attempts: 1}}" \
		vm-00001 vm-00002 vm-00003
}
run_it() {
	palletjack run "$@" m.yaml 2>err || {
		status=$?
		cat err
		return $status
	}
}
# each_has N: generations that are whole
each_has() {
	for vm in 1 2 3; do
		each_n=$(grep -c '"type":"result","step":"precopy-release"' \
			"$PALLETJACK_STATE/t/p/vm-0000$vm/journal")
		echo "vm-0000$vm: $each_n"
		test "$each_n" = "$1" || return 1
	done
}
no_source_is_off() {
	refute grep -h "source off" "$PALLETJACK_STATE"/t/p/*/fake.power
}

check 'a run takes the generation that is due of all of them' '
	fresh; exits 7 run_it; each_has 1
'
check 'nobody is said to keep the others back' '
	refute grep "goes together" err
	for vm in 1 2 3; do
		grep "vm-0000$vm.*generation 1 is done; the next at" err
	done
'
check 'so does one that is to go no further' '
	fresh; run_it --until precopy; each_has 1
'
check 'when their time has come they go together' '
	run_it --cutover now
	for vm in 1 2 3; do test "$(fake_state vm-0000$vm)" = finished; done
'
check 'who is to be cut over alone is not, and the others are copied on' '
	fresh "" 1ms; exits 7 run_it; palletjack cutover --vm vm-00001 m.yaml
	exits 7 run_it; each_has 2; no_source_is_off
	grep "vm-00001.*goes together or not at all, and .vm-0000[23]. does not: generation 2 is done" err
'
check 'one that fails still keeps them from the cutover' '
	fresh "faults: \"vm-00002:precopy/disk-0:fail\""
	exits 6 run_it --cutover now; no_source_is_off
	grep "goes together or not at all, and .vm-00002. does not: precopy/disk-0" err
'
check_exit 7 'and one that --vm leaves out' '
	fresh; run_it --cutover now --vm vm-00001 || { s=$?; no_source_is_off || exit 99; exit $s; }
'
check 'one that cannot keep its downtime has no other stopped' '
	rm -rf "$PALLETJACK_STATE"
	fake_manifest "vms: \"2\", power: \"on\", diskSize: 4Mi, faults: \"vm-00002:precopy/disk-0:slow=600\"" \
		"{waves: [{name: all, atomic: true, vms: [vm-00001, vm-00002]}],
		precopy: {interval: 1h}, cutover: {maxDowntime: 500ms}, retry: {attempts: 1}}" \
		vm-00001 vm-00002
	exits 7 run_it --cutover now; no_source_is_off
	grep "vm-00002.*predicted .*, budget 500 ms" err
'
test_end
