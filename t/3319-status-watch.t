#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# status --watch: what it shows, when it shows it again, when it ends.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'status --watch follows a run'
requires jq
requires_fault

state=$PALLETJACK_STATE/t/p
fake_manifest 'vms: "2", faults: "vm-00001:verify:hang"' '{}' vm-00001 vm-00002
check 'nobody works on any vm: it shows that once and ends' '
	palletjack status m.yaml >want && palletjack status --watch m.yaml >got &&
	cmp_ok want got && grep -q "vm-00001: not begun" got
'
check 'a run that hangs: its steps are shown as they come, each look below the last' '
	palletjack run m.yaml >run.out 2>&1 & run=$!
	at_end "kill -KILL $run"
	echo $run >run.pid
	within 30 test -s "$state/vm-00001/journal"
	palletjack status --watch m.yaml >watched & echo $! >watch.pid
	at_end "kill -KILL $!"
	within 30 grep -q "verify/disk-0 *begun" watched
	within 30 grep -q "vm-00002: finished" watched; cat watched
	test "$(head -n 1 watched)" = "Plan t/p"
'
check 'it watches on, as the run works on' '
	refute test_is_gone "$(cat watch.pid)" && refute test_is_gone "$(cat run.pid)"
'
check 'and so does one that makes JSON of it, until it is interrupted' '
	palletjack status --watch -o json m.yaml >json & watch=$!
	at_end "kill -KILL $watch"
	within 30 grep -q "\"vm-00002\"" json
	kill -TERM $watch; exits 143 wait $watch
	jq -es "first.vms | length == 2" json
'
check 'it ends with the run, whose end it shows' '
	kill -TERM $(cat run.pid); within 30 test_is_gone "$(cat run.pid)"
	within 30 test_is_gone "$(cat watch.pid)"
	palletjack status m.yaml >want
	lines=$(wc -l <want); tail -n "$lines" watched | cmp_ok want -
'
check 'that of a run that was killed ends, too' '
	rm -rf "$PALLETJACK_STATE"
	palletjack run m.yaml >run.out 2>&1 & run=$!
	within 30 grep -q "intent.*verify/disk-0" "$state/vm-00001/journal"
	kill -KILL $run; wait $run || :
	palletjack status --watch m.yaml >out; cat out
	grep -q "vm-00001: running or cut short" out
'
check 'of a copy that runs it tells the bytes that are durable' '
	rm -rf "$PALLETJACK_STATE"
	fake_manifest "vms: \"1\", diskSize: 64Mi, faults: \"cutover/disk-0:slow=60000\"" \
		"{checkpoint: {bytes: 1Mi}}"
	palletjack run m.yaml >run.out 2>&1 & run=$!
	at_end "kill -KILL $run"
	some() {
		palletjack status -o json m.yaml >json && jq -e ".vms[0].steps[] |
			select(.step == \"cutover/disk-0\").copied |
			.pass > 0 and .durable == .pass and .size == 67108864" json
	}
	within 30 some; palletjack status m.yaml >out; cat out
	grep "cutover/disk-0 *begun .* MiB of 64.* MiB" out
	kill -KILL $run; wait $run || :
'
if command -v script >/dev/null; then
	check 'on a terminal it redraws' '
		script -qec "palletjack status --watch m.yaml" typescript </dev/null >drawn
		head -c 7 drawn | od -An -c; test "$(head -c 7 drawn)" = "$(printf "\033[H\033[2J")"
	'
else
	skip 'script is not installed' 'on a terminal it redraws'
fi
test_end
