#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Which vms go first, which go together, and when the rest stay where they are.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'vms go in waves'
requires jq

# fresh WAVES [SETTINGS] [POLICY]: no state, four vms
fresh() {
	rm -rf "$PALLETJACK_STATE"
	again "$@"
}
again() {
	fake_manifest "vms: \"4\", power: \"on\", ${2:-}" "{waves: $1, retry: {attempts: 1}, ${3:-}}" \
		vm-00001 vm-00002 vm-00003 vm-00004
}
# run_it [ARG...]: with its events in order
run_it() {
	rm -f events
	palletjack run --events events "$@" m.yaml 2>err || {
		status=$?
		cat err
		return $status
	}
}
# seq_of TYPE STEP VM: the line of the first such event
line_of() {
	jq -r 'select(.step) | "\(.type) \(.step) \(.vm)"' events |
		grep -nxF "$1 $2 vm-0000$3" | head -n 1 | cut -d: -f1
}
# before A-TYPE A-STEP A-VM B-TYPE B-STEP B-VM
before() {
	first=$(line_of "$1" "$2" "$3") second=$(line_of "$4" "$5" "$6")
	test -n "$first" && test -n "$second" && test "$first" -lt "$second"
}
did() {
	fake_log "vm-0000$1" 2>/dev/null | grep -qx "$2"
}
source_is() {
	test "$(grep ^source "$PALLETJACK_STATE/t/p/vm-0000$1/fake.power" | tail -n 1)" = "source $2"
}

one_two='[{name: two, vms: [vm-00001, vm-00002], after: [one]}, {name: one, vms: [vm-00003]}]'
check 'a wave begins when the one before has ended' '
	fresh "$one_two"; run_it
	before result cleanup 3 intent validate 1
	before result cleanup 3 intent validate 2
'
check 'a vm in no wave waits for none' 'before intent validate 4 result cleanup 3'
check 'one failure shuts the wave after, and no other vm' '
	fresh "$one_two" "faults: \"vm-00003:validate:fail\""
	exits 6 run_it; cat err
	grep -q "vm-00001.*waiting: held back by wave .one., of which 1 failed: .vm-00003. (validate: fails as asked)" err
	test ! -e "$PALLETJACK_STATE/t/p/vm-00001/fake.log"
	test "$(fake_state vm-00004)" = finished
	test "$(fake_state vm-00001)" = waiting
'
check 'plan and status say what a vm waits for' '
	palletjack plan m.yaml >out; cat out
	grep -q "^  wave .two." out
	grep -q "waits for wave .one. to end: 0 of 1" out
	palletjack plan -o json m.yaml | jq -e ".vms[0] | .wave == \"two\" and (.waits | test(\"one\"))"
	palletjack status m.yaml >out; cat out
	grep -q "waits for wave .one. to end: 0 of 1" out
	palletjack status -o json m.yaml | jq -e ".vms[0] | .wave == \"two\" and (.waitsForWave | test(\"one\"))"
'
check 'the next run tries again, and goes on with the waves' '
	again "$one_two" && run_it && test "$(fake_state vm-00001)" = finished
'
check 'what an earlier run moved counts' '
	fresh "$one_two" && run_it --vm vm-00003 && run_it --vm vm-00001
'
check_exit 7 'what --vm leaves out does not' '
	fresh "$one_two" && run_it --vm vm-00001
'
check 'maxFailures lets some fail' '
	fresh "[{name: two, vms: [vm-00001], after: [one]}, {name: one, maxFailures: 1, vms: [vm-00003, vm-00004]}]" \
		"faults: \"vm-00003:validate:fail\""
	exits 6 run_it; test "$(fake_state vm-00001)" = finished
'
check 'more than that begin no more of the wave' '
	fresh "[{name: one, maxFailures: 0, vms: [vm-00001, vm-00002, vm-00003]}]" \
		"faults: \"vm-00001:validate:fail\"" "limits: {inFlight: 1}"
	exits 6 run_it
	grep -q "vm-00002.*held back by wave .one." err
	test ! -e "$PALLETJACK_STATE/t/p/vm-00002/fake.log"
	test "$(fake_state vm-00004)" = finished
'
check 'without it failures stop no other vm of the wave' '
	fresh "[{name: one, vms: [vm-00001, vm-00002, vm-00003]}]" \
		"faults: \"vm-00001:validate:fail\"" "limits: {inFlight: 1}"
	exits 6 run_it; test "$(fake_state vm-00002)" = finished
'

all='[{name: all, atomic: true, vms: [vm-00001, vm-00002, vm-00003]}]'
check 'an atomic wave is cut over, committed and started together' '
	fresh "$all"; run_it
	for stage in cutover commit start; do
		for a in 1 2 3; do
			for b in 1 2 3; do
				before result validate $a intent cutover $b
				before result convert $a intent commit $b
				before result create-vm $a intent start $b
			done
		done
	done
'
check 'also where there are fewer places than vms' '
	fresh "$all" "" "limits: {inFlight: 1}"; run_it
	test "$(fake_state vm-00003)" = finished
'
check 'who fails before the cutover keeps all of them from it' '
	fresh "$all" "faults: \"vm-00002:pre-hook:fail\""
	exits 6 run_it; cat err
	refute did 1 cutover; refute did 3 cutover; did 4 start
	grep -q "vm-00001.*waiting: its wave .all. goes together or not at all, and .vm-00002. does not: pre-hook: fails as asked" err
'
check 'who fails after it has all of them given back' '
	fresh "$all" "faults: \"vm-00002:convert:fail\""
	exits 6 run_it; cat err
	for vm in 1 2 3; do source_is $vm on; refute did $vm commit; done
	did 4 start
'
check 'then they go together' '
	again "$all"; run_it
	for vm in 1 2 3; do source_is $vm off; test "$(fake_state vm-0000$vm)" = finished; done
'
check 'who fails before the start has all of them given back' '
	fresh "$all" "faults: \"vm-00002:create-vm:fail\""
	exits 6 run_it; cat err
	for vm in 1 2 3; do source_is $vm on; refute did $vm start; done
'
check 'onFailure: hold keeps the others off, too' '
	fresh "$all" "faults: \"vm-00002:convert:fail\"" "onFailure: hold"
	exits 6 run_it; source_is 1 off; source_is 3 off; refute did 1 commit
'
check_exit 7 'one that --vm leaves out keeps the others from the cutover' '
	fresh "$all" && run_it --vm vm-00001 || { status=$?; refute did 1 cutover || exit 99; exit $status; }
'
check 'a cancelled one does, too' '
	fresh "$all"; palletjack cancel --vm vm-00002 m.yaml
	exits 9 run_it; refute did 1 cutover && did 4 start
'
check 'a run that is killed meanwhile goes on with all of them' '
	fresh "$all" "faults: \"vm-00002:convert:hang\""
	palletjack run m.yaml >out 2>&1 & run=$!
	within 30 grep -q "\"step\":\"convert\"" "$PALLETJACK_STATE/t/p/vm-00002/journal"
	kill -KILL $run; wait $run || true
	again "$all"; run_it
	for vm in 1 2 3; do test "$(fake_state vm-0000$vm)" = finished; done
'
check 'what has used its retries up is given fresh ones together with its wave' '
	fresh "$all" "faults: \"vm-00002:validate:retry\""
	exits 5 run_it; cat err
	grep -q "vm-00002: validate gets fresh retries on .*: palletjack run m.yaml --vm vm-00001 --vm vm-00002 --vm vm-00003 --redo validate\$" err
'
check 'a signal fails nobody' '
	fresh "$all" "faults: \"vm-00002:convert:hang\""
	palletjack run m.yaml >out 2>&1 & run=$!
	within 30 grep -q "\"step\":\"convert\"" "$PALLETJACK_STATE/t/p/vm-00002/journal"
	kill -TERM $run; exits 143 wait $run; cat out
	source_is 1 off
'

check 'the gate of a wave is for its vms only' '
	fresh "[{name: one, gate: manual, vms: [vm-00001]}, {name: two, after: [one], vms: [vm-00002]}]"
	exits 7 run_it; cat err
	grep -q "the gate of wave .one. is manual" err
	did 1 pre-hook; refute did 1 cutover; refute did 2 validate; did 3 start
	palletjack cutover --vm vm-00001 m.yaml && run_it && did 2 start
'
test_end
