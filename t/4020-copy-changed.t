#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A copy brought up to date: by a list of changes, by what a dirty bitmap says,
# by comparing; what arrived is compared by cmp and qemu-img.
. "${0%/*}/lib.sh"
test_begin 'what changed is copied, and only that'
requires jq
requires qemu-img --version
requires nbdkit --version

head -c 7000000 /dev/urandom >src
dd if=/dev/zero of=src bs=1M seek=2 count=1 conv=notrunc status=none
truncate -s 9437696 src

uri() {
	echo "nbd+unix:///?socket=$PWD/$1.sock"
}
serve() {
	serve_name=$1
	shift
	nbdkit -f -U "$PWD/$serve_name.sock" "$@" 2>"$serve_name.log" &
	at_end "end_process $!"
	within 20 test -S "$serve_name.sock"
}
# got KEY: of the JSON that the last copy left in `out`.
got() {
	jq -r ".$1" out
}
# write_at BYTE TEXT: into the source.
write_at() {
	printf %s "$2" | dd of=src bs=1 seek="$1" conv=notrunc status=none
}

check_exit 2 'without a ledger nothing is known of the copy' '
	palletjack copy --compare src none.raw
'
check_exit 2 'nor with one that is not there' '
	palletjack copy --compare --ledger no src none.raw 2>err; rc=$?
	cat err; grep -q "ledger .no. is not there" err && exit $rc
'
check 'and no target is made for either' '
	refute test -e none.raw
	refute test -e none.raw.id
'
check 'a first copy' '
	palletjack copy --ledger l src a.raw && cmp src a.raw
'
check_exit 2 'a ledger that is forgotten or mistyped' '
	cp a.raw.id id
	exits 2 palletjack copy --compare src a.raw
	palletjack copy --compare --ledger no src a.raw
'
check 'costs no copy: its own ledger still knows it' '
	cmp id a.raw.id
	palletjack copy --ledger l src a.raw
'
check_exit 2 'two ways at once' '
	palletjack copy --compare --changed list --ledger l src a.raw
'

write_at 70000 changed
write_at 5000000 "changed, too"
fallocate -p -o 3145728 -l 1048576 src
check_exit 6 'a source that was written to is no other half of this copy' '
	palletjack copy --ledger l src a.raw 2>err; rc=$?
	cat err; grep -q -- --compare err && exit $rc
'
cat >list <<END
# what changed
0x10000 65536
4980736 65536
3145728 1048576
END
check 'by a list: only what it names is read' '
	palletjack copy -o json --changed list --ledger l src a.raw >out &&
	cat out && cmp src a.raw && test "$(got read)" -eq 131072 &&
	test "$(got generation)" -eq 2 && test "$(got written)" -eq 131072 &&
	test "$(got zeroed)" -eq 1048576 && test "$(got mended)" -eq 0
'
check 'the proof is that of a copy made now' '
	palletjack copy -o json --ledger l.new src new.raw | jq -r .root >root &&
	test "$(got root)" = "$(cat root)"
'
: >nothing
check 'an empty list reads nothing and writes nothing' '
	stat -c "%y %b" a.raw >before &&
	palletjack copy -o json --changed nothing --ledger l src a.raw >out &&
	test "$(got read)" -eq 0 && test "$(got reread)" -eq 0 &&
	test "$(got written)" -eq 0 && test "$(got zeroed)" -eq 0 &&
	stat -c "%y %b" a.raw | cmp before - && cmp src a.raw
'
check 'nothing changed: compared in one read, and nothing written' '
	palletjack copy -o json --compare --ledger l src a.raw >out &&
	test "$(got read)" -gt 4000000 && test "$(got read)" -le 9437696 &&
	test "$(got written)" -eq 0 && test "$(got zeroed)" -eq 0 &&
	stat -c "%y %b" a.raw | cmp before -
'
write_at 9437690 end
write_at 2200000 "in the zeroes"
check 'compared: what differs is found and copied' '
	palletjack copy -o json --compare --ledger l src a.raw >out &&
	cat out && cmp src a.raw && test "$(got written)" -le 2097152 &&
	test "$(got written)" -gt 1048576
'
write_at 4200000 damage
dd if=/dev/urandom of=a.raw bs=1 seek=4300000 count=10 conv=notrunc status=none
echo "4194304 65536" >list
check 'a block that is damaged on the target is not patched but copied' '
	palletjack copy -o json --changed list --ledger l src a.raw >out &&
	cat out && cmp src a.raw && test "$(got mended)" -eq 1048576
'
check_exit 6 'a plain copy does not pass for one of that state' '
	palletjack copy --ledger l src a.raw 2>err; rc=$?
	cat err; grep -q "brought up to date" err && exit $rc
'
for bad in '5' 'x y' '10000000 5' '0 65536 0 data'; do
	echo "$bad" >list
	check_exit 2 "no list of changes: $bad" '
		palletjack copy --changed list --ledger l src a.raw
	'
done
check 'and nothing came of it' 'cmp src a.raw'

# Over NBD, and to a qcow2.
serve from file src
truncate -s 9437696 nbd.raw
serve to file "$PWD/nbd.raw"
check 'from and to servers' '
	palletjack copy --ledger l.nbd "$(uri from)" "$(uri to)"; cmp src nbd.raw
	write_at 1048570 "over the edge"
	printf "[{\"offset\": 983040, \"length\": 131072}]" >list
	palletjack copy -o json --changed list --ledger l.nbd "$(uri from)" \
		"$(uri to)" >out
	cat out && cmp src nbd.raw && test "$(got read)" -eq 131072
'
check 'to a qcow2' '
	palletjack copy --format qcow2 --ledger l.q src q.qcow2
	write_at 6000000 "for the qcow2"
	palletjack copy --compare --format qcow2 --ledger l.q src q.qcow2 &&
	qemu-img compare -f raw -F qcow2 src q.qcow2
'

# A ledger whose bits flip: it never passes for more than it is.
head -c 1100000 /dev/urandom >small
palletjack copy --quiet --ledger l.small small small.raw >text 2>&1
flip() {
	byte=$(od -An -tu1 -j "$2" -N1 "$1" | tr -d ' ')
	printf "\\$(printf %03o $((byte ^ ($3))))" |
		dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
cp l.small l.good && cp small.raw small.good && cp small.raw.id id.good
# The bytes that are used, and some of those that are not.
places=$(seq 0 64; seq 192 17 320; seq 4096 4160; seq 4092 4096; seq 8190 8195
	seq 8192 8290; seq 12280 12287)
check 'bits flipped all over the ledger: the disk is right, or it is refused' '
	n=0 refused=0
	for at in $places; do
		cp l.good l.small; cp id.good small.raw.id; cp small.good small.raw
		flip l.small "$at" "1 << (at % 8)"
		# as an interrupted copy would leave it: wrong where unknown
		if palletjack copy --quiet --compare --ledger l.small small small.raw \
			>text 2>&1; then
			cmp small small.raw || { echo "flip at $at"; exit 1; }
		else
			rc=$?
			test $rc -lt 126 || { cat text; echo "flip at $at"; exit 1; }
			refused=$((refused + 1))
		fi
		n=$((n + 1))
	done
	echo "$n places, $refused refused" && test $n -gt 200 && test $refused -lt $n
'
check 'cut short anywhere, too' '
	for size in 0 1 100 4095 4096 8191 8192 8200 12287; do
		cp l.good l.small && truncate -s $size l.small &&
		rc=0 && palletjack copy --quiet --compare --ledger l.small small \
			small.raw >text 2>&1 || rc=$?
		test $rc -lt 126 && cmp small small.raw || exit 1
	done
'
check 'one of another disk is refused' '
	cp l.nbd l.small && exits 6 palletjack copy --compare --ledger l.small \
		small small.raw && cmp small small.raw
'
test_end
