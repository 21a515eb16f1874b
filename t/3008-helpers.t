#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A step whose helper has started processes of its own is stopped, is too late,
# or dies: nothing of it is left when its end is on record.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'what a step has started ends with it'
requires jq
requires pgrep

journal=$PALLETJACK_STATE/t/p/vm-00001/journal

# begin POLICY: a run whose convert has a helper with children, at work
begin() {
	rm -rf "$PALLETJACK_STATE"
	fake_manifest 'vms: "1", faults: "convert:orphan"' "$1"
	palletjack run m.yaml >out 2>&1 &
	run=$!
	within 30 grep -q '"key":"helper"' "$journal" &&
		group=$(jq -r 'select(.key == "helper").value.pid' "$journal") &&
		child=$(jq -r 'select(.type == "intent" and .step == "convert")
			.process.pid' "$journal" | head -n 1)
}
family() {
	pgrep -g "$1" -r D,R,S >family
}
# at_work: all three of it
at_work() {
	within 30 family_is_whole
}
family_is_whole() {
	family "$group" && test "$(wc -l <family)" -eq 3
}
# ended STATUS
ended() {
	status=0
	wait "$run" || status=$?
	cat out
	test "$status" -eq "$1" && refute family "$group" && refute kill -0 "$child" 2>/dev/null
}

check 'SIGTERM' 'begin "{}" && at_work && kill -TERM "$run" && ended 143'
# is_asked: its process has a SIGTERM that it does not look at, as it is stopped
is_asked() {
	pending=$(sed -n 's/^ShdPnd:[^0-9a-f]*//p' "/proc/$child/status")
	test $((0x$pending & 1 << 14)) -ne 0
}
check 'and a second one, when the first is not enough' '
	begin "{}"; at_work; kill -STOP "$child"
	kill -TERM "$run"; within 30 is_asked
	refute test_is_gone "$run"; kill -TERM "$run"
	# well before the first would have ended it by force
	within 6 test_is_gone "$run" && ended 143
'
check 'the deadline of its stage' '
	begin "{retry: {attempts: 1}, deadlines: {stage: {convert: 2s}}}" &&
	at_work && ended 5 && grep "took longer than its deadline" out
'
check 'its process is killed: it is gone before the next attempt begins' '
	begin "{retry: {attempts: 2, first: 1ms, max: 1ms}}" && at_work &&
	kill -KILL "$child" && ended 0 && grep "convert .*again in" out &&
	test "$(fake_state)" = finished
'
check 'its process is killed in its last attempt' '
	begin "{retry: {attempts: 1}}" && at_work &&
	kill -KILL "$child" && ended 5 && grep "was killed by SIGKILL" out
'
check 'the deadline of its vm' '
	begin "{deadlines: {vm: 2s}}" && at_work && ended 5
'
test_end
