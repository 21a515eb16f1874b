#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# RunPolicy cutover.backoutBy: what is not committed in time is given back.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'the source is given back when its time is over'
requires jq
requires_fault

state=$PALLETJACK_STATE/t/p/vm-00001
# fresh FAULTS POLICY
fresh() {
	rm -rf "$PALLETJACK_STATE"
	fake_manifest 'vms: "2", power: "on", faults: "'"$1"'"' "{$2}" \
		vm-00001 vm-00002
}
source_is() {
	test "$(grep "^source" "$state/fake.power" | tail -1)" = "source $1"
}
mend() {
	sed -i 's/faults: "[^"]*"/faults: ""/' m.yaml
}

check 'what hangs is ended and given back, with hold too; others go on' '
	fresh vm-00001:convert:hang "onFailure: hold, limits: {conversions: 2}, cutover: {backoutBy: 2s}"
	exits 5 timeout 60 palletjack run m.yaml 2>err; cat err
	grep -q "not committed within 2.* (cutover.backoutBy)" err &&
	grep -q "vm-00001: the source runs again; to try again: palletjack run m.yaml --vm vm-00001" err &&
	source_is on && test "$(fake_state vm-00002)" = finished &&
	grep -q "\"type\":\"backout\"" "$state/journal"
'
check 'and can be tried again' '
	mend && palletjack run m.yaml && test "$(fake_state)" = finished
'
check 'a run that was not there then gives back first' '
	fresh "" "cutover: {backoutBy: 1h}"
	palletjack run --until verify m.yaml --vm vm-00001; source_is off
	palletjack run --until verify m.yaml --vm vm-00001; source_is off
	exits 5 with_fault FAULT_CLOCK=3700 palletjack run m.yaml --vm vm-00001 2>err
	cat err; source_is on && fake_log | refute grep convert
'
check 'rollback is a rollback' '
	fresh "" "onFailure: rollback, cutover: {backoutBy: 1h}"
	palletjack run --until verify m.yaml --vm vm-00001
	exits 5 with_fault FAULT_CLOCK=3700 palletjack run m.yaml --vm vm-00001 2>err
	cat err; source_is on && test "$(fake_state)" = "rolled back"
'
check 'what is committed goes on' '
	fresh "" "cutover: {backoutBy: 1h}" &&
	palletjack run --until commit m.yaml &&
	with_fault FAULT_CLOCK=3700 palletjack run m.yaml &&
	test "$(fake_state)" = finished
'
test_end
