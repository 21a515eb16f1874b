#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# RunPolicy cutover.window: vms are cut over in it only, and only when they are
# expected to run again before it ends.  The clock is set, see t/fault.c.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'a cutover keeps to its window'
requires jq
requires_fault

# Fridays and Saturdays, 20:00 to 02:00 UTC in summer; 2030-06-14 is a Friday
nights='window: [{days: [fri, sat], from: "22:00", to: "04:00", timeZone: "+02:00"}]'
noon=2030-06-14T12:00:00Z evening=2030-06-14T20:30:00Z late=2030-06-15T02:00:01Z
vm=$PALLETJACK_STATE/t/p/vm-00001

# at TIME COMMAND...: when clocks show that
at() {
	at_shift=$(($(date -d "$1" +%s) - $(date +%s)))
	shift
	FAULT_CLOCK=$at_shift with_fault "$@"
}
become_at() {
	at_shift=$(($(date -d "$1" +%s) - $(date +%s)))
	shift
	export FAULT_CLOCK=$at_shift LD_PRELOAD="${PALLETJACK%/*}/t/fault.so" \
		ASAN_OPTIONS=verify_asan_link_order=0
	exec "$@"
}
# fresh [SETTINGS [CUTOVER [POLICY]]]
fresh() {
	rm -rf "$PALLETJACK_STATE"
	fake_manifest "vms: \"2\", power: \"on\"${1:+, $1}" \
		"{cutover: {${2-$nights}}, retry: {attempts: 1}${3:+, $3}}"
}
migration() {
	cat >>m.yaml <<EOM
---
apiVersion: forklift.konveyor.io/v1beta1
kind: Migration
metadata: {name: m, namespace: t}
spec: {plan: {name: p}, cutover: "$1"}
EOM
}
source_is() {
	test "$(grep "^source" "$vm/fake.power" | tail -n 1)" = "source $1"
}
never_stopped() {
	refute grep "source off" "$vm/fake.power"
}

fake_type=cold
check 'before it all else is done, and the run says when it opens' '
	fresh; exits 7 at $noon palletjack run m.yaml 2>err; cat err
	grep "waiting: cutover at 2030-06-14 20:00:00 UTC (cutover.window, until 2030-06-15 02:00:00)" err
	grep "next: cutover at 2030-06-14 20:00:00.*palletjack run m.yaml" err
	fake_log | tail -n 1 | grep pre-hook; fake_log | refute grep cutover
'
check 'status and plan show it' '
	at $noon palletjack status m.yaml >status; cat status
	grep "  cutover at 2030-06-14 20:00:00 UTC (cutover.window" status
	at $noon palletjack plan m.yaml >plan; cat plan
	grep "  cutover at 2030-06-14 20:00:00 UTC (cutover.window" plan
	for what in status plan; do
		at $noon palletjack $what -o json m.yaml | jq -e ".vms[0] |
			.window == {opens: \"2030-06-14T20:00:00.000Z\",
				closes: \"2030-06-15T02:00:00.000Z\"} and .waits"
	done
'
check 'within it the vm is moved' '
	at $evening palletjack run m.yaml && test "$(fake_state)" = finished
'
check 'behind its end it is the next one that is waited for' '
	fresh; exits 7 at 2030-06-16T02:00:00Z palletjack run m.yaml 2>err; cat err
	grep "cutover at 2030-06-21 20:00:00 UTC (cutover.window, until 2030-06-22 02:00:00)" err
'
check 'when the last is over, it says so' '
	fresh "" "window: [{from: 2029-01-01T20:00:00Z, to: 2029-01-01T21:00:00Z}]"
	exits 7 at $noon palletjack run m.yaml 2>err; cat err
	grep "the last time of cutover.window is over: add one, or run --cutover now" err
'
check 'a run that waits begins when it opens' '
	fresh; at 2030-06-14T19:59:55Z palletjack run --wait 1m m.yaml 2>err; cat err
	grep "waiting: cutover at 2030-06-14 20:00:00 UTC" err; test "$(fake_state)" = finished
'
check 'what was asked for before comes when it opens' '
	fresh; migration 2030-06-14T10:00:00Z
	exits 7 at $noon palletjack run m.yaml 2>err; cat err
	grep "cutover at 2030-06-14 20:00:00 UTC (cutover.window, until .*; Migration t/m)" err
	at $noon palletjack cutover m.yaml
	exits 7 at $noon palletjack run m.yaml 2>err; cat err
	grep "cutover at 2030-06-14 20:00:00 UTC (cutover.window, until .*; asked for by" err
	at $evening palletjack run m.yaml && test "$(fake_state)" = finished
'
check 'a time within a later one is that time' '
	fresh; migration 2030-06-15T21:15:00Z
	exits 7 at $evening palletjack run m.yaml 2>err; cat err
	grep "cutover at 2030-06-15 21:15:00 UTC (Migration t/m)" err
'
check 'the gate is asked first, the window then' '
	fresh "" "gate: manual, $nights"
	exits 7 at $evening palletjack run m.yaml 2>err; cat err
	grep "cutover once .palletjack cutover. is said" err
	at $evening palletjack cutover m.yaml
	exits 7 at $late palletjack run m.yaml 2>err; cat err
	grep "cutover at 2030-06-15 20:00:00 UTC" err
'
check '--cutover now and a time pass it over, and say so' '
	fresh; at $noon palletjack run --cutover now m.yaml 2>err; cat err
	grep "cutover now passes over cutover.window, which opens at 2030-06-14 20:00:00 UTC" err
	test "$(fake_state)" = finished
	fresh; at $noon palletjack run --cutover 2030-06-14T11:00:00Z m.yaml 2>err; cat err
	grep "passes over cutover.window" err
	fresh; at $evening palletjack run --cutover now m.yaml 2>err; cat err
	refute grep "passes over" err
'
check 'a gate that opens behind its end opens nothing' '
	fresh "" "gate: manual, $nights"
	at 2030-06-15T01:59:56Z palletjack run --wait 20s m.yaml 2>err & run=$!
	within 30 grep waiting err
	sleep 5
	at 2030-06-15T02:00:02Z palletjack cutover m.yaml
	exits 7 wait $run; cat err; never_stopped
'

check 'what has begun goes on behind its end' '
	fresh; at $evening palletjack run --until verify m.yaml; source_is off
	at $noon palletjack run m.yaml && test "$(fake_state)" = finished
'
check 'so does what failed with its source off, and is held' '
	fresh "faults: \"cutover/disk-0:retry@1\"" "$nights" "onFailure: hold"
	exits 5 at $evening palletjack run m.yaml; source_is off
	at $late palletjack run m.yaml 2>err || { cat err; exit 1; }
	test "$(fake_state)" = finished
'
check 'and what was killed in between' '
	fresh "faults: \"cutover/disk-0:hang@1\""
	(become_at $evening palletjack run m.yaml >out 2>&1) & run=$!
	within 30 grep -q "cutover/disk-0 *\.\.\." out
	kill -KILL $run; wait $run || true; source_is off
	at $late palletjack run m.yaml 2>err || { cat err; exit 1; }
	test "$(fake_state)" = finished
'
check 'what was given back waits for the next' '
	fresh "faults: \"convert:fail@1\""
	exits 6 at $evening palletjack run m.yaml; source_is on
	exits 7 at $late palletjack run m.yaml 2>err; cat err
	grep "cutover at 2030-06-15 20:00:00 UTC" err; source_is on
'
check 'a copy that was measured has to fit into what is left' '
	fresh "faults: \"convert:fail@1 cutover/disk-0:slow=6000\""
	exits 6 at $evening palletjack run m.yaml; source_is on
	exits 7 at 2030-06-15T01:59:56Z palletjack run m.yaml 2>err; cat err
	grep "waiting: predicted .* s to .* s, window .*s: it ends before that; the next one opens at 2030-06-15 20:00:00 UTC for 6 h 0 min" err
	source_is on
	at 2030-06-15T20:30:00Z palletjack run m.yaml && test "$(fake_state)" = finished
'

fake_type=warm
check 'a warm one is copied on before it' '
	fresh "dirtyPercent: \"30\", diskSize: 20Mi"; migration 2030-01-01T00:00:00Z
	exits 7 at $noon palletjack run m.yaml 2>err; cat err
	grep "generation 1 is done; the next at 2030-06-14 13:0.* UTC; cutover at 2030-06-14 20:00:00 UTC" err
	never_stopped
'
check 'and cut over in it, behind a last generation that is fresh' '
	at $evening palletjack run m.yaml 2>err || { cat err; exit 1; }
	test "$(fake_state)" = finished
	test "$(grep -c "\"type\":\"intent\",\"step\":\"precopy\"" "$vm/journal")" = 2
'
check 'its prediction and what it came to are in the journal and in status' '
	jq -r "select(.key == \"predicted\").value.why" "$vm/journal" | grep window
	at $late palletjack status m.yaml >status; cat status
	grep "  down for .* (.* to .* were predicted)" status
	at $late palletjack status -o json m.yaml | jq -e ".vms[0].downtime |
		.ms >= 0 and .predicted.lowMs <= .predicted.highMs"
'
check 'not when it would end behind its end, with figures' '
	fresh "faults: \"precopy/disk-0:slow=6000\"" "$nights" "precopy: {interval: 1000h}"
	exits 7 at $noon palletjack run m.yaml; at $noon palletjack cutover m.yaml
	exits 7 at 2030-06-15T01:59:56Z palletjack run m.yaml 2>err; cat err
	grep "predicted .* to .*, window .*s; the guest writes .*: best .*; the next one opens at 2030-06-15 20:00:00 UTC for 6 h 0 min" err
	never_stopped
'
check 'with a budget it keeps to both' '
	fresh "faults: \"precopy/disk-0:slow=300\"" "maxDowntime: 2ms, $nights"
	at $evening palletjack cutover m.yaml
	exits 7 at $evening palletjack run m.yaml 2>err; cat err
	grep "budget 2 ms, window 5 h 29 min" err; never_stopped
	fresh "" "maxDowntime: 10m, $nights"; at $evening palletjack cutover m.yaml
	at $evening palletjack run m.yaml && test "$(fake_state)" = finished
'
check 'an atomic wave goes together, within it' '
	rm -rf "$PALLETJACK_STATE"
	fake_manifest "vms: \"2\", power: \"on\"" "{cutover: {$nights}, waves:
		[{name: all, atomic: true, vms: [vm-00001, vm-00002]}]}" vm-00001 vm-00002
	at $noon palletjack cutover m.yaml
	exits 7 at $noon palletjack run m.yaml; never_stopped
	at $evening palletjack run m.yaml 2>err || { cat err; exit 1; }
	for one in 1 2; do test "$(fake_state vm-0000$one)" = finished; done
'
test_end
