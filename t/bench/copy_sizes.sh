#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What does not depend on speed: memory and ledger of disks of any size, ten
# at once, how soon a copy that was cut short goes on, and a copy of what did
# not change.
#
#	QUICK=1 t/bench/copy_sizes.sh		three rounds, no 64 TiB, smaller disks
set -eu
. "${0%/*}/figures"
figures_begin copy_sizes "${BENCH_DIR:-/dev/shm}"
. "$top/t/bench/pairs"
needs nbdkit jq qemu-img

# memory WHAT MIB: the most it had, what it maps included, as the kernel counts.
# The ledger's two header pages are left out: they matter to small disks only.
memory() {
	rm -f target target.id ledger
	measure_memory "$@"
}

# damaged WHAT MIB: the same once more, all the ledger's pages being damaged.
damaged() {
	truncate -s 8192 ledger
	measure_memory "$@"
}

measure_memory() {
	/usr/bin/time -q -o time -f '%e %U %S %M' \
		"$pj" copy -o json --ledger ledger source target >out
	# shellcheck disable=SC2046
	set -- "$1" "$2" $(cat time)
	figure "$1" "$3" s ''
	figure '  memory' "$(divide "$6" 1024 %.1f)" MiB 'under 100 MiB'
	figure '  ledger, each MiB of the disk' \
		"$(divide "$(($(stat -c %s ledger) - 8192))" "$2")" byte 'at most 48'
}

# Data at both ends and in between, a MiB each.
make_sparse() {
	rm -f source
	make_disk source "$1" "$(($1 / 64))" 1
}

sizes() {
	make_disk source 1024 64
	memory '1 GiB, all data' 1024
	make_sparse $((4 * 1024 * 1024))
	memory '4 TiB, sparse' $((4 * 1024 * 1024))
	damaged '  with a ledger that is damaged throughout' $((4 * 1024 * 1024))
	test -n "${QUICK:-}" && return
	make_sparse $((64 * 1024 * 1024))
	memory '64 TiB, sparse' $((64 * 1024 * 1024))
	damaged '  with a ledger that is damaged throughout' $((64 * 1024 * 1024))
}

# run_kind for pairs: one disk, and ten of a tenth.  A process begins in some
# milliseconds, so that disks of seconds are what tells how they share; they
# need eleven gigabytes of memory.
each=${QUICK:+256}
each=${each:-512}
run_kind() {
	case $1 in
	one) timed "$pj" copy --quiet --ledger ledger one.disk target ;;
	ten) timed sh -c 'for i in 0 1 2 3 4 5 6 7 8 9; do
		"$0" copy --quiet --ledger "ledger$i" ten.disk "target$i" &
		done; wait' "$pj" ;;
	esac
}

before_run() {
	rm -f target* ledger*
	touch_memory $((11 * each))
}

after_warming() {
	test "$1" != ten || cmp ten.disk target9
}

ten_at_once() {
	rm -f source
	make_disk one.disk $((10 * each)) 64
	make_disk ten.disk "$each" 64
	pairs "$rounds" one ten
	pair "a disk of $((10 * each)) MiB" one
	speed one $((10 * each))
	pair_ratio "ten disks of $each MiB at once" ten one 'at most 1'
	speed ten $((10 * each))
	rm -f ./*.disk
	before_run
}

# When the first read began of what was not there before: those before it only
# look at what was.
first_new_read() {
	sed -n 's/^\(.*\) connection.* Read id.*offset=\(0x[0-9a-f]*\).*/\2 \1/p' reads |
		while read -r offset when; do
			test $((offset)) -lt $(((mib - tenth) * 1048576)) || {
				echo "$when"
				break
			}
		done
}

# The source fails for good where the last tenth begins, so that is what the
# ledger does not know; then it works again and says when it was read from.
resume() {
	mib=$((1024 * 1024))
	tenth=$((mib / 10 / 128 * 128))
	rm -f target* ledger* source
	truncate -s "${mib}M" source
	at=$((mib - tenth))
	while test "$at" -lt "$mib"; do
		dd if=/dev/urandom of=source bs=1M count=1 seek="$at" \
			conv=notrunc status=none
		at=$((at + 128))
	done
	serve source --filter=error file source error-pread=EIO \
		error-pread-rate=100%
	"$pj" copy --quiet --ledger ledger "$uri" target 2>err && exit 1
	end_servers
	cp ledger before
	: >resume.runs
	for round in $(seq "$rounds"); do
		cp before ledger
		serve source --filter=log file source logfile=reads
		begin=$(date +%s%N)
		"$pj" copy -o json --ledger ledger "$uri" target >out
		first=$(first_new_read)
		echo "$begin $(date -d "$first" +%s%N)" |
			awk '{ print ($2 - $1) / 1e9 }' >>resume.runs
		end_servers
		rm reads
	done
	figure '1 TiB, sparse, copied before' \
		"$(jq '.skipped / .size * 100 | round' out)" % ''
	figure '  looked at before' "$(jq .checked out)" byte ''
	figure '  first new byte after' "$(median_of 1 resume)" s 'under 2 s'
	qemu-img compare -q -f raw -F raw source target
}

# passes WHAT READ ARGUMENT...: a copy of what did not change since.
passes() {
	passes_what=$1 passes_read=$2
	shift 2
	/usr/bin/time -q -o time -f '%e' \
		"$pj" copy -o json --ledger ledger "$@" source target >out
	figure "$passes_what" "$(cat time)" s ''
	figure '  read' "$(jq .read out)" byte "$passes_read"
	figure '  written' "$(jq .written out)" byte 0
}

unchanged() {
	rm -f target* ledger* source before
	make_disk source 1024 128
	: >changed
	"$pj" copy --quiet --ledger ledger source target >/dev/null
	passes 'the same copy again' 0
	passes 'nothing changed, as the source says' 0 --changed changed
	passes 'nothing changed, as a comparison finds' \
		"$((512 * 1048576))" --compare
}

say_load
sizes
ten_at_once
resume
unchanged
figures_end
