#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# cancel: of a running run, before a run, taken back, too late, by a Migration.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'a cancelled vm is left alone until the cancel is taken back'
requires jq

journal=$PALLETJACK_STATE/t/p/vm-00001/journal

fresh() {
	rm -rf "$PALLETJACK_STATE"
	fake_manifest "vms: \"2\", faults: \"$1\"" '{}' vm-00001 vm-00002
}
no_faults() {
	sed -i 's/faults: "[^"]*"/faults: ""/' m.yaml
}
state_is() {
	test "$(fake_state)" = "$1"
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

check 'a running run stops the vm, ends with 9 and goes on with the others' '
	fresh vm-00001:convert:hang
	palletjack run m.yaml >out 2>&1 &
	run=$!
	within 30 grep -q "\"step\":\"convert\"" "$journal"
	child=$(jq -r "select(.step == \"convert\").process.pid" "$journal")
	palletjack cancel --vm vm-00001 m.yaml >said; cat said
	grep -q "vm-00001: cancel asked for" said
	exits 9 wait $run; cat out
	refute kill -0 "$child" 2>/dev/null
	grep -q "vm-00001.*asked: cancel (" out
	grep -q "cancel --revoke m.yaml" out
	test "$(fake_state vm-00002)" = finished
'
check 'its state is saved, the request on record and its file gone' '
	palletjack status m.yaml >status; cat status
	grep -q "^vm-00001: cancelled" status
	grep -q "convert *failed.*stopped by a cancel" status
	test "$(jq -c "select(.type == \"request\").kind" "$journal")" = "\"cancel\""
	test ! -e "$PALLETJACK_STATE/t/p/vm-00001/requests/cancel.json"
	palletjack journal check "$PALLETJACK_STATE"/t/p/*
'
check 'the next run leaves it alone and writes nothing' '
	no_faults; sha256sum "$journal" >before
	exits 9 palletjack run m.yaml 2>err; cat err
	sha256sum -c before && grep -q "vm-00001.*cancelled by" err
'
check 'plan says so' '
	exits 9 palletjack plan m.yaml >plan; cat plan
	grep -q "^vm-00001.*: cancelled" plan
'
check 'taken back, it goes on where it was' '
	palletjack cancel --revoke --vm vm-00001 m.yaml &&
	palletjack plan m.yaml | grep "^vm-00001.*: ready" &&
	palletjack run m.yaml && test "$(fake_state)" = finished &&
	test "$(fake_log | sort | uniq -d | wc -l)" -eq 0
'
check 'a finished vm is not cancelled, and cancel says so' '
	palletjack cancel m.yaml >said && cat said &&
	test "$(grep -c "no cancel asked for: it is finished" said)" -eq 2 &&
	palletjack run m.yaml
'

check 'before a run: nothing is begun, and status knows' '
	fresh "" && palletjack cancel --vm vm-00001 m.yaml &&
	test "$(fake_state)" = cancelled &&
	palletjack status m.yaml | grep "a request (cancel) waits" &&
	exits 9 palletjack run m.yaml &&
	test ! -e "$PALLETJACK_STATE/t/p/vm-00001/fake.log" &&
	test "$(fake_state)" = cancelled &&
	test "$(fake_state vm-00002)" = finished
'
check 'taken back before a run has seen it' '
	fresh "" && palletjack cancel m.yaml &&
	palletjack cancel --revoke m.yaml && palletjack run m.yaml &&
	palletjack cancel --revoke m.yaml | grep "finished"
'
check 'with nothing to take back that is said' '
	fresh "" && palletjack cancel --revoke m.yaml >said && cat said &&
	grep -q "vm-00002: no cancel to take back" said &&
	test ! -e "$PALLETJACK_STATE/t/p/vm-00001/requests"
'
check 'one that has expired is ignored, said and removed' '
	fresh "" && palletjack cancel --vm vm-00001 --expires 1ms m.yaml &&
	within 5 state_is "not begun" &&
	palletjack run m.yaml 2>err && cat err &&
	grep -q "RequestIgnored.*vm-00001.*it has expired" err &&
	test ! -e "$PALLETJACK_STATE/t/p/vm-00001/requests/cancel.json"
'
check 'once the target was started it does nothing and says so' '
	fresh vm-00001:post-hook:fail; exits 6 palletjack run m.yaml
	palletjack cancel m.yaml >said; cat said
	grep -q "vm-00001: no cancel asked for: its target was started" said
	no_faults && palletjack run m.yaml && test "$(fake_state)" = finished
'
check 'also when a request is there all the same' '
	fresh vm-00001:post-hook:fail; exits 6 palletjack run m.yaml
	requests=$PALLETJACK_STATE/t/p/vm-00001/requests
	mkdir -p "$requests"; cat >"$requests/cancel.json" <<EOF
{"kind": "cancel", "who": "me@here", "made": "2026-11-20T12:00:00Z"}
EOF
	no_faults; palletjack run m.yaml 2>err; cat err
	grep -q "RequestIgnored.*the target was started" err
	test "$(fake_state)" = finished
'
check 'a damaged request keeps its vm back, by name' '
	fresh ""; requests=$PALLETJACK_STATE/t/p/vm-00001/requests
	mkdir -p "$requests"; echo nonsense >"$requests/cancel.json"
	exits 6 palletjack run m.yaml 2>err; cat err
	grep -q "requests/cancel.json. is not a request" err
	test "$(fake_state vm-00002)" = finished
'

check 'a Migration cancels by name, another by id: both count' '
	fresh ""; migration one "cancel: [{name: vm-00001}]"
	migration two "cancel: [{id: vm-00002}]"
	exits 9 palletjack run m.yaml 2>err; cat err
	grep -q "vm-00001.*cancelled by Migration t/one" err
	grep -q "vm-00002.*cancelled by Migration t/two" err
	refute grep -rqs . "$PALLETJACK_STATE"/t/p/*/fake.log
'
check 'status and plan say by which' '
	palletjack status m.yaml | grep "cancelled by Migration t/one" &&
	exits 9 palletjack plan m.yaml | grep "cancelled by Migration t/two"
'
check 'cancel --revoke says that the Migration must be edited' '
	palletjack cancel --revoke m.yaml | grep "Migration t/one cancels it"
'
check 'taken out of spec.cancel, they go on' '
	sed -i "s/cancel: .*}\]/cancel: []/" m.yaml && palletjack run m.yaml
'
fault=$(dirname "$PALLETJACK")/t/fault.so
for when in before torn after; do
	test -e "$fault" || {
		skip "$fault is not built" "killed $when the record"
		continue
	}
	check "killed $when the request is on record, the next run honours it" "
		fresh '' && palletjack cancel --vm vm-00001 m.yaml &&
		exits 137 env LD_PRELOAD=$fault FAULT_FILE=journal FAULT_AT=2 \
			FAULT_WHEN=$when ASAN_OPTIONS=verify_asan_link_order=0 \
			palletjack run --vm vm-00001 m.yaml &&
		exits 9 palletjack run --vm vm-00001 m.yaml &&
		exits 9 palletjack run --vm vm-00001 m.yaml &&
		test ! -e '$PALLETJACK_STATE/t/p/vm-00001/fake.log' &&
		palletjack cancel --revoke --vm vm-00001 m.yaml &&
		palletjack run m.yaml
	"
done
check_exit 2 'a vm that is not in the plan' '
	palletjack cancel --vm nobody m.yaml
'
check_exit 2 'an expiry that is no duration' '
	palletjack cancel --expires tomorrow m.yaml
'
check '--help' 'palletjack cancel --help | grep -e --revoke'
test_end
