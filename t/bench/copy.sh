#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# How long a copy takes, with and without proof, beside nbdcopy.
#
# Runs are paired: every round does each of them once, so that what else the
# machine does meets all alike.  Prints medians in seconds and the median of
# the rounds' ratios to nbdcopy.
#
#	MIB=1024 ROUNDS=5 BENCH_DIR=/dev/shm t/bench/copy.sh
set -eu

mib=${MIB:-1024}
rounds=${ROUNDS:-5}
palletjack=${PALLETJACK:-build/palletjack}
work=$(mktemp -d "${BENCH_DIR:-${TMPDIR:-/dev/shm}}/palletjack-bench.XXXXXX")
server=

finish() {
	[ -z "$server" ] || kill "$server" 2>/dev/null || :
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

for tool in nbdkit nbdcopy "$palletjack"; do
	command -v "$tool" >/dev/null || {
		echo "copy.sh: $tool is missing" >&2
		exit 1
	}
done

# Half data, half holes, 64 MiB each in turn.
make_source() {
	truncate -s "${mib}M" "$work/source"
	at=0
	while [ "$at" -lt "$mib" ]; do
		dd if=/dev/urandom of="$work/source" bs=1M count=64 \
			seek="$at" conv=notrunc status=none
		at=$((at + 128))
	done
	truncate -s "${mib}M" "$work/source"
}

# Memory nobody touched lately is slow where a host lends it out.
touch_memory() {
	dd if=/dev/zero of="$work/touch" bs=1M count=$((mib + 256)) status=none
	rm "$work/touch"
}

copy_with() {
	case $1 in
	nbdcopy)
		nbdcopy --flush "$uri" "$work/target" ;;
	none)
		"$palletjack" copy --quiet "$uri" "$work/target" ;;
	*)
		"$palletjack" copy --quiet --ledger "$work/ledger" \
			--proof "$1" "$uri" "$work/target" ;;
	esac >/dev/null
}

run() {
	rm -f "$work/target" "$work/target.id" "$work/ledger"
	begin=$(date +%s%N)
	copy_with "$1"
	end=$(date +%s%N)
	cmp -s "$work/source" "$work/target" || {
		echo "copy.sh: $1 copied something else" >&2
		exit 1
	}
	echo $(((end - begin) / 1000)) >>"$work/$1.us"
}

median() {
	sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

make_source
nbdkit -f -U "$work/s" file "$work/source" &
server=$!
uri="nbd+unix:///?socket=$work/s"
while [ ! -S "$work/s" ]; do sleep 0.05; done

touch_memory
for kind in nbdcopy none xxh3 sha256; do # not counted: it warms everything
	run "$kind"
	rm "$work/$kind.us"
done
round=0
while [ "$round" -lt "$rounds" ]; do
	for kind in nbdcopy none xxh3 sha256; do run "$kind"; done
	round=$((round + 1))
done

echo "$mib MiB, half of it holes, in $(dirname "$work"), $rounds rounds"
for kind in nbdcopy none xxh3 sha256; do
	seconds=$(median <"$work/$kind.us")
	ratio=$(paste "$work/$kind.us" "$work/nbdcopy.us" |
		awk '{ print $1 / $2 }' | median)
	awk -v k="$kind" -v s="$seconds" -v r="$ratio" 'BEGIN {
		name = k == "nbdcopy" ? "nbdcopy --flush" :
		       k == "none" ? "palletjack, no ledger" :
		       "palletjack, ledger, " k
		printf "%-28s %7.3f s  %5.2f of nbdcopy\n", name, s / 1e6, r
	}'
done
