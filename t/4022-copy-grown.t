#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A source that grew between two copies: target and ledger grow with it, killed
# or cut off at any operation on a file, too; one that shrank is refused.
# SEED repeats what the power cuts lose; of the operations every fourth is
# taken, and with LONG=1 each.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'a disk that grew goes on, one that shrank does not'
requires jq
requires qemu-img --version
requires nbdkit --version
requires_fault
build=${PALLETJACK%/*}/t
for tool in cut.so strike ledger_says; do
	test -x "$build/$tool" || skip_all "$build/$tool is not built: run make units"
done
seed=${SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
stride=${LONG:+1}
stride=${stride:-4}

# It ends within a block, its ledger within a page.
small=3145828 large=115343872
head -c $small /dev/urandom >src
got() {
	jq -r ".$1" out
}
# grow SIZE: data behind the end that was, and a hole
grow() {
	dd if=/dev/urandom of=src bs=1 count=3000 seek="$(stat -c %s src)" \
		conv=notrunc status=none
	truncate -s "$1" src
	dd if=/dev/urandom of=src bs=512 count=1 seek=$(($1 / 512 - 1)) \
		conv=notrunc status=none
}
root_of() {
	rm -f l.fresh fresh.raw fresh.raw.id
	palletjack copy --quiet -o json --ledger l.fresh "$1" fresh.raw | jq -r .root
}
copies() {
	palletjack copy --quiet -o json "$@" >out
}

check 'first copies' '
	copies --ledger l src a.raw && copies --ledger l.list src list.raw &&
	copies --format qcow2 --ledger l.q src q.qcow2
'
mkdir small && cp --sparse=always src a.raw a.raw.id l small
grow $large
check 'a plain copy says that it grew, and what to do' '
	exits 6 copies --ledger l src a.raw 2>err; cat err
	grep -q "grew since ledger" err && grep -q -- --compare err &&
	test "$(stat -c %s a.raw)" -eq $small
'
check 'compared: what is new is copied, and the block that was short' '
	copies --compare --ledger l src a.raw && cat out && cmp src a.raw &&
	test "$(got size)" -eq $large && test "$(got same)" -eq 3145728 &&
	test "$(got redone)" -eq 0 && test "$(got root)" = "$(root_of src)"
'
check 'what is a hole there is one here' '
	test "$(stat -c %b a.raw)" -lt 20000
'
: >nothing
check 'so it is by a list that says nothing of it' '
	copies --changed nothing --ledger l.list src list.raw && cat out &&
	cmp src list.raw && test "$(got skipped)" -eq 3145728 &&
	test "$(got root)" = "$(root_of src)"
'
check 'a qcow2 grows, too' '
	copies --compare --format qcow2 --ledger l.q src q.qcow2 &&
	qemu-img compare -f raw -F qcow2 src q.qcow2
'
check 'it is the same copy afterwards' '
	copies --compare --ledger l src a.raw && test "$(got written)" -eq 0 &&
	test "$(got same)" -gt 0
'
head -c $small src >shorter
check 'one that shrank is refused, and the copy stays as it is' '
	cp l l.before
	exits 6 copies --compare --ledger l shorter a.raw 2>err; cat err
	grep -q "shrank since ledger" err && cmp l.before l && cmp src a.raw
'
# Killed between the two, and then it grows again.
check 'a target that grew before its ledger, and a source that grew again' '
	cp -a small half; head -c $small src >half/src
	truncate -s $((small + 9000000)) half/src
	exits 137 with_fault FAULT_OPS=ftruncate FAULT_FILE=a.raw FAULT_WHEN=after \
		palletjack copy --quiet --compare --ledger half/l half/src half/a.raw
	test "$(stat -c %s half/a.raw)" -eq $((small + 9000000))
	copies --compare --ledger half/l src half/a.raw; cat out
	cmp src half/a.raw
	test "$(got root)" = "$(root_of src)"
'
check 'so it is with a qcow2' '
	copies --format qcow2 --ledger half/q half/src half/q.qcow2
	qemu-img resize -q half/q.qcow2 $((small / 512 * 512 + 20000256))
	copies --compare --format qcow2 --ledger half/q src half/q.qcow2; cat out
	qemu-img compare -f raw -F qcow2 src half/q.qcow2
'

check 'the target of another copy does not grow' '
	head -c $small src >other; copies other other.raw; cp small/l l.other
	exits 6 copies --compare --ledger l.other src other.raw 2>err; cat err
	grep -q "not the target that the ledger is of" err && cmp other other.raw
'

check 'one that was cut short meanwhile is not taken for a shorter disk' '
	cp -a small cut; truncate -s -1M cut/a.raw
	exits 6 copies --compare --ledger cut/l src cut/a.raw 2>err; cat err
	grep -q "cut/a.raw. has 2097252 bytes, the source has $large" err
'

# What is not ours to make larger.
head -c $small src >old
truncate -s $((small + 1048576)) full.img
nbdkit -f -U "$PWD/full.sock" file "$PWD/full.img" 2>full.log &
at_end "end_process $!"
within 20 test -S full.sock
check 'a server with too small a disk is refused before the ledger grows' '
	uri="nbd+unix:///?socket=$PWD/full.sock"
	copies --ledger l.full old "$uri"; cp l.full l.before
	exits 6 copies --compare --ledger l.full src "$uri" 2>err; cat err
	grep -q "the source has $large since it grew" err && cmp l.before l.full
'
check 'one that is large enough takes it, and junk there becomes zero' '
	cp old twin && truncate -s $((small + 1048576)) twin &&
	head -c 1048576 /dev/urandom |
		dd of=full.img bs=1 seek=$small iflag=fullblock oflag=seek_bytes \
			obs=1M conv=notrunc status=none &&
	copies --compare --ledger l.full twin "nbd+unix:///?socket=$PWD/full.sock" &&
	cmp twin full.img
'
dev=
if test "$(id -u)" -eq 0; then
	head -c $((small / 512 * 512 + 1049088)) /dev/urandom >junk
	dev=$(losetup -f --show junk 2>/dev/null) && at_end "losetup -d $dev"
fi
if test -n "$dev"; then
	check 'a block device that is too small is said to be' '
		copies --ledger l.dev old '"$dev"'; cp l.dev l.before
		exits 6 copies --compare --ledger l.dev src '"$dev"' 2>err; cat err
		grep -q "$dev. has only .* bytes, the source has $large" err &&
		cmp l.before l.dev
	'
	check 'one that was made larger is the same device' '
		truncate -s $large junk && losetup -c '"$dev"' &&
		dd if=/dev/urandom of=junk bs=1M seek=5 count=9 conv=notrunc status=none &&
		copies --compare --ledger l.dev src '"$dev"' && cmp src '"$dev"'
	'
else
	skip 'only root can make loop devices' 'a block device that is too small'
fi

# Killed at each operation on a file, before it and in its middle.
back() {
	rm -rf world
	cp -a small world
}
root=$(root_of src)
right() {
	"$build/ledger_says" world/l world/a.raw src || return 1
	copies --compare --ledger world/l src world/a.raw &&
		qemu-img compare -f raw -F raw src world/a.raw &&
		test "$(got root)" = "$root"
}
for when in before torn; do
	check "killed $when each operation it goes on, the ledger never lies" '
		at=$((1 + seed % stride))
		while :; do
			back
			status=0
			with_fault FAULT_OPS="write fsync ftruncate fallocate rename" \
				FAULT_DIR="$PWD/world" FAULT_AT=$at FAULT_WHEN='$when' \
				palletjack copy --quiet --compare --ledger world/l \
				src world/a.raw >killed 2>&1 || status=$?
			test $status -ne 0 || break
			test $status -eq 137 && right || { cat killed; echo "at $at: $status"; exit 1; }
			at=$((at + stride))
		done
		right && echo "$at operations" && test $at -gt 20
	'
done
check "SEED=$seed: its power cut at each operation, too" '
	at=$((1 + seed % stride))
	while :; do
		back
		rm -rf snap && cp -a world snap
		find world -printf "%y %i %P\n" >snap.list
		"$build/strike" begin record
		status=0
		env LD_PRELOAD="$build/cut.so" ASAN_OPTIONS=verify_asan_link_order=0 \
			CUT_DIR="$PWD/world" CUT_RECORD="$PWD/record" CUT_AT=$at \
			palletjack copy --quiet --compare --ledger world/l src world/a.raw \
			>killed 2>&1 || status=$?
		"$build/strike" end record snap $((seed + at)) world || exit 1
		test $status -ne 0 || break
		test $status -eq 137 && right || { cat killed; echo "at $at: $status"; exit 1; }
		at=$((at + stride))
	done
	right && echo "$at events" && test $at -gt 20
'
test_end
