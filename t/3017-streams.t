#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Standard streams that are closed or full: no file of ours takes their place,
# and what could not be printed is no success.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'streams that are closed or full'
requires jq

state=$PALLETJACK_STATE/t/p/vm-00001
fake_manifest 'vms: "1"'

check 'with all of them closed a run ends well, and its journal is whole' '
	palletjack run m.yaml <&- >&- 2>&-
	palletjack journal check "$state"
	test "$(fake_state)" = finished
'
check 'nothing but records is in the journal' '
	jq -es "length > 20 and all(.[]; type == \"object\")" "$state/journal"
'
check 'each alone' '
	for closed in "<&-" ">&-" "2>&-" ">&- 2>&-"; do
		rm -rf "$PALLETJACK_STATE"
		eval "palletjack run m.yaml $closed"
		palletjack journal check "$state"
		test "$(fake_state)" = finished
	done
'

if test -c /dev/full; then
	check 'what only prints fails where it cannot, and says so' '
		for command in "plan" "plan -o json" "status" "status -o json" \
			"validate" "--help" "version"; do
			case $command in -* | version) with= ;; *) with=m.yaml ;; esac
			exits 5 palletjack $command $with 2>err >/dev/full
			cat err
			grep -q "standard output cannot be written: No space left" err
		done
	'
	check 'a worse end stays what it is' '
		exits 2 palletjack plan nothing.yaml 2>err >/dev/full
		rm -rf "$PALLETJACK_STATE"
		fake_manifest "vms: \"1\", faults: \"convert:fail\""
		exits 6 palletjack run m.yaml >/dev/full
	'
else
	skip 'there is no /dev/full' 'full streams'
fi
check 'who only stops reading makes no run fail' '
	rm -rf "$PALLETJACK_STATE"
	fake_manifest "vms: \"1\""
	palletjack cancel m.yaml | true
	palletjack cancel --revoke m.yaml | true
	palletjack run --events - m.yaml | true
	test "$(fake_state)" = finished
'
test_end
