#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Limits hold over all runs on a machine, and nobody keeps a place he does not use.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'what is limited is limited for all runs together'
requires jq

# two_plans SETTINGS POLICY: p.yaml and q.yaml, three vms each of one endpoint
two_plans() {
	rm -rf "$PALLETJACK_STATE"
	fake_manifest "vms: \"6\", $1" "$2" vm-00004 vm-00005 vm-00006
	sed 's/^metadata: {name: p, /metadata: {name: q, /' m.yaml >q.yaml
	fake_manifest "vms: \"6\", $1" "$2" vm-00001 vm-00002 vm-00003
	mv m.yaml p.yaml
}
# most STEPS: how many steps that match were under way at once, over all vms
most() {
	cat "$PALLETJACK_STATE"/t/*/*/journal | jq -r --arg steps "$1" '
		select(.type == "intent" or .type == "result") |
		select(.step | test($steps)) |
		.time + (if .type == "intent" then " 1" else " -1" end)' |
		sort -k1,1 -k2,2n | awk '{ n += $2; if (n > most) most = n }
			END { print most + 0 }'
}
# both: the two runs at once, to their ends
both() {
	palletjack run p.yaml >p.out 2>&1 &
	p=$!
	palletjack run q.yaml >q.out 2>&1 || { cat q.out; return 1; }
	wait $p || { cat p.out; return 1; }
}

check 'two runs at once keep to disksPerHost together' '
	two_plans "disksPerVM: \"2\", stepMillis: \"20\"" "{limits: {disksPerHost: 2}}"
	both; most disk- ; test "$(most disk-)" -eq 2
'
check 'without it more are at work at once' '
	two_plans "disksPerVM: \"2\", stepMillis: \"100\"" "{}"
	both; most disk- ; test "$(most disk-)" -gt 2
'
check 'to perEndpoint' '
	two_plans "disksPerVM: \"2\", stepMillis: \"20\"" "{limits: {perEndpoint: 1}}"
	both; most disk- ; test "$(most disk-)" -eq 1
'
check 'to conversions' '
	two_plans "stepMillis: \"20\"" "{}"
	both; most "convert|boot-test"; test "$(most "convert|boot-test")" -eq 1
'
check 'and to inFlight' '
	two_plans "stepMillis: \"20\"" "{limits: {inFlight: 1}}"
	both; most .; test "$(most .)" -eq 1
'
check 'one run keeps to --jobs' '
	two_plans "disksPerVM: \"3\", stepMillis: \"20\"" "{}"
	palletjack run --jobs 2 p.yaml && test "$(most .)" -eq 2
'

check 'who waits says for what, and who has it' '
	two_plans "faults: \"vm-00001:cutover/disk-0:hang\"" \
		"{limits: {perEndpoint: 1}}"
	palletjack run --vm vm-00001 p.yaml >p.out 2>&1 &
	echo $! >holder
	within 30 grep -q "cutover/disk-0" "$PALLETJACK_STATE/t/p/vm-00001/journal"
	palletjack run q.yaml >q.out 2>&1 &
	echo $! >waiter
	within 30 grep "waiting: for a slot of endpoint .source. (limit 1), held by process $(cat holder) of plan t/p" q.out
'
at_end 'end_process $(cat holder); end_process $(cat waiter)'
check 'once, not at each look' '
	sleep 0.5; test "$(grep -c "for a slot" q.out)" -eq 1
'
check 'the first signal ends the waiting' '
	kill -TERM $(cat waiter)
	within 20 test_is_gone $(cat waiter); cat q.out
	test "$(cut -d" " -f1 "$PALLETJACK_STATE"/t/q/*/fake.log | sort -u | tr "\n" " ")" = \
		"cutover pre-hook validate "
'
check 'so does a deadline' '
	sed "s/limits:/deadlines: {run: 500ms}, limits:/" q.yaml >late.yaml
	exits 5 palletjack run late.yaml >out 2>&1; cat out
	grep -q "deadlines.run" out
'
check 'and deadlines.wait: exit 4, as nothing failed' '
	sed "s/limits: {/deadlines: {wait: 500ms}, limits: {inFlight: 1, /" q.yaml >late.yaml
	rm -rf "$PALLETJACK_STATE/t/q"
	exits 4 palletjack run late.yaml >out 2>&1; cat out
	test "$(grep -c "STOPPED: waited 500 ms (deadlines.wait) for a slot of vms in flight (limit 1), held by process $(cat holder) of plan t/p; nothing failed, run again" out)" -eq 3
	test ! -e "$PALLETJACK_STATE/t/q/vm-00004/fake.log"
'
check 'but for a source that is off it is a failure, and the policy has its way' '
	sed -i "s/vms: \"6\"/power: \"on\", &/; s/inFlight: 1, //" late.yaml; rm -rf "$PALLETJACK_STATE/t/q"
	exits 5 palletjack run --vm vm-00004 late.yaml >out 2>&1; cat out
	grep -q "waited 500 ms (deadlines.wait) for a slot" out &&
	test "$(tail -n 1 "$PALLETJACK_STATE/t/q/vm-00004/fake.power")" = "source on"
'
check 'what a killed run held is free' '
	palletjack run q.yaml >q.out 2>&1 & waiter=$!
	within 30 grep -q "for a slot" q.out
	kill -KILL $(cat holder)
	exits 0 wait $waiter
'

slots=$PALLETJACK_SLOTS
check 'the directory is private' 'test "$(stat -c %a "$slots")" = 700'
check_exit 2 'one that others may only read is refused, saying how to mend it' '
	two_plans "" "{}"; mkdir -m 744 wide
	PALLETJACK_SLOTS=$PWD/wide palletjack run p.yaml >out 2>&1; status=$?
	cat out; grep -q "chmod 700" out || exit 9
	test ! -e "$PALLETJACK_STATE/t/p/vm-00001/fake.log" || exit 9
	exit $status
'
check_exit 2 'so is a link' '
	mkdir -m 700 real; ln -s "$PWD/real" link
	PALLETJACK_SLOTS=$PWD/link palletjack run p.yaml
'
check 'nothing was put behind it' 'test -z "$(ls real)"'
if test "$(id -u)" -eq 0; then
	check_exit 2 'so is one of another user' '
		mkdir -m 700 theirs; chown 65534 theirs
		PALLETJACK_SLOTS=$PWD/theirs palletjack run p.yaml
	'
else
	skip 'only root can give a directory away' 'so is one of another user'
fi
check 'without a place for it limits hold within the run, and it says so' '
	PALLETJACK_SLOTS=/proc/none palletjack run p.yaml 2>out; cat out
	test "$(grep -c "limits hold within this run only" out)" -eq 1
'
check 'the biggest vm goes first, equal ones as in the manifest' '
	two_plans "vm-00002.disksPerVM: \"3\", vm-00003.disksPerVM: \"2\"" \
		"{limits: {inFlight: 1}}"
	palletjack run --events events p.yaml
	jq -r "select(.type == \"intent\" and .step == \"validate\").vm" events >got
	printf "vm-%s\n" 00002 00003 00001 >want; cmp_ok want got
	two_plans "" "{limits: {inFlight: 1}}"
	palletjack run --events events2 p.yaml
	jq -r "select(.type == \"intent\" and .step == \"validate\").vm" events2 >got
	printf "vm-%s\n" 00001 00002 00003 >want; cmp_ok want got
'
test_end
