#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# When a source may be stopped: times of Migrations, the gate, requests, --wait.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'a cutover waits for its time, and the run says when'
requires jq

journal=$PALLETJACK_STATE/t/p/vm-00001/journal
later=2920-01-01T00:00:00Z

# fresh [POLICY]: no state, two vms
fresh() {
	rm -rf "$PALLETJACK_STATE"
	fake_manifest 'vms: "2"' "${1:-{\}}" vm-00001 vm-00002
}
# migration NAME SPEC: one more in the manifest
migration() {
	cat >>m.yaml <<EOF
---
apiVersion: forklift.konveyor.io/v1beta1
kind: Migration
metadata: {name: $1, namespace: t}
spec: {plan: {name: p}, $2}
EOF
}
# in_seconds N: the time N seconds from now
in_seconds() {
	date -u -d "@$(($(date +%s) + $1))" +%Y-%m-%dT%H:%M:%SZ
}
last_is() {
	test "$(fake_log "$2" | tail -n 1)" = "$1"
}

check 'everything before it is done, then the run ends with 7' '
	fresh; migration m "cutover: $later"
	exits 7 palletjack run m.yaml 2>err; cat err
	last_is pre-hook && test "$(fake_log | wc -l)" -eq 2
'
check 'saying when and why, and how to go on' '
	grep -q "vm-00001.*waiting: cutover at 2920-01-01 00:00:00 UTC (Migration t/m)" err &&
	grep -q "next: cutover at 2920-01-01.*palletjack run m.yaml" err
'
check 'status and plan show it' '
	palletjack status m.yaml >status; cat status
	grep -q "^vm-00001: waiting" status
	grep -q "  cutover at 2920-01-01 00:00:00 UTC" status
	palletjack plan m.yaml >plan; cat plan
	grep -q "  cutover at 2920-01-01 00:00:00 UTC (Migration t/m)" plan
	palletjack plan -o json m.yaml | jq -e ".vms[0].waits"
'
check 'a rerun does nothing more; its exit code can be chosen' '
	exits 7 palletjack run m.yaml && palletjack run --waiting-exit 0 m.yaml &&
	test "$(fake_log | wc -l)" -eq 2
'
check 'once it has come nothing is repeated: time is no input' '
	sed -i "s/cutover: $later/cutover: \"2020-01-01T00:00:00Z\"/" m.yaml &&
	palletjack run m.yaml && test "$(fake_state)" = finished &&
	test "$(fake_log | sort | uniq -d | wc -l)" -eq 0
'
check 'a time set after the source was stopped stops nothing' '
	fresh && palletjack run --until verify m.yaml &&
	migration m "cutover: $later" && palletjack run m.yaml
'
check 'nor what failed behind it, with its source off' '
	rm -rf "$PALLETJACK_STATE"
	fake_manifest "vms: \"1\", power: \"on\", faults: \"cutover/disk-0:fail@1\"" \
		"{onFailure: hold, retry: {attempts: 1}}"
	exits 6 palletjack run m.yaml
	migration m "cutover: $later"
	palletjack run m.yaml 2>err || { cat err; exit 1; }
	test "$(fake_state)" = finished
'
check '--until before the cutover waits for nothing' '
	fresh && migration m "cutover: $later" &&
	palletjack run --until pre-hook m.yaml
'

check 'vmCutover is for one vm and goes before cutover' '
	fresh && migration m "vmCutover: [{id: vm-00002, cutover: $later}], cutover: \"2020-01-01T00:00:00Z\"" &&
	exits 7 palletjack run m.yaml && test "$(fake_state vm-00001)" = finished &&
	test "$(fake_state vm-00002)" = waiting
'
check 'two Migrations that differ for a vm keep that vm back' '
	fresh; migration one "cutover: \"2020-01-01T00:00:00Z\""
	migration two "vmCutover: [{id: vm-00002, cutover: $later}]"
	exits 3 palletjack run m.yaml 2>err; cat err
	grep -q "Error CutoverDiffers.*vm .vm-00002" err
	test "$(fake_state vm-00001)" = finished
	test ! -e "$PALLETJACK_STATE/t/p/vm-00002/fake.log"
'
check 'two that agree, or of which one is silent, do not' '
	fresh && migration one "cutover: \"2020-01-01T00:00:00Z\"" &&
	migration two "cutover: \"2020-01-01T01:00:00+01:00\"" &&
	migration three "cancel: []" && palletjack run m.yaml
'
check 'two times for the whole plan differ before anybody is asked' '
	fresh; migration one "cutover: \"2020-01-01T00:00:00Z\""
	migration two "cutover: $later"
	exits 3 palletjack validate m.yaml >said 2>&1; cat said
	grep -q "CutoverDiffers" said
'

check '--cutover now and never go before all of it' '
	fresh; exits 7 palletjack run --cutover never m.yaml 2>err; cat err
	grep -q "cutover not in this run (--cutover)" err
	exits 7 palletjack run --cutover $later m.yaml
	migration m "cutover: $later" && palletjack run --cutover now m.yaml
'
check '--wait stays for what is near, and only for that' '
	fresh; migration m "cutover: $later, vmCutover: [{id: vm-00001, cutover: \"$(in_seconds 2)\"}]"
	exits 7 palletjack run --wait 1m m.yaml 2>err; cat err
	test "$(fake_state vm-00001)" = finished
	test "$(fake_state vm-00002)" = waiting
'
check 'who waits takes no place from others' '
	fresh "{limits: {inFlight: 1}}"
	migration m "vmCutover: [{id: vm-00001, cutover: \"$(in_seconds 2)\"}]"
	palletjack run --wait 1m m.yaml 2>err; cat err
	grep -n "MIGRATED" err | head -n 1 | grep -q vm-00002
	test "$(fake_state vm-00001)" = finished
'
check 'a signal ends the waiting' '
	fresh; migration m "cutover: \"$(in_seconds 500)\""
	{ palletjack run --wait 1h m.yaml >out 2>&1 & }; run=$!
	within 30 grep -q "vm-00002.*waiting" out
	kill -TERM $run; exits 143 wait $run; cat out
'
check 'so does a cancel' '
	{ palletjack run --wait 1h m.yaml >out 2>&1 & }; run=$!
	within 30 grep -q "vm-00002.*waiting" out
	palletjack cancel m.yaml; exits 9 wait $run; cat out
'

check 'a manual gate stays closed' '
	fresh "{cutover: {gate: manual}}"; exits 7 palletjack run m.yaml 2>err
	cat err; grep -q "cutover once .palletjack cutover. is said" err
	last_is pre-hook
'
check 'cutover opens it for one vm; the next run goes on' '
	palletjack cutover --vm vm-00001 m.yaml &&
	exits 7 palletjack run m.yaml && test "$(fake_state)" = finished &&
	test "$(fake_state vm-00002)" = waiting
'
check 'it reaches a run that stays' '
	{ palletjack run --wait 1h m.yaml >out 2>&1 & }; run=$!
	within 30 grep -q "vm-00002.*waiting" out
	palletjack cutover m.yaml >said; cat said; wait $run; cat out
	grep -q "vm-00001: no cutover asked for: it is finished" said
	test "$(fake_state vm-00002)" = finished
'
check 'cutover --at sets the time, and goes before a Migration' '
	fresh; migration m "cutover: \"2020-01-01T00:00:00Z\""
	palletjack cutover --at $later m.yaml
	exits 7 palletjack run m.yaml 2>err; cat err
	grep -q "cutover at 2920-01-01 00:00:00 UTC (asked for by" err
'
check 'taken back, the Migration holds again' '
	palletjack cutover --revoke m.yaml && palletjack run m.yaml
'
check 'an expired one opens nothing' '
	fresh "{cutover: {gate: manual}}"
	palletjack cutover --expires 1ms m.yaml
	exits 7 palletjack run m.yaml 2>err; cat err
	grep -q "RequestIgnored.*it has expired" err
'
check 'when that is is said, and that a time that is past is now' '
	palletjack cutover --at 2040-01-01T01:00:00+01:00 m.yaml >said; cat said
	grep "cutover asked for, from 2040-01-01T00:00:00.000Z on; the run" said
	palletjack cutover --at 2020-01-01T00:00:00Z m.yaml >said; cat said
	grep "asked for, at once, as 2020-01-01T00:00:00.000Z is past; the run" said
	palletjack cutover --revoke m.yaml
'
check 'likewise of --cutover' '
	exits 7 palletjack run --cutover 2040-01-01T00:00:00Z m.yaml 2>err
	refute grep "is past" err
	palletjack run --cutover 2020-01-01T00:00:00Z m.yaml 2>err
	cat err
	grep "run: --cutover 2020-01-01T00:00:00Z is past: sources may be stopped at once" err
'
check 'one that no run saw opens nothing for what begins afresh' '
	fresh "{cutover: {gate: manual}}"
	exits 7 palletjack run m.yaml
	palletjack cutover m.yaml
	palletjack cancel --vm vm-00002 m.yaml
	exits 9 palletjack rollback m.yaml
	palletjack gc --disks m.yaml >said 2>&1; cat said
	refute grep "Request" said
	exits 7 palletjack run --vm vm-00001 m.yaml
	exits 9 palletjack run --vm vm-00002 m.yaml
	refute grep "^cutover" "$PALLETJACK_STATE/t/p/vm-00001/fake.log"
'
check 'of a vm that was rolled back none is asked for' '
	fresh "{cutover: {gate: manual}}"
	palletjack cutover --at $later --vm vm-00001 m.yaml
	palletjack run m.yaml || test $? -eq 7
	exits 9 palletjack rollback m.yaml
	palletjack cutover m.yaml >said
	cat said
	grep "vm-00001: no cutover asked for: it was rolled back" said
	palletjack cutover --revoke --vm vm-00001 m.yaml | grep "taken back"
'
check_exit 2 '--at wants a time' 'palletjack cutover --at noon m.yaml'
check_exit 2 '--cutover wants a time' 'palletjack run --cutover noon m.yaml'
check_exit 2 '--wait wants a duration' 'palletjack run --wait long m.yaml'
check_exit 2 '--waiting-exit wants a number' \
	'palletjack run --waiting-exit x m.yaml'
check '--help' 'palletjack cutover --help | grep -e --at'
test_end
