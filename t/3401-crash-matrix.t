#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The run, or its child, is killed at every write, sync, rename and message in
# turn (progress, what it is doing, records, results); the next run always ends
# in the same place: the journal's fold, the target's bytes, what ran when, and
# the outcome.  The plan has every stage; two disk blocks are two checkpoints.
# A share of these points by default (t/fake.sh); with LONG=1 each of them, and
# also after it.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'a run killed anywhere goes on from there'
requires jq
requires_fault

fake_manifest 'vms: "1", power: "on", diskSize: 2Mi, stepMillis: "1"' \
	'{bootTest: once, retry: {first: 1ms, max: 1ms}, checkpoint: {bytes: 1Mi}}'
fake_steps | sort >steps

kill_dir=$PALLETJACK_STATE
kill_command='palletjack run m.yaml'
prepare() {
	rm -rf "$PALLETJACK_STATE"
}

check 'undisturbed' '
	faulty FAULT_LOG="$PWD/points"; fake_fold >want
	fake_target >target; cat target
	fake_log | sort | cmp_ok steps -
'
# But set-aside, which belongs to a vm that is moved once more, and those of
# warm plans: they have tests of their own.
check 'that was every stage that there is' '
	sed -n "/ pipeline\[\]/,/};/p" "$TOP/stages/stages.c" |
		grep -o "&stage_[a-z_]*" | grep -v "set_aside\|precopy" | wc -l >got
	wc -l <steps | cmp_ok got -
'

# goes_on: the run after a killed one ends where the undisturbed one did
goes_on() {
	palletjack run m.yaml >resumed 2>&1 || {
		echo "the next run ended with $?"
		cat resumed
		return 1
	}
	palletjack journal check "$PALLETJACK_STATE/t/p/vm-00001" >>resumed &&
		fake_fold | cmp_ok want - || return 1
	fake_target | cmp_ok target - || return 1
	fake_log | sort -u | cmp_ok steps - || return 1
	# only the step whose result was being written can have run twice
	test "$(fake_log | sort | uniq -d | wc -l)" -le 1
}

killed_everywhere 'a first move'

check 'what was confirmed is never done again' '
	last=$(grep -n "^fsync.*/journal$" points | tail -n 3 | head -n 1 |
		cut -d: -f1)
	exits 137 faulty FAULT_AT="$last" FAULT_WHEN=after &&
	fake_log >before && palletjack run m.yaml && fake_log >after &&
	head -n "$(wc -l <before)" after | cmp_ok before - &&
	test $(($(wc -l <after) - $(wc -l <before))) -le 1
'

# mends WHEN: the run is killed at each of the first operations on a journal
# with a torn tail
mends() {
	for n in 1 2 3 4 5; do
		rm -rf "$PALLETJACK_STATE"
		cp -R torn "$PALLETJACK_STATE"
		exits 137 with_fault FAULT_OPS='write fsync ftruncate' \
			FAULT_AT="$n" FAULT_FILE=journal FAULT_WHEN="$1" \
			palletjack run m.yaml || return 1
		goes_on || return 1
	done
}
check 'killed again while it cuts a torn tail' '
	nth=$(grep -n "^write.*/journal$" points | sed -n 9p | cut -d: -f1)
	exits 137 faulty FAULT_AT="$nth" FAULT_WHEN=torn
	cp -R "$PALLETJACK_STATE" torn
	mends before
	mends after
'
test_end
