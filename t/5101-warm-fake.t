#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A vm that runs is copied generation by generation, as its interval says, and
# cut over when that is asked for: what is copied then is what changed.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'a warm migration goes by generations'
requires jq
requires_fault

fake_type=warm
vm=$PALLETJACK_STATE/t/p/vm-00001
warm_manifest() {
	fake_manifest "vms: \"1\", power: \"on\", dirtyPercent: \"30\", diskSize: 40Mi$1" \
		"{precopy: {interval: ${2:-1h}}, retry: {first: 1ms, max: 1ms}}"
}
fact() { # STEP KEY: of its last success
	jq -rc --arg s "$1" 'select(.type == "result" and .step == $s).facts.'"$2" \
		"$vm/journal" | tail -n 1
}
begins() {
	grep -c "\"type\":\"intent\",\"step\":\"$1\"" "$vm/journal"
}
anew() {
	rm -rf "$PALLETJACK_STATE"
}

warm_manifest
check_exit 7 'a run takes the generation that is due, and waits' '
	palletjack run m.yaml 2>err || { s=$?; cat err; exit $s; }
'
check 'it says when the next is due, and what the cutover waits for' '
	exits 7 palletjack run m.yaml >out 2>err; cat err
	grep "generation 1 is done; the next at .* UTC; cutover once .palletjack cutover. is said" err
'
check 'the source still runs; all was copied and read back' '
	refute grep "source off" "$vm/fake.power"
	test "$(fact precopy/disk-0 pass)" = all
	test "$(fact precopy-verify/disk-0 blocks)" = 40
'
check 'before its time there is no second one' '
	test "$(begins precopy)" = 1
'
warm_manifest '' 1ms
check 'the next copies and reads back what changed, no more' '
	palletjack plan m.yaml | grep "precopy/disk-0 *run (generation 2)"
	palletjack run m.yaml --until precopy
	test "$(fact precopy/disk-0 pass)" = changed
	n=$(($(fact precopy/disk-0 written) >> 20)); echo "$n blocks"
	test "$n" -gt 0; test "$n" -lt 20
	test "$(fact precopy-verify/disk-0 blocks)" = "$n"
'
check 'it is in the journal with what it cost' '
	fact precopy-release generations | jq -e ".[1].written > 0 and
		.[1].ended >= .[1].begun and .[1].begun >= .[1].at"
'
warm_manifest
check 'the cutover copies and reads back the last delta only' '
	palletjack run m.yaml --cutover now 2>err || { cat err; exit 1; }
	test "$(fake_state)" = finished
	test "$(fact cutover/disk-0 pass)" = changed
	n=$(($(fact cutover/disk-0 written) >> 20)); echo "$n blocks"
	test "$n" -gt 0; test "$n" -lt 20
	test "$(fact verify/disk-0 blocks)" = "$n"
	sha256sum <"$vm/fake.disk-0" >warm.sum
'
check 'a last generation was taken just before the source was stopped' '
	test "$(begins precopy)" = 3
'
check 'all generations came to what a cold copy of the stopped vm would be' '
	mv "$vm/fake.disk-0" warm.disk; anew; warm_manifest
	palletjack run m.yaml --cutover now
	test "$(begins precopy)" = 1
	cmp warm.disk "$vm/fake.disk-0"
'

check 'a request cuts it over' '
	anew; warm_manifest
	exits 7 palletjack run m.yaml
	palletjack cutover m.yaml
	palletjack run m.yaml && test "$(fake_state)" = finished
'
check 'killed when the cutover is predicted and not begun, status tells none' '
	anew; warm_manifest
	exits 7 palletjack run m.yaml
	exits 137 env LD_PRELOAD="${PALLETJACK%/*}/t/fault.so" \
		ASAN_OPTIONS=verify_asan_link_order=0 \
		FAULT_FILE=journal FAULT_WHEN=before \
		FAULT_MATCH="\"type\":\"intent\",\"step\":\"cutover\"" \
		palletjack run m.yaml --cutover now
	grep "\"step\":\"cutover\",\"key\":\"predicted\"" "$vm/journal"
	palletjack status m.yaml >out; cat out
	grep "precopy/disk-0 *done" out
	refute grep "^  cutover  " out
	palletjack status -o json m.yaml | jq -e ".vms[0].steps |
		all(.begun) and (map(.step) | index(\"precopy/disk-0\") != null)"
'
check 'with --wait it goes on by itself: generations, then the cutover' '
	anew; warm_manifest "" 1s
	palletjack run m.yaml --wait 1m 2>err & run=$!
	within 30 grep -q "\"step\":\"precopy-verify/disk-0\",.*\"generation\":3" "$vm/journal"
	palletjack cutover m.yaml
	wait $run || { cat err; exit 1; }
	test "$(fake_state)" = finished
	sha256sum <"$vm/fake.disk-0" | cmp_ok warm.sum -
'
check 'no more generations than the policy allows' '
	anew
	fake_manifest "vms: \"1\", power: \"on\"" "{precopy: {interval: 1ms, maxGenerations: 2}}"
	for i in 1 2 3 4; do exits 7 palletjack run m.yaml; done
	test "$(begins precopy)" = 2
'
check 'a point in time that is lost is made anew, and the copy goes on' '
	anew; warm_manifest ", faults: \"precopy/disk-0:lose\""
	exits 5 palletjack run m.yaml
	exits 7 palletjack run m.yaml
	palletjack run m.yaml --cutover now
	sha256sum <"$vm/fake.disk-0" | cmp_ok warm.sum -
'
check 'a vm that is off is copied cold, at its time' '
	anew; fake_manifest "vms: \"1\"" "{}"
	exits 7 palletjack run m.yaml
	palletjack run m.yaml --cutover now
	test "$(begins precopy)" = 0
	test "$(fake_state)" = finished
'
check 'after a failure the source runs on, and the next generation is a delta' '
	anew; warm_manifest ", faults: \"convert:fail@1\""
	exits 6 palletjack run m.yaml --cutover now
	tail -n 1 "$vm/fake.power" | grep "source on"
	exits 7 palletjack run m.yaml --cutover never
	palletjack run m.yaml --cutover now 2>err || { cat err; exit 1; }
	test "$(fact precopy/disk-0 pass)" = changed
	test "$(fake_state)" = finished
'
check 'a rollback before the cutover leaves nothing at the source' '
	anew; warm_manifest ", faults: \"precopy/disk-0:fail\""
	exits 6 palletjack run m.yaml
	grep "^point palletjack" "$vm/fake.power"
	exits 9 palletjack rollback m.yaml
	tail -n 1 "$vm/fake.power" | grep "point none"
'

point() {
	grep "^point" "$vm/fake.power" | tail -n 1
}
cut_short() { # a generation whose point in time stays
	anew
	warm_manifest ", faults: \"precopy/disk-0:fail\""
	exits 6 palletjack run m.yaml
	point | grep palletjack
}
check 'a plan that is cold by now leaves no point in time either' '
	cut_short
	fake_type=cold
	warm_manifest
	palletjack run m.yaml
	point | grep none
'
check 'nor does its rollback' '
	cut_short
	fake_type=cold
	warm_manifest
	exits 9 palletjack rollback m.yaml
	point | grep none
'
check 'nor gc --disks' '
	cut_short
	palletjack gc --disks m.yaml
	point | grep none
'

# budget MAX MORE: a plan whose vm may be down so long
budget() {
	rm -rf "$PALLETJACK_STATE"
	fake_manifest "vms: \"1\", power: \"on\", dirtyPercent: \"30\", diskSize: 40Mi$2" \
		"{precopy: {interval: 1h}, cutover: {maxDowntime: $1}, retry: {first: 1ms, max: 1ms}}"
}
check 'a budget that holds: it is cut over, and says what was predicted' '
	budget 10m
	palletjack run m.yaml --cutover now 2>err || { cat err; exit 1; }
	grep "MIGRATED: down for .* to .* were predicted" err
	jq -c "select(.key == \"predicted\").value" "$vm/journal" >predicted
	jq -e ".lowMs <= .likelyMs and .likelyMs <= .highMs" predicted
'
# What takes the time is in no prediction, so that another generation seems to
# be what is missing, for ever.
check 'generations that bring it no nearer: the run ends, and says so' '
	rm -rf "$PALLETJACK_STATE"
	fake_manifest "vms: \"1\", power: \"on\", dirtyPercent: \"30\", diskSize: 40Mi, faults: \"precopy/disk-0:slow=300 precopy-release:slow=1200\"" \
		"{precopy: {interval: 1ms}, cutover: {maxDowntime: 500ms}, retry: {first: 1ms, max: 1ms}}"
	exits 7 timeout 60 palletjack run m.yaml --cutover now 2>err
	grep "predicted" err
	test "$(begins precopy)" -gt 3
	test "$(begins precopy)" -lt 12
	grep "budget 500 ms;.*the last generations of this run brought it no nearer, it may fit later: best" err
	refute grep "source off" "$vm/fake.power"
'
check 'one that nothing can keep: the source is not stopped, and why' '
	budget 2ms ", faults: \"precopy/disk-0:slow=300\""
	exits 7 palletjack run m.yaml --cutover now 2>err
	cat err
	grep "predicted .* to .*, budget 2 ms; the guest writes .*/s, copying runs at .*/s; .*best" err
	refute grep "source off" "$vm/fake.power"
'
test_end
