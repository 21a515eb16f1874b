#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What palletjack itself costs while it runs: 1,000 vms of steps that do
# nothing, in memory and on a disk; steps that last a second; and doing it all
# again when it is done.
#
#	QUICK=1 t/bench/run.sh		200 vms, and 20 seconds of long steps
#	BENCH_DIR=/var/tmp t/bench/run.sh	where the disk is
set -eu
. "${0%/*}/figures"
figures_begin run

n=1000 long_s=60 synced=100
test -z "${QUICK:-}" || n=200 long_s=20 synced=20

# watch COMMAND...: runs it; wall_ms, and of the process itself, without its
# children, cpu_ms and the most memory in KiB.
watch() {
	begin=$(date +%s%N)
	"$@" >out 2>err &
	watched=$!
	while line=$(cat "/proc/$watched/stat" 2>/dev/null); do
		hwm=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' \
			"/proc/$watched/status" 2>/dev/null) || :
		test -z "$hwm" || most=$hwm
		# shellcheck disable=SC2086
		set -- ${line##*) }
		test "$1" != Z || break
		ticks=$((${12} + ${13}))
		test "${until_s:-0}" -eq 0 ||
			test "$(date +%s%N)" -lt \
				$((begin + until_s * 1000000000)) || break
		sleep 0.1
	done
	wall_ms=$((($(date +%s%N) - begin) / 1000000))
	cpu_ms=$((ticks * 1000 / $(getconf CLK_TCK)))
}

ratio() {
	awk -v a="$1" -v b="$2" -v f="${3:-%.2f}" \
		'BEGIN { printf f, b ? a / b : 0 }'
}

steps_done() {
	grep -c 'done in' err || :
}

# In memory a sync costs nothing.
in_memory() {
	export PALLETJACK_STATE="$memory/state"
	rm -rf "$memory/state"
	many_vms "$n" 'disksPerVM: "1"'
	until_s=0 watch "$pj" run m.yaml
	wait "$watched"
	nsteps=$(steps_done)
	figure "run $n vms, state in memory" "$(ratio "$wall_ms" 1000)" s ''
	figure '  steps' "$nsteps" '' ''
	figure '  each step' "$(ratio "$wall_ms" "$nsteps")" ms \
		'under 5 ms besides the sync'
	figure "  parent's processor time, each step" \
		"$(ratio "$cpu_ms" "$nsteps")" ms ''
	figure "  parent's memory" "$((most / 1024))" MiB 'under 64 MiB'
}

again() {
	measure "run $n finished vms again" 'under 0.5 s' "$pj" run m.yaml
	sed -i 's/vms: "[0-9]*"/vms: "0"/' m.yaml
	measure '  with the source gone' 'under 0.5 s' "$pj" run m.yaml
	palletjack run m.yaml 2>/dev/null && status=0 || status=$?
	figure '  exit code' "$status" '' 0
	: >forks
	FAULT_OPS=fork FAULT_DIR=/ FAULT_LOG="$PWD/forks" \
		with_fault "$pj" run m.yaml 2>/dev/null || :
	figure '  children started' "$(wc -l <forks)" '' none
	measure "status of $n finished vms" '' "$pj" status m.yaml
}

# 20 at a time, the whole plan in memory: what the parent does meanwhile.
long_steps() {
	rm -rf "$memory/state"
	many_vms "$n" 'disksPerVM: "1", stepMillis: "1000"' \
		'{limits: {disksPerHost: 20, conversions: 20}}'
	until_s=$long_s watch "$pj" run m.yaml
	kill "$watched"
	wait "$watched" || :
	figure "$n vms, 20 at a time, steps of a second" \
		"$(ratio "$wall_ms" 1000)" s ''
	figure '  steps' "$(steps_done)" '' ''
	figure "  parent's processor time" \
		"$(ratio "$((cpu_ms * 100))" "$wall_ms")" % \
		'under 5 % of the wall time'
	figure "  parent's memory" "$((most / 1024))" MiB 'under 64 MiB'
}

# The same few vms in memory and on the disk; the difference is the syncs'.
on_disk() {
	many_vms "$synced" 'disksPerVM: "1"'
	rm -rf "$memory/state"
	until_s=0 watch "$pj" run m.yaml
	wait "$watched"
	fast_ms=$wall_ms
	export PALLETJACK_STATE="$dir/state"
	until_s=0 watch "$pj" run m.yaml
	wait "$watched"
	nsteps=$(steps_done)
	figure "run $synced vms, state in $(dirname "$dir")" \
		"$(ratio "$wall_ms" 1000)" s ''
	figure '  the same, state in memory' "$(ratio "$fast_ms" 1000)" s ''
	figure '  each step' "$(ratio "$wall_ms" "$nsteps")" ms ''
	figure '  of that for syncs' \
		"$(ratio "$((wall_ms - fast_ms))" "$nsteps")" ms ''
	many_vms 1 'disksPerVM: "1"'
	rm -rf "$dir/state"
	: >syncs
	FAULT_OPS=fsync FAULT_DIR=/ FAULT_LOG="$PWD/syncs" \
		with_fault "$pj" run m.yaml 2>err
	figure '  syncs, each step' \
		"$(ratio "$(wc -l <syncs)" "$(steps_done)" %.1f)" '' ''
	figure "  of the run's own journal" \
		"$(ratio "$(grep -c /journal syncs)" "$(steps_done)" %.1f)" '' ''
	sync_ms=$(LC_ALL=C dd if=/dev/zero of=one bs=512 count=200 oflag=dsync \
		2>&1 | sed -n 's/.* copied, \([0-9.e-]*\) s,.*/\1/p' |
		awk '{ printf "%.2f", $1 * 1000 / 200 }')
	figure '  one write and sync here' "$sync_ms" ms ''
}

test -d /dev/shm && test -w /dev/shm || {
	echo 'run.sh: there is no /dev/shm to keep a state in memory' >&2
	exit 1
}
memory=$(mktemp -d /dev/shm/palletjack-bench.XXXXXX)
trap 'rm -rf "$dir" "$memory"' EXIT
in_memory
again
long_steps
on_disk
figures_end
