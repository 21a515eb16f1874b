#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Processes that left every group on record are ended with the step that made
# them; the target is not.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'nothing that a step began outlives it, but the target'
requires jq
requires setsid

vm=$PALLETJACK_STATE/t/p/vm-00001
# strays: those that live; none is an error
strays() {
	for stray in $(cat "$vm/fake.strays"); do
		test_is_gone "$stray" || echo "$stray"
	done | grep .
}
at_end 'strays | xargs -r kill -KILL'

fake_manifest 'vms: "1", faults: "convert:stray"'
check 'a step ends well, and what daemonised away from it is ended' '
	palletjack run --until boot-test m.yaml && test -s "$vm/fake.strays" && refute strays
'
check 'it was seen to be gone before the step had an end on record' '
	jq "select(.type == \"result\" and .step == \"convert\").alone" "$vm/journal" | grep -qx true
'
rm -rf "$PALLETJACK_STATE"
fake_manifest 'vms: "1", faults: "convert:stray convert:crash"'
check 'a step dies, and so does what it left' '
	exits 1 palletjack run m.yaml && test -s "$vm/fake.strays" && refute strays
'
rm -rf "$PALLETJACK_STATE"
fake_manifest 'vms: "2", faults: "vm-00001:convert:stray vm-00002:convert:stray vm-00002:convert:hang"' \
	'{limits: {conversions: 2}}' vm-00001 vm-00002
check 'one vm being done with leaves the strays of another alone' '
	palletjack run m.yaml 2>err & run=$!
	within 30 test -s "$vm/../vm-00002/fake.strays"
	within 30 grep -q "\"type\":\"stop\"" "$vm/journal"
	other=$(cat "$vm/../vm-00002/fake.strays")
	refute test_is_gone "$other"; refute strays
	kill -TERM $run; exits 143 wait $run; cat err
	test_is_gone "$other"
'

rm -rf "$PALLETJACK_STATE"
fake_manifest 'vms: "1", faults: "convert:stray@1 convert:hang@1"'
palletjack run m.yaml >first 2>&1 &
first=$!
at_end "end_process $first"
within 30 test -s "$vm/fake.strays"
kill -KILL "$first"
wait "$first" 2>/dev/null
check 'what a killed run left lives on' 'strays'
check 'until the next run, which goes on at once' '
	# who only reads the lock is no helper
	exec 9<"$vm/writers.lock"
	sleep 300 9<&9 & reader=$!
	palletjack run m.yaml; rc=$?; refute test_is_gone $reader; kill $reader
	test "$rc" -eq 0 && refute strays
'
check 'a run that is asked to stop ends them, too' '
	rm -rf "$PALLETJACK_STATE"
	palletjack run m.yaml & run=$!
	within 30 test -s "$vm/fake.strays"
	kill -TERM $run; exits 143 wait $run
	refute strays
'
test_end
