#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# With bootTest: every-generation each generation is rehearsed while its source
# runs, and the source of a vm that would not boot is not stopped.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'generations are converted and booted before the cutover'
requires jq

fake_type=warm
vm=$PALLETJACK_STATE/t/p/vm-00001
# warm FAULTS [POLICY [INTERVAL]]
warm() {
	fake_manifest "vms: \"1\", power: \"on\", dirtyPercent: \"30\", diskSize: 8Mi, faults: \"$1\"" \
		"{bootTest: every-generation, bootProbe: {serial: up$2}, precopy: {interval: ${3:-1h}}, retry: {first: 1ms, max: 1ms}}"
}
fact() { # STEP KEY: of its last success
	jq -rc --arg s "$1" 'select(.type == "result" and .step == $s).facts.'"$2" \
		"$vm/journal" | tail -n 1
}
begins() {
	grep -c "\"type\":\"intent\",\"step\":\"$1\"" "$vm/journal"
}
anew() {
	rm -rf "$PALLETJACK_STATE"
}
is_running() {
	refute grep "source off" "$vm/fake.power"
}

warm ''
check 'a generation is read back, converted and booted while its source runs' '
	exits 7 palletjack run m.yaml 2>err; cat err
	grep "\"type\":\"result\"" "$vm/journal" | jq -r .step | tail -n 5 >order
	printf "%s\n" precopy/disk-0 precopy-release precopy-verify/disk-0 precopy-convert precopy-boot-test |
		cmp_ok - order
	test "$(fact precopy-boot-test result)" = passed
	is_running
'
check 'a run before the next is due does not test it again' '
	exits 7 palletjack run m.yaml
	test "$(begins precopy-boot-test)" = 1
'
check 'the next generation is tested anew; the cutover tests what it commits' '
	palletjack run m.yaml --cutover now
	test "$(begins precopy-convert)" = 2
	test "$(fact precopy-boot-test generation)" = 2
	test "$(begins boot-test)" = 1
	test "$(fake_state)" = finished
'

check 'one that would not boot: why, exit 6, and the source runs on' '
	anew; warm precopy-boot-test:unbootable
	exits 6 palletjack run m.yaml --cutover now 2>err; cat err
	grep "generation 1 is done; the next at .*; no cutover before a boot test passes: that of generation 1 failed: unbootable, as asked" err
	is_running
	test "$(fact precopy-boot-test result)" = failed
'
check 'the same as long as nothing changes, without another test' '
	exits 6 palletjack run m.yaml --cutover never 2>err; cat err
	grep "that of generation 1 failed" err
	test "$(begins precopy-boot-test)" = 1
	palletjack plan m.yaml | grep "no cutover before a boot test passes: that of generation 1 failed"
	palletjack status m.yaml -o json | jq -e ".vms[0].steps[] | select(.step == \"precopy-boot-test\").facts.line == \"unbootable, as asked\""
'
check 'nor is a run content that was to go no further than that' '
	exits 6 palletjack run m.yaml --until precopy
'
check 'precopying goes on, delta by delta' '
	warm precopy-boot-test:unbootable "" 1ms
	exits 6 palletjack run m.yaml
	test "$(fact precopy/disk-0 pass)" = changed
	exits 6 palletjack run m.yaml --cutover now 2>err
	grep "generation 3 failed" err
	is_running
'
check 'a request waits; the generation that passes is cut over' '
	warm ""
	palletjack cutover m.yaml
	palletjack run m.yaml 2>err || { cat err; exit 1; }
	test "$(fact precopy-boot-test generation)" = 4
	test "$(fake_state)" = finished
'
check 'with --wait it goes on by itself until a generation passes' '
	anew; warm "precopy-boot-test:unbootable@1 precopy-boot-test:unbootable@2" "" 200ms
	palletjack run m.yaml --wait 1m --cutover now 2>err || { cat err; exit 1; }
	test "$(begins precopy-boot-test)" = 3
	test "$(fake_state)" = finished
	within 1 test "$(grep -c "source off" "$vm/fake.power")" = 1
'
check 'without a verdict it is held, too' '
	anew; warm precopy-boot-test:silent
	exits 6 palletjack run m.yaml --cutover now 2>err; cat err
	grep "that of generation 1 was inconclusive: silent, as asked" err
	is_running
'
check 'unless the policy takes that for a pass; nothing is tested again' '
	warm precopy-boot-test:silent ", inconclusive: pass"
	exits 7 palletjack run m.yaml
	test "$(begins precopy-boot-test)" = 1
	palletjack run m.yaml --cutover now
	test "$(fake_state)" = finished
'
check 'asked for something else it is converted and booted anew' '
	anew; warm precopy-boot-test:unbootable@1
	exits 6 palletjack run m.yaml
	sed -i "s/serial: up/serial: login/" m.yaml
	palletjack plan m.yaml >plan; cat plan
	grep "precopy-convert *run (changed: bootProbe.serial)" plan
	exits 7 palletjack run m.yaml
	test "$(begins precopy-convert)" = 2
	test "$(fact precopy-boot-test generation)" = 1
'
check 'a policy that wants it once again stops at none of them' '
	anew; warm precopy-boot-test:unbootable
	exits 6 palletjack run m.yaml
	sed -i "s/every-generation/once/" m.yaml
	palletjack run m.yaml --cutover now
	test "$(fake_state)" = finished
'
check 'what cannot be carried out fails the run, and the next generation comes' '
	anew; warm "precopy-convert:retry" ", inconclusive: hold" 1ms
	exits 5 palletjack run m.yaml
	is_running
	warm "" "" 1ms
	exits 7 palletjack run m.yaml --redo precopy-convert
	test "$(fact precopy-boot-test generation)" = 2
'
check 'another boot of a generation has it converted again' '
	anew; warm ""
	exits 7 palletjack run m.yaml
	exits 7 palletjack run m.yaml --redo precopy-boot-test
	test "$(begins precopy-convert)" = 2
	test "$(begins precopy-boot-test)" = 2
	test "$(fact precopy-boot-test generation)" = 1
'
check 'a source that is stopped is not kept waiting by a rehearsal' '
	anew; warm "convert:hang@1"
	palletjack run m.yaml --cutover now & run=$!
	within 30 grep -q "\"type\":\"intent\",\"step\":\"convert\"" "$vm/journal"
	kill -KILL $run; wait $run || true
	sed -i "s/serial: up/serial: login/" m.yaml
	palletjack run m.yaml
	test "$(begins precopy-boot-test)" = 1
	test "$(fake_state)" = finished
'
check 'a vm that was switched off meanwhile is cut over all the same' '
	anew; warm precopy-boot-test:unbootable
	exits 6 palletjack run m.yaml
	sed -i "s/power: \"on\"/power: \"off\"/" m.yaml
	echo "source off" >>"$vm/fake.power"
	palletjack run m.yaml --cutover now 2>err || { cat err; exit 1; }
	test "$(fake_state)" = finished
'
check 'the downtime is predicted from what the rehearsal took' '
	anew; warm "precopy-convert:slow=1500" ""
	sed -i "s/precopy: {interval/cutover: {maxDowntime: 1s}, &/" m.yaml
	exits 7 palletjack run m.yaml --cutover now 2>err; cat err
	grep "budget 1.* s" err
	is_running
	anew; sed -i "s/slow=1500/slow=1/" m.yaml
	palletjack run m.yaml --cutover now 2>err || { cat err; exit 1; }
'

# A wave that is cut over together.
check 'one vm that would not boot holds its atomic wave, and all are copied on' '
	anew
	fake_manifest "vms: \"2\", power: \"on\", diskSize: 1Mi, faults: \"vm-00002:precopy-boot-test:unbootable\"" \
		"{bootTest: every-generation, bootProbe: {serial: up}, precopy: {interval: 1ms}, waves: [{name: both, vms: [vm-00001, vm-00002], atomic: true}]}" \
		vm-00001 vm-00002
	exits 6 palletjack run m.yaml --cutover now 2>err; cat err
	exits 6 palletjack run m.yaml --cutover now
	for v in 1 2; do
		test "$(grep -c "type.:.intent.,.step.:.precopy-release" "$PALLETJACK_STATE/t/p/vm-0000$v/journal")" -ge 2
		refute grep "source off" "$PALLETJACK_STATE/t/p/vm-0000$v/fake.power"
	done
'
test_end
