#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What SHA-256 and a ledger cost where something else is the limit, a network
# or a disk; how near the machine's own limit a copy comes where the
# processor is; and reading it all back.
#
#	MIB=512 DISK_DIR=/var/tmp t/bench/copy_limits.sh
#	QUICK=1 t/bench/copy_limits.sh		three rounds
set -eu
. "${0%/*}/figures"
figures_begin copy_limits "${BENCH_DIR:-/dev/shm}"
. "$top/t/bench/pairs"
needs nbdkit nbdcopy openssl

mib=${MIB:-512}
other_dir=$(mktemp -d "${DISK_DIR:-/var/tmp}/palletjack-bench.XXXXXX")
where=

before_run() {
	rm -f "$where/target" "$where/target.id" "$where/ledger"
	touch_memory $((mib + 64))
	# what an earlier run left to be written is not this one's to wait for
	test "$where" = . || sync -f "$where"
}

after_warming() {
	case $1 in
	hash | verify) return ;;
	esac
	cmp source "$where/target" || {
		echo "copy_limits.sh: $1 copied something else" >&2
		exit 1
	}
}

run_kind() {
	case $1 in
	nbdcopy) timed nbdcopy --flush "$uri" "$where/target" ;;
	unproved) timed "$pj" copy --quiet "$uri" "$where/target" ;;
	hash) timed openssl dgst -sha256 source ;;
	*) timed "$pj" copy --quiet --ledger "$where/ledger" --proof "$1" \
		"$uri" "$where/target" ;;
	esac
}

# What serving, writing and hashing take of a processor, spread over all there
# are: no copy with SHA-256 can be done sooner here.
processors_limit() {
	awk -v copy="$(median_of 2 unproved)" -v hash="$(median_of 2 hash)" \
		-v n="$(nproc)" 'BEGIN { printf "%.3f", (copy + hash) / n }'
}

# compare WHAT: what limits is what nbdcopy takes, or the processors.
compare() {
	pairs "$rounds" nbdcopy unproved xxh3 sha256 hash
	pair "$1: nbdcopy --flush" nbdcopy
	pair_ratio "$1: palletjack, no proof" unproved nbdcopy 'at most 1.03'
	pair_ratio "$1: palletjack, XXH3, ledger" xxh3 unproved 'at most 1.05'
	pair_ratio "$1: palletjack, SHA-256, ledger" sha256 nbdcopy \
		'at most 1.10 if it is the limit'
	limit=$(processors_limit)
	figure "  the processors' limit" "$limit" s ''
	figure '  wall, of the larger of both' \
		"$(awk -v sha="$(median_of 1 sha256)" -v cpu="$limit" \
			-v peer="$(median_of 1 nbdcopy)" \
			'BEGIN { printf "%.2f", sha / (peer > cpu ? peer : cpu) }')" \
		x 'at most 1.15'
	say_load
}

own_limit() {
	where=.
	pairs "$rounds" unproved hash sha256
	limit=$(processors_limit)
	pair 'all data: palletjack, no proof' unproved
	pair 'all data: openssl dgst -sha256' hash
	pair 'all data: palletjack, SHA-256, ledger' sha256
	figure '  the limit: server, copy and hash, all cores' "$limit" s ''
	figure '  wall, of the limit' \
		"$(divide "$(median_of 1 sha256)" "$limit")" x \
		'at most 1.15, on a machine that does nothing else'
	figure '  processor time, of the sum' \
		"$(awk -v all="$(median_of 2 sha256)" -v limit="$limit" \
			-v n="$(nproc)" \
			'BEGIN { printf "%.2f", all / (limit * n) }')" x \
		'at most 1.15'
	say_load
}

# slow_disk BYTES: a second that may be written below $other_dir, by us.
slow_disk() {
	groups=/sys/fs/cgroup/blkio
	group=$groups/palletjack-bench
	device=$(stat -c %Hd:%Ld "$other_dir")
	test ! -e "/sys/dev/block/$device/partition" ||
		device=$(cat "/sys/dev/block/$device/../dev")
	mkdir -p "$group" 2>/dev/null &&
		echo "$device $1" >$group/blkio.throttle.write_bps_device &&
		echo $$ >$group/cgroup.procs
} 2>/dev/null
slow_disk_done() {
	echo $$ >$groups/cgroup.procs
	rmdir $group
}

echo "$mib MiB of data, $rounds rounds; the disk is ${other_dir%/*}"
make_disk source "$mib" 64
touch_memory $((mib + 256))

serve source file source
own_limit
where=$other_dir
compare 'to a disk'
# The kernel makes of the same disk one that is slower than we are.
if slow_disk 300000000; then
	compare 'to a disk of 300 MB/s'
	slow_disk_done
else
	echo 'no slow disk: that takes root, and a blkio control group'
fi
end_servers

where=.
serve source --filter=rate file source rate=2G burstiness=0.1
compare 'network of 2 Gbit/s'
end_servers
figures_end
