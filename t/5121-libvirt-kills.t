#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Whoever takes part in copying a running domain is killed in the middle of it:
# QEMU, the daemon, the NBD server, the backup job, qemu-nbd.  The runs that
# follow end with the same bytes, and nothing of ours is left.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
. "${0%/*}/local.sh"
. "${0%/*}/virt.sh"
test_begin 'a domain is copied whoever dies meanwhile'
virt_needs
requires pgrep --version
requires_fault

virt_start
at_end web_is_gone
state=$PALLETJACK_STATE/t/p/web
# policy SPEC: tried again at once, and again by the next run
policy() {
	warm_manifest "$warm_quick, deadlines: {wait: 3s}, $1"
	sed -i "s/attempts: 1}/attempts: 4, first: 100ms, max: 1s}/" m.yaml
}
fast() {
	policy "limits: {}"
}
slow() {
	policy "limits: {bandwidth: 4Mi}"
}
fast

# Who is killed.
qemu() {
	kill -KILL "$(qemu_of web)"
}
daemon() {
	kill -KILL "$(cat "$XDG_RUNTIME_DIR/libvirt/libvirtd.pid")"
}
both() {
	daemon
	qemu
}
server() {
	virt qemu-monitor-command web '{"execute": "nbd-server-stop"}'
}
job() {
	virt domjobabort web
}
itself() {
	kill -KILL "$(cat run)"
}
helper() {
	kill -KILL "$(pgrep -f "qemu-nbd.*$PWD/a.qcow2")"
}

# When: the run is in the background, its pid in the file `run`.
is_stopped() {
	grep -q '^State:[[:space:]]*T' "/proc/$(cat run)/status"
}
# go ARGUMENT...: a run that stops before it notes that text ($at)
go() {
	(exec env LD_PRELOAD="${PALLETJACK%/*}/t/fault.so" \
		ASAN_OPTIONS=verify_asan_link_order=0 \
		FAULT_PROGRAM=palletjack FAULT_FILE=journal FAULT_WHEN=stop \
		FAULT_MATCH="$at" palletjack run m.yaml "$@" 2>err) &
	echo $! >run
	at_end "kill -KILL $!"
}
ended() {
	killed_status=0
	wait "$(cat run)" || killed_status=$?
	cat err
	echo "the run ended with $killed_status"
}
has_byte() { # FILE OFFSET BYTE
	test "$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')" = "$3"
}
# in_copy VICTIM: killed while the bytes of vda flow
in_copy() {
	slow
	guest a.qcow2 "write -P 3 0 12M"
	guest b.raw "write -P 4 5M 64k"
	at=nothing go
	within 60 has_byte target/fast/web/disk-vda.raw 0 3
	$1
	ended
	fast
}
# at_note TEXT VICTIM: killed before the run notes that
at_note() {
	guest a.qcow2 "write -P 3 0 1M"
	guest b.raw "write -P 4 5M 64k"
	at="$1" go
	within 60 is_stopped
	$2
	# unless it is the victim itself
	kill -CONT "$(cat run)" || :
	ended
}
# in_delta VICTIM: the same as in_copy, but of the last one, with the domain off
in_delta() {
	guest a.qcow2 "write -P 3 0 12M"
	virt destroy web --graceful
	slow
	at=nothing go --cutover now
	within 60 has_byte target/fast/web/disk-vda.raw 0 3
	$1
	ended
	fast
}

first() {
	web_is_made
	run 7
}
daemon_runs() {
	LIBVIRT_AUTOSTART=0 virsh -q -c qemu:///session list
}
daemon_again() {
	libvirtd --timeout=60 >>libvirtd.log 2>&1 &
	at_end "end_process $!"
	within 30 daemon_runs
}
# runs STATUS ARGUMENT...: as cron would, until it ends so
runs() {
	runs_to=$1
	shift
	for runs_nth in 1 2 3 4 5 6; do
		runs_status=0
		palletjack run m.yaml "$@" 2>err || runs_status=$?
		test "$runs_status" -ne "$runs_to" || return 0
		cat err
		test "$runs_status" -eq 5 || return 1
		sleep 1
	done
	return 1
}
# The world is mended, and the guest writes on.
mended() {
	daemon_runs || daemon_again
	within 30 sh -c "virsh -q -c qemu:///session domstate web |
		grep \"^running\|^shut off\""
	test "$(virt domstate web)" = running || virt start web
	guest a.qcow2 "write -P 5 1M 64k"
	guest a.qcow2 "discard 2M 64k"
}
# goes_on: a generation that succeeds, and the cutover
goes_on() {
	mended
	runs 7
	guest a.qcow2 "write -P 6 2M 64k"
	run 0 --cutover now
	same
	nothing_left
}

web_is_made || {
	cat libvirtd.log
	skip_all 'libvirtd has no qemu here'
}

# Each at one of the moments, which SEED says; with LONG=1 at all.
nth=${SEED:-$(od -An -N1 -tu1 /dev/urandom | tr -d ' ')}
echo "# SEED=$nth"
comes_up() {
	nth=$((nth + 1))
	test -n "$LONG" || test $((nth % 3)) -eq 0
}
for victim in qemu daemon both server job; do
	comes_up && check "$victim, in the middle of a copy" "
		first
		in_copy $victim
		test \$killed_status -eq 5 -o $victim = daemon
		goes_on
	"
	comes_up && check "$victim, after the point in time was made" "
		first
		at_note '\"intent\",\"step\":\"precopy/disk-vdb' $victim
		goes_on
	"
	comes_up && check "$victim, before the point in time is let go" "
		first
		at_note '\"intent\",\"step\":\"precopy-release' $victim
		goes_on
	"
	nth=$((nth + 1))
done
# passes N: the last generation is the Nth, and copied what changed before it
passes() {
	fact web precopy-release generations | jq -c .
	test "$(fact web precopy-release number)" -eq "$1"
	test "$(fact web precopy/disk-vda pass)" = changed
}
# The source may know of no earlier point any more.
for killed in '"key":"releasing"' '"result","step":"precopy-release'; do
	check "the run, before it notes $killed: it is known what changed" '
		first
		at_note "$killed" itself
		test $killed_status -eq 137
		guest a.qcow2 "write -P 5 1M 64k"
		run 7 --cutover never
		passes 2
		guest a.qcow2 "write -P 6 2M 64k"
		run 7 --cutover never
		passes 3
		run 0 --cutover now
		same
		nothing_left
	'
done
check 'the step, with the backup ended and the checkpoints there' '
	first
	guest a.qcow2 "write -P 3 0 1M"
	env LD_PRELOAD="${PALLETJACK%/*}/t/fault.so" \
		ASAN_OPTIONS=verify_asan_link_order=0 \
		FAULT_PROGRAM=palletjack FAULT_DIR="$XDG_RUNTIME_DIR" \
		FAULT_OPS=unlink FAULT_AT=2 FAULT_WHEN=before \
		FAULT_LOG=unlinked palletjack run m.yaml --cutover never ||
		test $? -eq 7
	cat unlinked
	grep "\"type\":\"result\",\"step\":\"precopy-release\",\"error\"" "$state/journal"
	run 7 --cutover never
	guest a.qcow2 "write -P 6 2M 64k"
	run 7 --cutover never
	test "$(fact web precopy/disk-vda pass)" = changed
	run 0 --cutover now
	same
	nothing_left
'
check 'qemu-nbd, in the middle of the last copy: it is started again' '
	first
	in_delta helper
	test $killed_status -eq 0
	same
	nothing_left
'
check 'daemon, in the middle of the last copy' '
	first
	in_delta daemon
	daemon_again
	runs 0 --cutover now
	same
	nothing_left
'
test_end
