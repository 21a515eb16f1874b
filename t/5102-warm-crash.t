#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A warm migration, from its second generation over the cutover to the end, is
# killed at writes, syncs, renames and messages all over it; the next run ends
# with the same bytes and the same vm.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'a warm migration killed anywhere goes on from there'
requires jq
requires_fault

fake_type=warm
fake_manifest 'vms: "1", power: "on", diskSize: 3Mi, dirtyPercent: "60", stepMillis: "1"' \
	'{bootTest: every-generation, bootProbe: {serial: up}, retry: {first: 1ms, max: 1ms}, checkpoint: {bytes: 1Mi}}'
kill_dir=$PALLETJACK_STATE
kill_command='palletjack run m.yaml --cutover now'
state=$PALLETJACK_STATE/t/p/vm-00001

# however many points in time were made
amounts() {
	fake_fold
	grep -v "^point" "$state/fake.power"
	sha256sum <"$state/fake.disk-0"
	cat "$state/fake.vm"
}
goes_on() {
	again 0 run m.yaml --cutover now || return 1
	# nothing of ours is left at the source
	grep "^point" "$state/fake.power" | tail -n 1 | grep -q "^point none" ||
		return 1
	# what is there for good was done once; one result can have been lost
	# while it was written
	test "$(fake_log | grep -v precopy | sort | uniq -d | wc -l)" -le 1
}

check 'a first generation' '
	exits 7 palletjack run m.yaml --cutover never
	keep
'
check 'undisturbed' '
	undisturbed 0
	test "$(fake_state)" = finished
'
# what was converted was thrown away, and the result is not on record
between=$(awk '/^unlink .*\/fake.rehearsal$/ { thrown = NR }
	thrown && /^write .*\/journal$/ { print NR; exit }' points)
check 'killed between the end of a boot and its result' '
	kill_each before ${between:?}
'
# A source may have forgotten what came before the point that was let go.
for killed in '"key":"releasing"' '"result","step":"precopy-release'; do
	for way in before after; do
		check "killed $way it notes $killed: each point made is one applied" '
			exits 137 faulty FAULT_FILE=journal FAULT_OPS=write \
				FAULT_WHEN='$way' FAULT_MATCH="$killed"
			goes_on
			grep -o "^point palletjack[^ ]*" "$state/fake.power" |
				sed "s/.*-//" >made
			jq -r "select(.type == \"result\" and .step == \"precopy-release\").facts.number" \
				"$state/journal" >applied
			cmp_ok made applied
		'
	done
done
killed_everywhere 'the second generation, and the cutover'
test_end
