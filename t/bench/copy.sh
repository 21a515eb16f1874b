#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# How long a copy takes, with and without proof, beside those that keep none.
# All of it in memory: what is measured is what the copying itself costs.
#
#	MIB=2048 ROUNDS=7 t/bench/copy.sh
#	QUICK=1 t/bench/copy.sh		three rounds of half of that
set -eu
. "${0%/*}/figures"
figures_begin copy "${BENCH_DIR:-/dev/shm}"
. "$top/t/bench/pairs"
needs nbdkit nbdcopy qemu-img

mib=${MIB:-${QUICK:+1024}}
mib=${mib:-2048}

before_run() {
	rm -f target target.id ledger
	touch_memory $((mib / 2 + 256))
	case $to in
	*target.s*) truncate -s "${mib}M" target ;;
	esac
}

# The end is what it should be, whoever copied.
after_warming() {
	cmp source target || {
		echo "copy.sh: $1 copied something else" >&2
		exit 1
	}
}

run_kind() {
	case $1 in
	nbdcopy) timed nbdcopy --flush "$from" "$to" ;;
	qemu-img)
		case $to in
		nbd*) timed qemu-img convert -n -W -m 8 -f raw -O raw \
			"$from" "$to" ;;
		*) timed qemu-img convert -W -m 8 -f raw -O raw \
			"$from" "$to" ;;
		esac ;;
	cp) timed cp --sparse=always "$from" "$to" ;;
	unproved) timed "$pj" copy --quiet "$from" "$to" ;;
	*) timed "$pj" copy --quiet --ledger ledger --proof "$1" \
		"$from" "$to" ;;
	esac
}

# compare WHAT FROM TO PEER...
compare() {
	what=$1 from=$2 to=$3
	shift 3
	pairs "$rounds" nbdcopy "$@" unproved xxh3 sha256
	pair "$what: nbdcopy --flush" nbdcopy
	for peer; do
		pair_ratio "$what: $peer" "$peer" nbdcopy ''
	done
	pair_ratio "$what: palletjack, no proof" unproved nbdcopy \
		'at most 1.03, aim 0.85'
	pair_ratio "$what: palletjack, XXH3, ledger" xxh3 unproved 'at most 1.05'
	pair_ratio "$what: palletjack, SHA-256, ledger" sha256 nbdcopy ''
	say_load
}

echo "$mib MiB, half of it holes, in ${dir%/*}, $rounds rounds"
make_disk source "$mib" 128
serve source file source
source_uri=$uri
: >target
serve target file target
target_uri=$uri

compare 'NBD to file' "$source_uri" target qemu-img
compare 'NBD to NBD' "$source_uri" "$target_uri" qemu-img
compare 'file to file' source target qemu-img cp
figures_end
