#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# SIGTERM and SIGINT: steps come to an end, state is saved, nothing is left.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'a run that is asked to stop stops, and can go on'
requires jq
requires pgrep

journal=$PALLETJACK_STATE/t/p/vm-00001/journal

# stop_with SIGNAL: begin a run that hangs in convert, send it, report its end
stop_with() {
	rm -rf "$PALLETJACK_STATE"
	fake_manifest 'vms: "1", faults: "convert:hang"'
	palletjack run m.yaml >out 2>&1 &
	run=$!
	within 30 grep -q '"step":"convert"' "$journal" || return 99
	child=$(jq -r 'select(.step == "convert").process.pid' "$journal")
	kill "-$1" "$run"
	wait "$run"
	status=$?
	cat out
	refute kill -0 "$child" 2>/dev/null || return 99
	return $status
}

check_exit 143 'SIGTERM' 'stop_with TERM'
check 'what was being done is on record, and the way to go on is said' '
	exits 143 stop_with TERM >said; cat said;
	grep -q "to go on: palletjack run m.yaml" said &&
	test "$(fake_state)" = stopped
'
check 'the next run finishes' '
	sed -i "s/faults: [^}]*/faults: \"\"/" m.yaml &&
	palletjack run m.yaml && test "$(fake_state)" = finished
'
check_exit 130 'SIGINT' '
	rm -rf "$PALLETJACK_STATE"
	fake_manifest "vms: \"1\", faults: \"convert:hang\""
	# sh ignores SIGINT for its background jobs; env gives it back
	env --default-signal=INT palletjack run m.yaml &
	run=$!
	within 30 grep -q "\"step\":\"convert\"" "$journal"
	kill -INT $run
	wait $run
'
test_end
