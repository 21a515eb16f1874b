#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Behind the source's stop, whatever a run ends for: it says where each vm
# stands, and the next command.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'a run behind the stop says where each vm stands'
requires jq
requires_fault

state=$PALLETJACK_STATE/t/p
# fresh [POLICY] [FAULTS]
fresh() {
	rm -rf "$PALLETJACK_STATE"
	fake_manifest 'vms: "2", power: "on", faults: "'"$2"'"' "{$1}" \
		vm-00001 vm-00002
}
off='vm-0000[12]: the source is off; to go on: palletjack run m.yaml --vm vm-0000[12]; to give it back: palletjack rollback m.yaml --vm'

check 'a journal on a full disk behind it' '
	fresh
	exits 5 with_fault FAULT_FILE=journal FAULT_WHEN=ENOSPC FAULT_LASTS=yes \
		FAULT_MATCH="\"type\":\"intent\",\"step\":\"convert\"" \
		palletjack run m.yaml --vm vm-00001 2>err
	cat err
	grep -q "^$off" err
	grep -q "to go on, once that is mended: palletjack run m.yaml --vm .vm-00001" err
'
check 'one that takes not even the first record of a run' '
	fresh; palletjack run --until verify m.yaml
	exits 5 with_fault FAULT_OPS=write FAULT_FILE=journal FAULT_AT=1 \
		FAULT_WHEN=ENOSPC FAULT_LASTS=yes palletjack run m.yaml 2>err
	cat err
	test "$(grep -c "^$off" err)" -eq 2
	grep -q "to go on, once that is mended: palletjack run m.yaml\$" err
'
check 'then it goes on, and who is finished is not spoken of' '
	palletjack run m.yaml 2>err && cat err && refute grep "source is off" err
'
check '--until behind it' '
	fresh; palletjack run --until verify m.yaml 2>err; cat err
	test "$(grep -c "^$off" err)" -eq 2
'
check '--until before it says nothing of the source' '
	fresh; palletjack run --until pre-hook m.yaml 2>err; cat err
	refute grep "the source" err
'

all='waves: [{name: all, atomic: true, vms: [vm-00001, vm-00002]}]'
check 'who waits for a wave waits for no time' '
	fresh "$all"
	exits 7 palletjack run m.yaml --vm vm-00001 2>err
	cat err
	refute grep 1970 err
	grep -q "once what it waits for is done: palletjack run m.yaml\$" err
'
check 'of an atomic wave no vm is told to go on alone' '
	fresh "$all, retry: {attempts: 1}" vm-00002:convert:fail
	exits 6 palletjack run m.yaml 2>err
	cat err
	grep -q "vm-00001: the source runs again; to try again: palletjack run m.yaml\$" err
'
check 'while retries are used up no run is offered that only says so' '
	fresh "retry: {attempts: 1, max: 1h}" vm-00001:convert:retry
	exits 5 palletjack run m.yaml --vm vm-00001 2>err
	cat err
	grep -q "^vm-00001: the source runs again\$" err
	grep -q "or at once: palletjack run m.yaml --vm vm-00001 --redo convert" err
'
test_end
