#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Two runs never work on one vm.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'a vm has one run at a time'
requires jq

fake_manifest 'vms: "2", faults: "vm-00001:pre-hook:hang"' '{}' \
	vm-00001 vm-00002

palletjack run --vm vm-00001 m.yaml >first 2>&1 &
first=$!
at_end "end_process $first"
check 'the first run works on one vm' '
	within 30 grep -q "\"step\":\"pre-hook\"" \
		"$PALLETJACK_STATE/t/p/vm-00001/journal"
'
check 'the second is refused that vm, and says who has it' '
	exits 4 palletjack run m.yaml 2>second; cat second;
	grep -q "another run has it: process '"$first"' on" second
'
check 'and does the other one' 'test "$(fake_state vm-00002)" = finished'
check 'plan and status work beside it' '
	palletjack plan m.yaml && palletjack status m.yaml
'
kill -KILL "$first"
wait "$first" 2>/dev/null
check 'a dead run holds nothing' '
	sed -i "s/faults: [^}]*/faults: \"\"/" m.yaml &&
	palletjack run m.yaml
'

check 'what a dead run forked last holds its lock for a moment only' '
	rm -rf "$PALLETJACK_STATE"; palletjack run --until verify m.yaml
	lock=$PALLETJACK_STATE/t/p/vm-00001/lock
	sh -c : & dead=$!
	wait $dead
	echo "process $dead on $(uname -n) since then" >"$lock"
	(
		flock 9; : >held
		until test -e begun; do sleep 0.1; done
	) 9<>"$lock" &
	within 30 test -e held
	: >begun
	palletjack run m.yaml && test "$(fake_state)" = finished
'
test_end
