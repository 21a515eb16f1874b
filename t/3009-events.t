#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run --events: the journals' records as they are confirmed.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'the event stream is the journals, record by record'
requires jq

state=$PALLETJACK_STATE/t/p
fake_manifest 'vms: "2", content: none, faults: "vm-00002:verify:fail@1"' \
	'{bootTest: once}' vm-00001 vm-00002

# as_journal VM FILE: of a stream, what that vm's journal must be
as_journal() {
	grep "^{\"vm\":\"$1\"," "$2" | sed 's/^{"vm":"[^"]*",/{/'
}
same() {
	for vm in vm-00001 vm-00002; do
		as_journal $vm "$1" | cmp_ok "$state/$vm/journal" - || return 1
	done
}

check 'to a file: every record of every vm, byte for byte, from the first on' '
	exits 6 palletjack run --events events m.yaml && same events
'
check 'each line is one JSON object with the vm in it' '
	jq -e "has(\"vm\") and has(\"seq\") and has(\"sum\")" events | sort -u >got
	echo true | cmp_ok - got && test "$(jq -c . events | wc -l)" -eq "$(wc -l <events)"
'
check 'the next run adds to it' 'palletjack run --events events m.yaml && same events'
check 'a rerun of what is finished adds nothing' '
	cp events before && palletjack run --events events m.yaml && cmp before events
'
check 'to standard output, which nothing else is written to' '
	rm -rf "$PALLETJACK_STATE" &&
	exits 6 palletjack run --events - m.yaml >events && same events
'
check 'a reader that goes away costs nothing' '
	rm -rf "$PALLETJACK_STATE"; sed -i "s/faults: [^}]*/faults: \"\"/" m.yaml
	{ palletjack run --events - m.yaml 2>err || echo $? >status; } | head -n 1 >first
	cat err status || :
	test ! -e status && test "$(fake_state)" = finished
'
check_exit 2 'a file that cannot be opened is said' '
	palletjack run --events no/such/file m.yaml
'
test_end
