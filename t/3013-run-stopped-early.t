#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Asked to stop at any moment, also before the first step and as process 1 of
# a container, a run stops, and says with what it ends.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'a run can be stopped at any moment'
requires jq
requires pgrep
requires_fault

vm=$PALLETJACK_STATE/t/p/vm-00001
begun() {
	grep -q "\"type\":\"intent\",\"step\":\"$1\"" "$vm/journal" 2>/dev/null
}
# A child of process $1 is stopped.
child_stopped() {
	child=$(pgrep -P "$1") && grep -q '^State:.T' "/proc/$child/status"
}

# As process 1 a signal that it does not catch yet is not delivered at all.
catches_term() {
	caught=$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$1/status" 2>/dev/null) &&
		test -n "$caught" && test $((0x$caught & 1 << 14)) -ne 0
}

# during_survey SIGNAL COMMAND...: sent while the source is being asked
during_survey() {
	sig=$1
	shift
	# a shell has its background jobs ignore SIGINT
	env --default-signal=INT,HUP LD_PRELOAD="${PALLETJACK%/*}/t/fault.so" \
		ASAN_OPTIONS=verify_asan_link_order=0 \
		FAULT_OPS=send FAULT_WHEN=stop "$@" 2>err &
	run=$!
	within 30 child_stopped $run || { cat err; return 99; }
	child=$(pgrep -P $run)
	kill -"$sig" $run
	within 10 test_is_gone $run || return 99
	wait $run
	status=$?
	cat err
	test_is_gone "$child" && grep -q "stopped by SIG$sig" err || return 99
	return $status
}
fake_manifest 'vms: "1"'
check_exit 143 'SIGTERM while the source is asked' 'during_survey TERM palletjack run m.yaml'
check_exit 130 'SIGINT' 'during_survey INT palletjack run m.yaml'
check_exit 129 'SIGHUP' 'during_survey HUP palletjack run m.yaml'
check_exit 143 'planning, too' 'during_survey TERM palletjack plan m.yaml'
check 'nothing was done, and nothing is in the way' '
	palletjack run m.yaml && test "$(fake_state)" = finished
'

check 'a terminal that goes away leaves saved state' '
	rm -rf "$PALLETJACK_STATE"; fake_manifest "vms: \"1\", faults: \"convert:hang\""
	env --default-signal=HUP palletjack run m.yaml 2>err & run=$!
	within 30 begun convert
	kill -HUP $run; exits 129 wait $run; cat err
	grep -q "to go on: palletjack run m.yaml" err && test "$(fake_state)" = stopped
'
check 'nohup is obeyed' '
	(trap "" HUP; exec palletjack run m.yaml) & run=$!
	within 30 begun convert
	kill -HUP $run; kill -HUP $run
	kill -TERM $run; exits 143 wait $run
'

check 'who reads its output may go' '
	rm -rf "$PALLETJACK_STATE"; fake_manifest "vms: \"1\""
	{ palletjack run --events - m.yaml 2>err; echo $? >code; } | true
	cat err; test "$(cat code)" -eq 0 && test "$(fake_state)" = finished
'

unshare --pid --fork --mount-proc true 2>/dev/null || {
	skip 'unshare --pid does not succeed' 'as process 1'
	test_end
}
# contained COMMAND...: as process 1 of a PID namespace; first is its number here
contained() {
	env --default-signal=INT,HUP unshare --pid --fork --mount-proc --kill-child "$@" &
	outer=$!
	within 30 pgrep -P $outer >/dev/null && first=$(pgrep -P $outer)
}
check 'SIGTERM as process 1, in a step' '
	rm -rf "$PALLETJACK_STATE"; fake_manifest "vms: \"1\", faults: \"convert:hang\""
	contained palletjack run m.yaml
	within 30 begun convert
	kill -TERM $first; exits 143 wait $outer
	test "$(fake_state)" = stopped
'
check 'SIGTERM as process 1, before any' '
	contained env LD_PRELOAD="${PALLETJACK%/*}/t/fault.so" FAULT_OPS=send FAULT_WHEN=stop \
		ASAN_OPTIONS=verify_asan_link_order=0 palletjack run m.yaml
	within 30 child_stopped $first
	kill -TERM $first; exits 143 wait $outer
'
check 'and while it reads its manifest' '
	mkfifo pipe.yaml; sleep 60 >pipe.yaml & writer=$!
	contained sh -c "exec palletjack run - <pipe.yaml"
	within 30 grep -qx palletjack /proc/$first/comm; within 30 catches_term $first
	kill -TERM $first; exits 143 wait $outer; kill $writer
'
check 'as process 1 it ends its own strays, and not those of others' '
	rm -rf "$PALLETJACK_STATE"
	fake_manifest "vms: \"1\", stepMillis: \"300\", faults: \"convert:stray boot-test:hang\"" "{bootTest: once}"
	contained palletjack run m.yaml
	within 30 begun validate
	nsenter -t $first -p -m sh -c "setsid sleep 456 </dev/null >/dev/null 2>&1 &"
	within 30 begun boot-test
	pgrep --ns $first -x sleep -a >left; cat left
	grep -q "sleep 456" left; refute grep -q "sleep 600" left
	kill -TERM $first; exits 143 wait $outer
'
test_end
