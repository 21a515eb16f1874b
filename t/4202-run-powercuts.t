#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The power goes while a run works: of target, ledger and journal together only
# that stays for certain which was synced, files and names alike.  What the
# journal calls done and the ledger durable must be there all the same, and the
# next run goes on; in the end the target is the source.
# The same after a sync that failed, whose writes are never made.
# SEED repeats a history, ROUNDS is the number of power cuts of each kind.
. "${0%/*}/lib.sh"
. "${0%/*}/local.sh"
test_begin 'what is done survives a power cut, what is not is done again'
requires jq
requires qemu-img --version
requires nbdkit --version
build=${PALLETJACK%/*}/t
for tool in cut.so strike ledger_says; do
	test -e "$build/$tool" || skip_all "$build/$tool is not built: run make units"
done

seed=${SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
wanted=$(rounds 6)
echo "# SEED=$seed ROUNDS=$wanted"

# 9 MiB and a bit: data, holes, zeroes that are written down.
head -c 9437696 /dev/urandom >one.raw
for hole in 2 3 7; do
	fallocate -p -o $((hole * 1048576)) -l 1048576 one.raw 2>/dev/null || :
done
dd if=/dev/zero of=one.raw bs=1M seek=5 count=1 conv=notrunc status=none
local_target=world/target
# manifest PROOF: without SHA-256 a file is written through the page cache
manifest() {
	local_manifest web=one.raw:fast "$local_raw" "retry: {attempts: 1, \
		first: 1ms, max: 1ms}, checkpoint: {bytes: 1Mi}, proof: $1"
}
manifest sha256
PALLETJACK_STATE=$PWD/world/state
state=$PALLETJACK_STATE/t/p/web
disk=world/target/fast/web/disk-0.raw

# life AT SYNC [LIAR]: a run whose power goes at that event, or whose sync of
# that number fails
life() {
	rm -rf snap
	cp -a --sparse=always world snap
	find world -printf '%y %i %P\n' >snap.list
	"$build/strike" begin record
	env LD_PRELOAD="$build/cut.so" ASAN_OPTIONS=verify_asan_link_order=0 \
		CUT_DIR="$PWD/world" CUT_RECORD="$PWD/record" CUT_AT="$1" \
		CUT_FAIL_AT="$2" ${3:+CUT_LIE="$3"} flock record.lock \
		palletjack run m.yaml >out 2>&1
}
# strike SEED: only after all of the run is gone, which inherits that lock
strike() {
	within 20 flock -n record.lock true && "$build/strike" end record snap "$1" world
}
# Steps that the journal calls done.
done_steps() {
	test ! -e "$state/journal" ||
		palletjack status m.yaml -o json |
		jq -r '.vms[0].steps[] | select(.state == "done").step'
}
# What is claimed is there.
truth() {
	palletjack journal check "$state" || test ! -s "$state/journal" || return 1
	done_steps >steps || return 1
	if test -e "$state/ledger/disk-0.ledger"; then
		image=$disk
		test -e $disk || image=/dev/null
		"$build/ledger_says" "$state/ledger/disk-0.ledger" "$image" \
			one.raw || return 1
	fi
	if grep -q '^cutover/disk-0$' steps; then
		cmp one.raw $disk || return 1
		"$build/ledger_says" "$state/ledger/disk-0.ledger" $disk \
			one.raw | grep -q ' 10 10$' || {
			echo 'the ledger forgot blocks that were copied'
			return 1
		}
	fi
	if grep -q '^create' steps; then
		test -s world/target/web/domain.xml || return 1
		test -s world/target/web/start || return 1
	fi
}
anew() {
	rm -rf world
	mkdir world
}
roll() {
	read -r die <&3
	rolled=$((die % $1))
}
# migrate cut|sync [LIAR]: the power goes, or a sync fails, until a run is
# through.
migrate() {
	kind=$1
	shift
	anew
	roll 3
	case $rolled in
	0) manifest sha256 ;;
	1) manifest xxh3 ;;
	2) manifest 'none, verify: none' ;;
	esac
	while :; do
		roll "$(cat "$kind.most")"
		status=0
		case $kind in
		cut) life $((rolled + 1)) 0 "$@" || status=$? ;;
		sync) life 0 $((rolled + 1)) || status=$? ;;
		esac
		roll 1000000000
		test $status -ne 0 || break
		case $kind.$status in
		cut.137 | sync.5) ;;
		*)
			echo "a run ended with $status"
			cat out
			return 1
			;;
		esac
		echo >>"$kind.done"
		strike "$rolled" && truth || return 1
	done
	# done, and then the power goes
	strike "$rolled" && truth && cp steps last &&
		palletjack plan --detailed-exitcode m.yaml &&
		grep -q create last && qemu-img compare -f raw -F raw one.raw $disk
}

awk -v seed="$seed" -v n=$((wanted * 6 + 20000)) 'BEGIN {
	srand(seed)
	while (n--)
		print int(rand() * 1000000000)
}' >dice
exec 3<dice
check 'undisturbed' '
	anew && life 0 0 && "$build/strike" events record >events && cat events &&
	cut -d" " -f1 events >cut.most && cut -d" " -f2 events >sync.most &&
	strike 1 && truth && cat steps && cmp one.raw $disk
'
: >ends
for kind in cut sync; do
	: >$kind.done
	case $kind in
	cut) what='power cuts' ;;
	sync) what='syncs that fail, and then the power' ;;
	esac
	check "$wanted $what" '
		while test "$(wc -l <'$kind'.done)" -lt '"$wanted"'; do
			migrate '$kind' >history 2>&1 || { cat history; cat out; exit 1; }
			echo >>ends
		done
	'
done
echo "# SEED=$seed: $(wc -l <cut.done) power cuts and $(wc -l <sync.done) failed" \
	"syncs in $(wc -l <ends) migrations"
for liar in disk-0.raw disk-0.ledger; do
	check "the test can fail: a $liar whose syncs lie is found out" '
		for n in $(seq 60); do
			migrate cut '"$liar"' >history 2>&1 || exit 0
		done
		exit 1
	'
done
test_end
