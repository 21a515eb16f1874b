#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Retries are counted over runs: killing a run gives no fresh ones; time and
# --redo do.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'the retries of a step survive the run'
requires jq
requires_fault

dir=$PALLETJACK_STATE/t/p/vm-00001
# fresh FAULTS RETRY
fresh() {
	rm -rf "$PALLETJACK_STATE"
	fake_manifest 'vms: "1", diskSize: "4Mi", faults: "'"$1"'"' \
		"{retry: {$2}}"
}
mend() {
	sed -i 's/faults: "[^"]*"/faults: ""/' m.yaml
}
intents() {
	jq -r 'select(.type == "intent" and .step == "verify/disk-0").seq' \
		"$dir/journal" | wc -l
}

fresh verify:retry 'attempts: 4, first: 1ms, max: 1h'
check 'a run that is killed after two failures' '
	with_fault FAULT_FILE=journal FAULT_WHEN=after FAULT_AT=2 \
		FAULT_MATCH="\"retry\":{\"wait\"" palletjack run m.yaml || :
	test "$(intents)" -eq 2
'
check 'leaves two tries to the next one' '
	exits 5 palletjack run m.yaml 2>err; cat err
	test "$(intents)" -eq 4 &&
	grep -q "verify/disk-0: fails for now, as asked (tried 4 times)" err &&
	grep -q "vm-00001: verify/disk-0 gets fresh retries on .* UTC, or at once: palletjack run m.yaml --vm vm-00001 --redo verify\$" err
'
check 'then a run says since when, until when and what helps, and tries nothing' '
	exits 5 palletjack run m.yaml 2>err; cat err
	grep -q "verify/disk-0 used its retries up on 20.* (fails for now, as asked.*); it gets fresh ones on 20.* UTC, or at once with --redo verify" err &&
	grep -q "or at once: palletjack run m.yaml --vm vm-00001 --redo verify\$" err &&
	test "$(intents)" -eq 4
'
check 'plan and status tell it' '
	palletjack plan m.yaml >out; cat out
	grep -q "verify/disk-0 *resume (failed before: .*; fresh retries 20" out &&
	palletjack status m.yaml -o json | jq -e ".vms[0].steps[]
		| select(.step == \"verify/disk-0\").retriesUsedUp"
'
check 'run --expect takes the digest that plan printed' '
	digest=$(palletjack plan m.yaml | sed -n "s/^digest: //p")
	exits 5 palletjack run m.yaml --expect "$digest"
'
check '--redo gives fresh ones, four of them' '
	exits 5 palletjack run m.yaml --redo verify 2>err; cat err
	test "$(intents)" -eq 8
'
check 'which are used up, too' '
	exits 5 palletjack run m.yaml; test "$(intents)" -eq 8
'
check 'other stages named by --redo give it none' '
	exits 5 palletjack run m.yaml --redo validate 2>err; cat err
	test "$(intents)" -eq 8
'
check 'when retry.max has passed the next run has fresh ones' '
	mend && FAULT_CLOCK=3601 with_fault palletjack run m.yaml &&
	test "$(fake_state)" = finished
'

check 'a clock that is set back keeps nobody waiting' '
	fresh verify:retry "attempts: 1, max: 1h" &&
	exits 5 palletjack run m.yaml && mend &&
	FAULT_CLOCK=-99999999 with_fault palletjack run m.yaml &&
	test "$(fake_state)" = finished
'
check 'nor does one that was ahead' '
	fresh verify:retry "attempts: 1, max: 1h" &&
	exits 5 with_fault FAULT_CLOCK=99999999 palletjack run m.yaml && mend &&
	palletjack run m.yaml && test "$(fake_state)" = finished
'
check '--redo of a copy with no retries left goes on, and repeats nothing' '
	fresh cutover/disk-0:half "attempts: 1, max: 1h"
	exits 6 palletjack run m.yaml
	sed -i "s/:half/:retry/" m.yaml
	exits 5 palletjack run m.yaml; exits 5 palletjack run m.yaml; mend
	palletjack plan m.yaml --redo cutover >out; cat out
	grep -q "cutover/disk-0 *resume (50 %" out &&
	grep -q "cutover  *skip (done" out &&
	palletjack run m.yaml --redo cutover && test "$(fake_state)" = finished
'
check 'success gives fresh ones' '
	fresh verify:once "attempts: 2, first: 1ms, max: 1h" &&
	palletjack run m.yaml --until verify &&
	palletjack run m.yaml --until verify --redo verify && palletjack run m.yaml
'
check 'an interrupted try takes none' '
	fresh verify:hang "attempts: 1, max: 1h"
	palletjack run m.yaml & pid=$!
	within 10 grep -q "intent.*verify/disk-0" "$dir/journal"
	kill $pid; exits 143 wait $pid
	mend && palletjack run m.yaml
'
for late in vm run; do
	check "nor does one that a late $late takes with it" '
		rm -rf "$PALLETJACK_STATE"
		fake_manifest "vms: \"1\", faults: \"verify:hang\"" \
			"{retry: {attempts: 1, max: 1h}, deadlines: {$late: 1s}}"
		exits 5 palletjack run m.yaml 2>err; cat err
		grep -q "deadlines.$late" err && mend &&
		sed -i "s/, deadlines: {$late: 1s}//" m.yaml && palletjack run m.yaml
	'
done

# how long the journal says that it waited, in all
waited() {
	jq -s 'map(.retry.wait // 0) | add' "$dir/journal"
}
fresh verify:retry 'attempts: 1000, first: 20ms, factor: 1, max: 1h, total: 100ms'
check 'retry.total: a run that is killed in the middle of it' '
	with_fault FAULT_FILE=journal FAULT_WHEN=after FAULT_AT=3 \
		FAULT_MATCH="\"retry\":{\"wait\"" palletjack run m.yaml || :
	waited; test "$(intents)" -eq 3 && test "$(waited)" -lt 100
'
check 'leaves what is left of it to the next, which ends with exit 5' '
	exits 5 palletjack run m.yaml 2>err; cat err; waited
	test "$(waited)" -eq 100 && grep -q "or at once: palletjack run .*--redo verify" err
'
check 'the one after has none' '
	tries=$(intents); exits 5 palletjack run m.yaml && test "$(intents)" -eq "$tries"
'
check 'but with --redo' '
	exits 5 palletjack run m.yaml --redo verify; waited; test "$(waited)" -eq 200
'
check 'or when retry.max has passed' '
	exits 5 with_fault FAULT_CLOCK=3601 palletjack run m.yaml
	waited; test "$(waited)" -eq 300
'
test_end
