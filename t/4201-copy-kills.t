#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# palletjack copy is killed at random moments of its work, again and again until
# it is through.  Each time its ledger must tell the truth, and what was read
# and is not durable must be no more than two checkpoints' worth; in the end
# qemu-img finds no difference.  Source and proof are drawn by lot: without
# SHA-256 a file is written through the page cache.
# SEED repeats a history (threads still race), ROUNDS is the number of kills.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'a copy killed anywhere tells the truth, goes on, and ends the same'
requires jq
requires qemu-img --version
requires qemu-nbd --version
requires nbdkit --version
requires_fault
says=${PALLETJACK%/*}/t/ledger_says
test -x "$says" || skip_all "$says is not built: run make units"

seed=${SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
wanted=$(rounds 15)
echo "# SEED=$seed ROUNDS=$wanted"

# 17 MiB but for a few sectors: data, holes, zeroes that are written down.
size=17822208
punch() {
	for hole in 2 3 9 13; do
		fallocate -p -o $((hole * 1048576)) -l 1048576 "$1" 2>/dev/null ||
			dd if=/dev/zero of="$1" bs=1M seek=$hole count=1 \
				conv=notrunc status=none
	done
}
head -c $size /dev/urandom >src
punch src
dd if=/dev/zero of=src bs=1M seek=6 count=1 conv=notrunc status=none

# serve NAME ARG...: that server on the socket NAME.sock until the test is over.
serve() {
	serve_name=$1
	shift
	"$@" 2>"$serve_name.log" &
	at_end "end_process $!"
	within 20 test -S "$serve_name.sock"
}
uri() {
	echo "nbd+unix:///?socket=$PWD/$1.sock"
}
truncate -s $size nbd.raw
# nbdkit 1.32 with more threads than one may die of a client that does
# ("raw_send_socket: Assertion `sock >= 0' failed")
serve from qemu-nbd -f raw -r -t -e 9 -k "$PWD/from.sock" src
serve many qemu-nbd -f raw -t -e 9 -k "$PWD/many.sock" nbd.raw
# and its multi-conn filter of one that does in the handshake ("h->group ==
# NULL"): qemu-nbd offers multi-conn only where it takes more clients than one
serve one qemu-nbd -f raw -t -e 1 -k "$PWD/one.sock" nbd.raw
test "$(nbdinfo --can multi-conn "$(uri one)"; echo $?)" -ne 0 &&
	nbdinfo --can multi-conn "$(uri many)" ||
	skip_all 'this qemu-nbd does not tell both kinds apart'
kinds='file over qcow2 many one'
truncate -s $size device.img
if dev=$(losetup -f --show device.img 2>/dev/null); then
	at_end "losetup -d $dev"
	kinds="$kinds device"
fi
if test "$(id -u)" -eq 0 && command -v mkfs.btrfs >/dev/null; then
	truncate -s 256M btrfs.img && mkfs.btrfs -q btrfs.img >/dev/null 2>/dev/null && mkdir btrfs
	mount -o loop btrfs.img btrfs 2>/dev/null && at_end "umount $PWD/btrfs" &&
		cp --sparse=never src btrfs/src && punch btrfs/src && kinds="$kinds shared"
fi
ops='clone read write fsync fallocate sync_file_range nbd-read nbd-write nbd-zero nbd-flush'

# Sets $target, where it can be looked at and what format that has, all of it
# as before a first copy.
prepare() {
	format=raw
	rm -f ledger copy copy.id
	case $1 in
	file) target=copy ;;
	over) # what another copy left
		target=copy
		head -c $size /dev/urandom >junk
		palletjack copy --quiet junk copy >/dev/null || return 1
		;;
	qcow2) target=copy format=qcow2 ;;
	many | one)
		target=$(uri "$1")
		head -c $size /dev/urandom | dd of=nbd.raw conv=notrunc bs=1M status=none
		;;
	device) target=$dev ;;
	shared) # what the source has there, too
		rm -f btrfs/copy btrfs/copy.id
		target=btrfs/copy source=btrfs/src proof=none
		;;
	esac
}
# The bytes that are there now, as a raw image.
seen() {
	case $kind in
	qcow2)
		qemu-img convert -U -f qcow2 -O raw copy seen.raw
		echo seen.raw
		;;
	many | one) echo nbd.raw ;;
	*) echo "$target" ;;
	esac
}
# life NAME=VALUE...: a copy with t/fault.c preloaded; it and what it starts
# hold a lock as long as they live
life() {
	: >log
	with_fault FAULT_OPS="$ops" FAULT_DIR="$PWD" FAULT_LOG="$PWD/log" "$@" \
		flock life.lock palletjack copy --quiet -o json --checkpoint "${checkpoint}Mi" \
		--format "$format" --proof "$proof" --ledger ledger \
		"$source" "$target" \
		>out 2>err
}
# truth: what the ledger claims holds, and at most two checkpoints are lost.
# $known is what was durable before.
truth() {
	within 20 flock -n life.lock true || return 1
	if test -e ledger; then
		image=$(seen) || return 1
	else # nothing is claimed, of what may not even be there
		image=/dev/null
	fi
	"$says" ledger "$image" src durable.now >said || {
		cat said
		return 1
	}
	durable=$(tail -n 1 said | cut -d' ' -f1)
	# a look at what was durable before is no copying, nor is one at what
	# the source is
	read=$(awk -v src="$PWD/src" 'FILENAME == "durable" { before[$1]; next }
		($1 == "nbd-read" || $1 == "clone" && $4 ~ "/btrfs/copy$" ||
			$1 == "read" && $4 == src && $2 > 1000000) &&
			!(int($3 / 1048576) in before) { n += $2 }
		END { print n + 0 }' durable log)
	mv durable.now durable
	lost=$((read - (durable - known)))
	echo $lost >>lost
	known=$durable
	test $lost -le $((2 * checkpoint * 1048576)) || {
		echo "$kind, $proof: $lost bytes are to be done again after $read were" \
			"read, with a checkpoint every $checkpoint MiB"
		return 1
	}
}
# The next dice: a number below $1.
roll() {
	read -r die <&3
	rolled=$((die % $1))
}
# Sets $source and $proof.
draw() {
	roll 2
	source=src
	test "$rolled" -eq 0 || source=$(uri from)
	roll 3
	case $rolled in
	0) proof=sha256 ;;
	1) proof=xxh3 ;;
	2) proof=none ;;
	esac
}
# Lives until one is through; fails when a life ends as it should not.
migrate() {
	kind=$1 checkpoint=$2 known=0 lost_before=0
	draw
	prepare "$kind" || return 1
	: >durable
	while :; do
		status=0
		roll 6
		if test "$rolled" -eq 0; then # by the clock, for once
			roll 300
			moment=$rolled
			life timeout -s KILL 0."$(printf %03d "$moment")" || status=$?
		else
			roll "$(cat "events.$kind")"
			when=before
			test $((rolled % 3)) -gt 0 || when=after
			life FAULT_WHEN=$when FAULT_AT=$((rolled + 1)) ||
				status=$?
		fi
		test $status -ne 0 || break
		# what it starts has the library, too
		test $status -eq 137 ||
			{ test $status -eq 5 && grep -q SIGKILL err; } || {
			echo "$kind: a copy ended with $status"
			cat err
			return 1
		}
		echo "$kind" >>kills
		echo "$proof" >>proofs
		truth || return 1
		lost_before=$((lost_before + lost))
	done
	# what lay there before looks like an earlier attempt; two may have
	# been at different places
	test "$kind" = over || test "$(jq .redone out)" -le $lost_before || {
		echo "$kind, $proof: all lives lost $lost_before bytes"
		cat out
		return 1
	}
	truth && test "$lost" -eq 0 || return 1
	case $kind in
	qcow2) qemu-img compare -f raw -F qcow2 src copy ;;
	many | one) qemu-img compare src "$target" ;;
	*) cmp src "$target" ;;
	esac
}

awk -v seed="$seed" -v n=$((wanted * 30 + 3000)) 'BEGIN {
	srand(seed)
	while (n--)
		print int(rand() * 1000000000)
}' >dice
exec 3<dice
checkpoint=1 proof=sha256
source=$(uri from)
for kind in $kinds; do
	check "undisturbed: $kind" '
		prepare '"$kind"' && life && wc -l <log >events.'"$kind"' &&
		cat out events.'"$kind"' && "$says" ledger "$(seen)" src
	'
done
: >kills
: >lost
: >ends
check "the same end after $wanted kills" '
	while test "$(wc -l <kills)" -lt '"$wanted"'; do
		for kind in $kinds; do
			roll 3
			migrate $kind $((rolled + 1)) >history 2>&1 || {
				cat history err
				exit 1
			}
			echo >>ends
		done
	done
'
echo "# SEED=$seed: $(wc -l <kills) kills in $(wc -l <ends) copies:" \
	"$(sort kills | uniq -c | awk '{ printf "%s %d ", $2, $1 }')"
echo "# by proof: $(sort proofs | uniq -c | awk '{ printf "%s %d ", $2, $1 }')"
echo "# lost at most $(sort -n lost | tail -n 1) bytes at a time"

check 'the test can fail: a ledger that claims too much is found' '
	known=0 kind=file checkpoint=1
	: >durable
	prepare file; life; dd if=/dev/urandom of=copy bs=8 seek=600000 \
		count=1 conv=notrunc status=none
	refute truth
'
test_end
