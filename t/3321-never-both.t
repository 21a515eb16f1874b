#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Somebody starts the source, or the run dies, at every moment of a cutover and
# of the hand-over: source and target never run at once, but for the moment that
# it takes to see it, and no command is a way to it.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'both sides never run at once, whoever starts the source when'
requires jq

power=$PALLETJACK_STATE/t/p/vm-00001/fake.power
# fresh FAULTS: of a vm that runs
fresh() {
	rm -rf "$PALLETJACK_STATE"
	fake_manifest "vms: \"1\", power: \"on\", faults: \"$1\"" \
		"{bootTest: once, bootProbe: {serial: x}, retry: {attempts: ${2:-1}, first: 1ms, max: 1ms}}"
}
start_source() { echo "source on" >>"$power"; }
# not_both: where they did, the target was stopped next; in the end they do not
not_both() {
	cat "$power"
	awk '$1 == "source" { source = $2 == "on" }
		both && $0 != "target off" { wrong = NR }
		$1 == "target" { target = $2 == "on" }
		{ both = source && target }
		BEGIN { source = 1 }
		END { exit wrong || both }' "$power"
}
target_is_off() {
	refute grep -q "target on" "$power" ||
		test "$(grep "^target" "$power" | tail -n 1)" = "target off"
}
source_runs() {
	test "$(grep "^source" "$power" | tail -n 1)" = "source on"
}
# ends_well: what the next commands make of it
ends_well() {
	for command in "run" "run --redo start" "plan"; do
		palletjack $command m.yaml >out 2>&1 || :
		not_both || { cat out; return 1; }
	done
	source_runs && target_is_off &&
		exits 9 palletjack rollback --discard-target-writes m.yaml &&
		not_both && source_runs && target_is_off
}

for when in look mark start run; do
	check "started at the moment '$when' of the hand-over" "
		fresh start:source-on=$when
		exits 6 palletjack run m.yaml 2>err; cat err
		grep \"the source 'vm-00001' runs: the target must not run beside it\" err
		not_both; ends_well
	"
	check "the run killed then, and the source started" "
		fresh start:die=$when; exits 5 palletjack run m.yaml 2>err
		start_source
		exits 6 palletjack run m.yaml 2>err || { s=\$?; cat err; test \$s -eq 3 || exit 1; }
		not_both; target_is_off; ends_well
	"
	check "the step killed then, and the source started before it is tried again" "
		fresh 'start:die=$when@1 start:source-on=look@2' 2
		exits 6 palletjack run m.yaml 2>err; cat err
		not_both; target_is_off; ends_well
	"
	check "the run killed then, and nobody started it: the next one goes on" "
		fresh start:die=$when; exits 5 palletjack run m.yaml
		palletjack run --redo start m.yaml; not_both
		test \"\$(grep '^target' \"\$power\")\" = 'target on'
	"
done
for step in cutover/disk-0 verify/disk-0 convert boot-test commit create-vm start; do
	check "started when $step begins" "
		fresh $step:source-on
		palletjack run m.yaml 2>err && exit 1; cat err
		not_both && refute grep 'target on' \"\$power\"
		ends_well
	"
done
check 'started while a target that runs is asked for anew' '
	fresh "start:die=run@1 start:source-on=look@2"; exits 5 palletjack run m.yaml
	exits 6 palletjack run --redo start m.yaml 2>err; cat err
	grep "the target was stopped again" err
	not_both; target_is_off; ends_well
'
check 'started once that was asked for, and the run killed' '
	fresh start:die=run@1; exits 5 palletjack run m.yaml
	palletjack run --redo start m.yaml
	journal=$PALLETJACK_STATE/t/p/vm-00001/journal
	n=$(grep -n "\"type\":\"redo\"" "$journal" | cut -d: -f1)
	head -n "$n" "$journal" >cut
	cat cut >"$journal"
	start_source
	exits 6 palletjack run m.yaml 2>err; cat err
	grep "the target was stopped again" err
	not_both; target_is_off; ends_well
'
check 'who was started, and stopped again, is not gone on from' '
	fresh "start:die=run"; exits 5 palletjack run m.yaml
	start_source; echo "target off" >>"$power"; echo "source off" >>"$power"
	palletjack run --redo start m.yaml 2>err && exit 1
	cat err; target_is_off
'
test_end
