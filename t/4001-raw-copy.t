#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Image files to a local target in raw copy mode: every stage for real but the
# conversion, killed wherever a record is written.
. "${0%/*}/lib.sh"
. "${0%/*}/local.sh"
test_begin 'disks move as they are, and the target is theirs alone'
requires jq
requires qemu-img --version
requires qemu-nbd --version
requires nbdkit --version
fault=$(dirname "$PALLETJACK")/t/fault.so

# Two disks with something to recognise: data, holes, and an odd end.
head -c 3000000 /dev/urandom >one.raw
truncate -s 20M one.raw
dd if=/dev/urandom of=one.raw bs=1M seek=13 count=2 conv=notrunc status=none
head -c 1500000 /dev/urandom >two.raw
truncate -s 5242880 two.raw
qemu-img convert -f raw -O qcow2 two.raw two.qcow2

# manifest FORMAT POWER
manifest() {
	local_manifest web=one.raw:fast,two.qcow2:bulk \
		"skipGuestConversion: true, targetPowerState: \"$2\"" \
		'retry: {attempts: 1}' "$1"
}
state=$PALLETJACK_STATE/t/p/web
disks_are_right() {
	qemu-img compare -f raw -F "$1" one.raw target/fast/web/disk-0."$1" &&
		qemu-img compare -f raw -F "$1" two.raw target/bulk/web/disk-1."$1"
}
fact() {
	palletjack status m.yaml -o json |
		jq -r --arg s "$1" '.vms[0].steps[] | select(.step == $s).facts'"$2"
}

manifest raw off
check 'plan has no conversion' '
	palletjack plan m.yaml >plan && cat plan && refute grep -q convert plan
'
check 'a run copies both disks' 'palletjack run m.yaml && disks_are_right raw'
check 'sparse, as they were' '
	test "$(stat -c %b target/fast/web/disk-0.raw)" -lt 14000
'
check 'verified against the ledger, whose root is on record' '
	test -n "$(fact cutover/disk-0 .root)" &&
	test "$(fact cutover/disk-0 .root)" = "$(fact verify/disk-0 .root)" &&
	test "$(fact cutover/disk-0 .proof) $(fact verify/disk-0 .proof)" = "sha256 sha256"
'
check 'the vm is defined and off; its mark says that it may be started' '
	test -s target/web/domain.xml && test -x target/web/start &&
	test -s target/web/handover.json && test ! -e target/web/qemu.pid
'
check 'a rerun does nothing' '
	cp "$state/journal" before && palletjack run m.yaml &&
	cmp before "$state/journal"
'
check 'without its state directory the mark keeps a run away' '
	sha256sum target/*/web/disk-* >before
	mv "$PALLETJACK_STATE" lost; exits 6 palletjack run m.yaml 2>err
	cat err; grep -qi "handed over" err
'
check 'and its disks were not touched' '
	sha256sum target/*/web/disk-* | cmp_ok before -
'
check 'a target that another state directory claimed is not taken' '
	rm -rf target "$PALLETJACK_STATE"
	palletjack run --until cutover m.yaml
	exits 4 palletjack --state "$PWD/other" run m.yaml 2>err; cat err
'
check 'until then it goes on where it was' '
	palletjack run m.yaml && disks_are_right raw
'

rm -rf target "$PALLETJACK_STATE" lost other
manifest qcow2 off
check 'qcow2 targets, through their server' '
	palletjack run m.yaml && disks_are_right qcow2
'

test -e "$fault" || { skip "$fault is not built" 'kills'; test_end; }
rm -rf target "$PALLETJACK_STATE"
manifest raw off
palletjack run m.yaml >/dev/null 2>&1
nrecords=$(palletjack journal show "$state" | wc -l)
check "killed at each of $nrecords records, real stages end in the same place" '
	n=1
	while test $n -le '"$nrecords"'; do
		rm -rf target "$PALLETJACK_STATE"
		exits 137 env LD_PRELOAD="'"$fault"'" FAULT_FILE=journal \
			FAULT_AT=$n FAULT_WHEN=after \
			ASAN_OPTIONS=verify_asan_link_order=0 \
			palletjack run m.yaml >out 2>&1 || { cat out; exit 1; }
		palletjack run m.yaml >out 2>&1 || { cat out; exit 1; }
		disks_are_right raw || exit 1
		test -x target/web/start; test -s target/web/handover.json
		n=$((n + 1))
	done
'
check 'a source that changes in between is copied again' '
	rm -rf target "$PALLETJACK_STATE" &&
	palletjack run --until verify m.yaml &&
	dd if=/dev/urandom of=one.raw bs=1M seek=5 count=1 conv=notrunc status=none &&
	dd if=/dev/zero of=one.raw bs=1M seek=13 count=1 conv=notrunc status=none &&
	palletjack plan m.yaml | grep "changed: source epoch" &&
	palletjack run m.yaml && disks_are_right raw &&
	test "$(fact cutover/disk-0 .generation)" -eq 2
'
grow_one() {
	dd if=/dev/urandom of=one.raw bs=1M seek=20 count=1 conv=notrunc status=none
	truncate -s 23M one.raw
}
for format in raw qcow2; do
	check "a disk that grew is gone on with, if accepted: $format" '
		cp --sparse=always one.raw one.old && manifest '$format' off &&
		rm -rf target "$PALLETJACK_STATE" &&
		palletjack run --until verify m.yaml &&
		grow_one && exits 3 palletjack run m.yaml &&
		digest=$(palletjack plan m.yaml | sed -n "s/^digest: //p") &&
		palletjack run --accept "$digest" m.yaml; rc=$?
		disks_are_right '$format' && mv one.old one.raw && exit $rc
	'
done
manifest raw off
check 'one that shrank is said to' '
	cp --sparse=always one.raw one.old; rm -rf target "$PALLETJACK_STATE"
	palletjack run --until verify m.yaml; truncate -s 19M one.raw
	digest=$(palletjack plan m.yaml | sed -n "s/^digest: //p")
	exits 6 palletjack run --accept "$digest" m.yaml 2>err; cat err
	grep -q "disk shrank" err && mv one.old one.raw
'
check 'a target directory that cannot be made is said before anything is copied' '
	rm -rf target "$PALLETJACK_STATE"; : >target
	exits 3 palletjack run m.yaml 2>err; cat err; rm target
'
check 'damage on the target is found, named, and stops the vm' '
	palletjack run --until cutover m.yaml
	dd if=/dev/urandom of=target/fast/web/disk-0.raw bs=1 seek=2097152 \
		count=7 conv=notrunc status=none
	exits 8 palletjack run m.yaml 2>err; cat err;
	grep -q "disk-0" err && test ! -e target/web/handover.json
'
check 'damage that verify found is mended by a copy made anew, if accepted' '
	exits 3 palletjack run --redo cutover m.yaml 2>said; cat said
	$(sed -n "s/^web: to accept: //p" said) && disks_are_right raw &&
	test "$(fact cutover/disk-0 .generation)" -eq 2
'
check 'another volume for a disk is another copy, and wants a licence' '
	rm -rf target "$PALLETJACK_STATE"
	palletjack run --until verify m.yaml
	sed -i "s/storageClass: bulk/storageClass: slow/" m.yaml
	exits 3 palletjack plan m.yaml >plan; cat plan
	grep -q "cutover/disk-1 *run (changed: source disk disk-1); wants --accept" plan &&
	grep -q "cutover/disk-0 *skip (done" plan &&
	exits 3 palletjack run m.yaml && test ! -e target/slow
'
check 'with it, only that disk is copied' '
	digest=$(palletjack plan m.yaml | sed -n "s/^digest: //p") &&
	palletjack run --accept "$digest" m.yaml &&
	cmp two.raw target/slow/web/disk-1.raw &&
	test "$(fact cutover/disk-0 .generation)" -eq 1
'
test_end
