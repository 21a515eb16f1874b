#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Once the start is done the source decides nothing: what is left is done from
# the record, with the source changed or gone.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'after the start the source no longer decides'
requires jq

started() {
	rm -rf "$PALLETJACK_STATE"
	fake_manifest 'vms: "2", seed: "1", faults: "vm-00001:post-hook:fail"' \
		"{retry: {attempts: 1, max: 1ms}}" vm-00001 vm-00002
	exits 6 palletjack run m.yaml || return 1
	sed -i 's/faults: "[^"]*"/faults: ""/' m.yaml
}
# done once: the steps of vm-00001, none of them twice
once() {
	test "$(fake_state)" = finished && fake_log >log && cat log &&
		test "$(sort log | uniq -d | wc -l)" -eq 0
}

check 'the source ran meanwhile: the hook and the cleanup are run' '
	started; sed -i "s/seed: \"1\"/seed: \"2\"/" m.yaml
	palletjack plan m.yaml >out; cat out
	grep -q "post-hook *resume" out && grep -q "cutover/disk-0 *skip" out &&
	palletjack run m.yaml && once
'
check 'the source has no such vm any more' '
	started && sed -i "s/vms: \"2\"/vms: \"0\"/" m.yaml &&
	palletjack run m.yaml && once
'
check 'the source cannot be asked at all' '
	started && sed -i "s/vms: \"2\"/vms: \"lots\"/" m.yaml &&
	palletjack run m.yaml && once
'
check 'others are still asked about' '
	started; rm -rf "$PALLETJACK_STATE/t/p/vm-00002"
	sed -i "s/vms: \"2\"/vms: \"0\"/" m.yaml
	exits 3 palletjack run m.yaml 2>err; cat err
	grep -q "vm-00002.*VMNotFound" err && once
'
test_end
