#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a killed run leaves behind is ended before anything is written again.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'orphans of a killed run are ended by the next one'
requires jq
requires pgrep
requires_fault

fake_manifest 'vms: "1", faults: "convert:orphan"'
journal=$PALLETJACK_STATE/t/p/vm-00001/journal

palletjack run m.yaml >first 2>&1 &
first=$!
at_end "end_process $first"

check 'the run has started a helper' '
	within 30 grep -q "\"key\":\"helper\"" "$journal"
'
group=$(jq -r 'select(.key == "helper").value.pid' "$journal")
at_end "kill -KILL -- -$group"

living() {
	pgrep -g "$1" -r D,R,S >/dev/null
}
kill -KILL "$first"
wait "$first" 2>/dev/null

check 'a helper of the killed run lives on' "within 10 living $group"
# Killed at its very first write to the journal, a run has ended it already.
cp "$journal" before
check 'the next run ends it before it writes its first record' '
	exits 137 with_fault FAULT_FILE=journal FAULT_AT=1 FAULT_WHEN=before \
		palletjack run m.yaml
	cmp before "$journal" && refute living $group
'
check 'the run after that finishes' '
	palletjack run m.yaml 2>&1 &&
	test "$(fake_state)" = finished
'
check 'two runs wrote records' '
	test "$(jq -r "select(.type == \"run\").seq" "$journal" | wc -l)" -eq 2
'
check 'convert is the only step that was begun twice' '
	jq -r "select(.type == \"intent\").step" "$journal" | sort | uniq -d >got &&
	echo convert >want && cmp_ok want got
'
test_end
