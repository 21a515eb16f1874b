#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What becomes of failures: the exit code, the next move, the other vms.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'a failure costs its vm and says what to do'
requires jq

quick='{retry: {attempts: 3, first: 10ms, max: 20ms}}'

fake_manifest 'vms: "3", faults: "vm-00002:verify:fail"' "$quick" \
	vm-00001 vm-00002 vm-00003
check 'a vm that fails for good does not stop the others' '
	exits 6 palletjack run m.yaml 2>err; cat err
'
check 'they are finished' '
	test "$(fake_state vm-00001)" = finished &&
	test "$(fake_state vm-00003)" = finished &&
	test "$(fake_state vm-00002)" = stopped
'
check 'the message names vm, step and reason, and where the log is' '
	grep -q "vm-00002.*verify/disk-0: fails as asked" err &&
	grep -q "vm-00002: log: .*/run.log" err
'
check 'steps behind the failure were not begun' '
	fake_log vm-00002 | refute grep -q convert
'

rm -rf "$PALLETJACK_STATE"
fake_manifest 'vms: "1", faults: "cutover/disk-0:once"' "$quick"
check 'what may work later is tried again in the same run' '
	palletjack run m.yaml 2>err && cat err && grep -q "again in" err
'

rm -rf "$PALLETJACK_STATE"
fake_manifest 'vms: "1", faults: "cutover/disk-0:retry"' "$quick"
check 'and given up after the attempts the policy allows' '
	exits 5 palletjack run m.yaml 2>err; cat err
'
check 'three of them' '
	palletjack status m.yaml -o json >status.json &&
	jq -e ".vms[0].steps[] | select(.step == \"cutover/disk-0\")
		| .attempts == 3" status.json
'
check 'the command to go on with is printed' '
	grep -q "to go on: palletjack run m.yaml" err
'
check 'plan says what failed' '
	palletjack plan m.yaml | grep "cutover/disk-0 *resume (failed before"
'

rm -rf "$PALLETJACK_STATE"
fake_manifest 'vms: "2", faults: "vm-00001:convert:crash"' "$quick" \
	vm-00001 vm-00002
check 'a crash costs one step and is called a defect' '
	exits 1 palletjack run m.yaml 2>err; cat err; grep -q "was killed by SIG" err
'
check 'the other vm is finished' 'test "$(fake_state vm-00002)" = finished'

rm -rf "$PALLETJACK_STATE"
fake_manifest 'vms: "1", faults: "convert:hang"' \
	'{retry: {attempts: 1}, deadlines: {stage: {convert: 300ms}}}'
check 'a step that hangs meets its deadline' '
	exits 5 palletjack run m.yaml 2>err; cat err; grep -q "convert: took longer than its deadline" err
'

for late in vm run; do
	rm -rf "$PALLETJACK_STATE"
	fake_manifest 'vms: "2", faults: "vm-00001:verify:hang"' \
		"{deadlines: {$late: 2s}}" vm-00001 vm-00002
	check "a $late that is too late is given up" '
		exits 5 palletjack run m.yaml 2>err; cat err
		grep -q "vm-00001.*deadlines.'"$late"'" err &&
		test "$(fake_state vm-00002)" = finished
	'
done

rm -rf "$PALLETJACK_STATE"
fake_manifest 'vms: "1"' '{}'
cat >>m.yaml <<EOF
---
apiVersion: palletjack.io/v1alpha1
kind: Script
metadata: {name: other, namespace: t}
spec: {lua: "log(1)"}
EOF
check '--until stops behind a stage, and the next run goes on' '
	palletjack run --until verify m.yaml &&
	test "$(fake_log | tail -1)" = verify/disk-0 &&
	palletjack run m.yaml &&
	fake_steps | grep -v boot-test | sort >want && fake_log | sort >got &&
	cmp_ok want got
'
check_exit 2 '--until wants a stage' 'palletjack run --until lunch m.yaml'
test_end
