#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# More vms than a process has open files by default, or may have at all.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'the number of open files limits no plan'
requires jq

vms=$(seq -f 'vm-%05.0f' 1 40)
# shellcheck disable=SC2086
fake_manifest 'vms: "40"' '{retry: {attempts: 10, first: 100ms, max: 100ms}}' $vms

states() {
	palletjack status m.yaml -o json | jq -r '.vms[].state' | sort | uniq -c |
		sed 's/^ *//'
}

check 'a low default is raised: all vms in one run' '
	(ulimit -S -n 64 && exits 0 palletjack run m.yaml) 2>err
	tail -n 3 err; test "$(states)" = "40 finished"
'

rm -rf "$PALLETJACK_STATE"
check 'below that limit a run does what it can, and says so' '
	(ulimit -n 96 && exits 5 palletjack run m.yaml) 2>err
	grep -q "vm-00040.*limit of 96 open files" err && states
'
check 'what it took was done to the end, with files to spare for its steps' '
	states
	left=$(grep -c "limit of 96 open files" err)
	test "$left" -lt 30
	test "$(states)" = "$((40 - left)) finished
$left not begun"
	refute grep "Too many open files" err
'
check 'the next runs do the rest' '
	(ulimit -n 96; for _ in 1 2 3 4; do palletjack run m.yaml && break
	done) 2>err
	test "$(states)" = "40 finished"
'

test_end
