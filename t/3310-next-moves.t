#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What is said at the end of a run that did not end well, and that one vm's bad
# directory is that vm's trouble only.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'a failure is one vm and says the exact next command'
requires jq

state=$PALLETJACK_STATE/t/p
# fresh FAULTS [POLICY]
fresh() {
	rm -rf "$PALLETJACK_STATE"
	fake_manifest 'vms: "2", power: "on", faults: "'"$1"'"' \
		"{retry: {attempts: 1, max: 1ms}, ${2:-onFailure: hold}}" \
		vm-00001 vm-00002
}

check 'a vm whose log is a directory fails alone' '
	fresh ""; mkdir -p "$state/vm-00001/log/run.log"
	exits 6 palletjack run m.yaml 2>err; cat err
	grep -q "vm-00001.*cannot open .*/log/run.log.*: Is a directory" err &&
	test "$(fake_state vm-00002)" = finished &&
	rmdir "$state/vm-00001/log/run.log" && palletjack run m.yaml &&
	test "$(fake_state)" = finished
'
check 'so does rollback of it' '
	fresh "cutover/disk-0:fail"; exits 6 palletjack run m.yaml 2>err
	rm "$state/vm-00001/log/run.log"; mkdir "$state/vm-00001/log/run.log"
	exits 6 palletjack rollback m.yaml 2>err; cat err
	test "$(fake_state vm-00002)" = "rolled back"
'
check 'a failure for good says what to run once it is mended' '
	fresh vm-00001:pre-hook:fail; exits 6 palletjack run m.yaml 2>err; cat err
	grep -q "vm-00001: it fails again until that is mended; then: palletjack run m.yaml --vm vm-00001\$" err
'
check '--redo of what is finished does nothing, and says what would' '
	fresh ""; palletjack run m.yaml
	palletjack run --redo verify m.yaml 2>err; cat err
	grep "vm-00001.*finished before: it is handed over, so --redo does nothing" err
	grep "vm-00002: to move it anew, and lose what the target wrote: palletjack rollback --discard-target-writes m.yaml --vm vm-00002, then: palletjack gc --disks m.yaml --vm vm-00002, then run" err
'
check 'a defect, too' '
	fresh vm-00001:pre-hook:crash; exits 1 palletjack run m.yaml 2>err; cat err
	grep -q "then: palletjack run m.yaml --vm vm-00001\$" err
'
check 'a cancelled vm whose source is off is offered no run' '
	fresh vm-00001:verify:fail; exits 6 palletjack run m.yaml 2>err
	grep -q "the source is off; to go on: palletjack run m.yaml --vm vm-00001" err
	palletjack cancel m.yaml --vm vm-00001
	exits 9 palletjack run m.yaml 2>err; cat err
	grep -q "vm-00001: the source is off, and the cancel keeps every run from going on; to give it back: palletjack rollback m.yaml --vm vm-00001\$" err &&
	grep -q "by: palletjack cancel --revoke m.yaml" err &&
	refute grep -q "to go on: palletjack run" err
'
check 'a start that was refused as the source runs: it never was, and says so' '
	fresh vm-00001:start:source-on=look
	exits 6 palletjack run m.yaml 2>err; cat err
	grep -q "vm-00001: the source runs, which somebody started, and the target was never started; to stop it again, and copy what it holds then: palletjack run m.yaml --vm vm-00001; to leave it as it is: palletjack rollback m.yaml --vm vm-00001\$" err
	refute grep -q "discard-target-writes" err
	exits 9 palletjack rollback m.yaml --vm vm-00001
	test "$(fake_state)" = "rolled back"
'
check 'and it can still be cancelled' '
	fresh vm-00001:start:source-on=look
	exits 6 palletjack run m.yaml 2>err
	palletjack cancel m.yaml --vm vm-00001
	exits 9 palletjack run m.yaml 2>err; cat err
	refute grep -q "discard-target-writes" err
'
check 'behind the mark it may have been' '
	fresh vm-00001:start:source-on=start
	exits 6 palletjack run m.yaml 2>err; cat err
	grep -q "vm-00001: its source was stopped, and the target may have started;.*palletjack rollback --discard-target-writes m.yaml --vm vm-00001\$" err
'
check 'one that never was leads to the declared state' '
	fresh vm-00001:start:source-on=look "onFailure: restart-source"
	exits 6 palletjack run m.yaml 2>err; cat err
	grep -q "vm-00001: the source runs again; to try again: palletjack run m.yaml --vm vm-00001;.*to give up: palletjack rollback m.yaml --vm vm-00001\$" err
	fresh vm-00001:start:source-on=look "onFailure: rollback"
	exits 6 palletjack run m.yaml 2>err; cat err
	test "$(fake_state)" = "rolled back"
'
check 'what is kept back says where it stands, too' '
	fresh vm-00001:verify:fail; exits 6 palletjack run m.yaml 2>err
	sed -i "s/vms: \"2\"/vms: \"0\"/" m.yaml
	exits 3 palletjack run m.yaml 2>err; cat err
	grep -q "the source is off; to go on: palletjack run m.yaml --vm vm-00001" err
'
check 'a licence is asked for with one --vm only' '
	fresh ""; palletjack run m.yaml --vm vm-00001 --until verify
	exits 3 palletjack run m.yaml --vm vm-00001 --redo cutover 2>err
	cat err; grep "to accept: " err >line &&
	test "$(grep -o -- "--vm" line | wc -l)" -eq 1
'
test_end
