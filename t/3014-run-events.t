#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# --events: a reader that stops, or never comes, does not hold up the run.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'nobody who watches holds up a run'
requires jq

# More records than a pipe takes; with LONG=1 more than are kept for it, too,
# which is what unit/events.c shows of the stream alone.
attempts=$(test -n "$LONG" && echo 1000 || echo 250)
fake_manifest 'vms: "1", faults: "commit:retry"' \
	"{retry: {attempts: $attempts, first: 0s, max: 0s, total: 0s}}"
journal=$PALLETJACK_STATE/t/p/vm-00001/journal

# not_taken: the run said so, and the journal is whole
not_taken() {
	cat err && grep -q "[0-9] events were not taken (its reader does not read); the journals have them all" err &&
		palletjack journal check "$journal" &&
		test "$(palletjack status m.yaml -o json | jq ".vms[].steps[] | select(.step == \"commit\").attempts")" -eq "$attempts"
}

mkfifo pipe
check 'a pipe whose reader does not read' '
	rm -rf "$PALLETJACK_STATE"
	sleep 600 <>pipe & reader=$!
	exits 5 timeout 300 palletjack run --events pipe m.yaml 2>err
	not_taken; kill $reader
'
check 'nor ever came' '
	rm -rf "$PALLETJACK_STATE"
	exits 5 timeout 300 palletjack run --events pipe m.yaml 2>err
	not_taken
'
check 'standard output, likewise' '
	rm -rf "$PALLETJACK_STATE"
	sleep 600 <>pipe & reader=$!
	exits 5 timeout 300 palletjack run --events - m.yaml >pipe 2>err
	not_taken; kill $reader
'
check 'one that went away' '
	rm -rf "$PALLETJACK_STATE"
	{ exits 5 palletjack run --events - m.yaml 2>err; } | head -n 3 >got
	cat err; test "$(wc -l <got)" -eq 3 && grep -q "were not taken (Broken pipe)" err
'
check 'one that reads gets all, each with its vm' '
	rm -rf "$PALLETJACK_STATE"
	cat <pipe >got & reader=$!
	exits 5 palletjack run --events pipe m.yaml 2>err
	wait $reader; refute grep "not taken" err
	palletjack journal show "$journal" >all
	test "$(jq -r .vm got | sort -u)" = vm-00001
	jq .seq got >seqs; jq .seq all | diff - seqs
'
check 'one that cannot be opened is said before anything is done' '
	rm -rf "$PALLETJACK_STATE"
	exits 2 palletjack run --events no/such/file m.yaml 2>err; cat err
	grep -q "cannot open .no/such/file.: No such file" err && test ! -e "$journal"
'
test_end
