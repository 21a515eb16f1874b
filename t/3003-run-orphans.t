#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a killed run leaves behind is ended before anything is written again.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'orphans of a killed run are ended by the next one'
requires jq
requires pgrep

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
check 'the next run ends it and finishes' '
	palletjack run m.yaml 2>&1 &&
	test "$(fake_state)" = finished
'
check 'it is gone' "! living $group"
check 'it was gone before the next run wrote its first record' '
	jq -r .type "$journal" | uniq >types && cat types &&
	test "$(jq -r "select(.type == \"run\").seq" "$journal" | wc -l)" -eq 2
'
check 'convert is the only step that was begun twice' '
	jq -r "select(.type == \"intent\").step" "$journal" | sort | uniq -d >got &&
	echo convert >want && cmp_ok want got
'
test_end
