#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Blocks that the target cannot read any more: they differ, and whoever repairs
# or rewrites them needs them no more.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
. "${0%/*}/local.sh"
test_begin 'a block that cannot be read is one that differs'
requires jq
requires qemu-img --version
requires nbdkit --version
requires_fault

size=6291456
head -c $size /dev/urandom >src
truncate -s $size disk
# block 2 cannot be read while there is `bad`, which a write to it ends
nbdkit -f -t 1 -U "$PWD/bad.sock" eval get_size="echo $size" can_write="exit 0" \
	can_flush="exit 0" flush="exit 0" \
	pread="test \$4 -ge 3145728 || test \$((\$4 + \$3)) -le 2097152 ||
		test ! -e $PWD/bad || { echo EIO >&2; exit 1; }
		dd if=$PWD/disk skip=\$4 count=\$3 iflag=count_bytes,skip_bytes status=none" \
	pwrite="test \$4 -ge 3145728 || test \$((\$4 + \$3)) -le 2097152 ||
		rm -f $PWD/bad
		dd of=$PWD/disk seek=\$4 conv=notrunc oflag=seek_bytes status=none" \
	2>server.log &
at_end "end_process $!"
within 20 test -S bad.sock
uri="nbd+unix:///?socket=$PWD/bad.sock"

check 'a copy, of which a block cannot be read any more' '
	palletjack copy --quiet --ledger l src "$uri"
	cmp src disk
	: >bad
'
check_exit 8 'is not gone on with, and the block is named' '
	palletjack copy --quiet --ledger l src "$uri" 2>err; rc=$?
	cat err
	grep -q "block 2 at byte 2097152" err && exit $rc
'
check 'it is copied again when all of it is looked at' '
	timeout 60 palletjack copy --quiet --recheck --ledger l src "$uri"
	test ! -e bad
	cmp src disk
'
check 'nor is it needed by what changes a part of it' '
	cp disk before
	printf changed | dd of=src bs=1 seek=2100000 conv=notrunc status=none
	echo "[{\"offset\": 2099200, \"length\": 2048}]" >changes
	: >bad
	# what is passed over is looked at first, and that block is not
	timeout 60 palletjack copy --quiet -o json --changed changes \
		--ledger l src "$uri" >out
	cat out
	test ! -e bad
	cmp src disk
	test "$(jq .mended out)" -eq 1048576
'

truncate -s 9M one.raw
head -c 4000000 /dev/urandom |
	dd of=one.raw bs=1M conv=notrunc status=none
local_manifest web=one.raw:fast "$local_raw" "retry: {attempts: 1}" raw
disk=target/fast/web/disk-0.raw
check 'within a run a read that fails once ends nothing' '
	local_manifest web=one.raw:fast "$local_raw" \
		"retry: {attempts: 3, first: 1ms, max: 1ms}" raw
	with_fault FAULT_OPS=read FAULT_FILE=disk-0.raw FAULT_AT=2 FAULT_WHEN=EIO \
		palletjack run --until verify m.yaml >out 2>err
	cat out err; grep -q "unreadable" err
	rm -rf target "$PALLETJACK_STATE"
	local_manifest web=one.raw:fast "$local_raw" "retry: {attempts: 1}" raw
'
check_exit 8 'verify names it, and goes on' '
	palletjack run --until verify m.yaml
	printf x | dd of=$disk bs=1 seek=3500000 conv=notrunc status=none
	with_fault FAULT_OPS=read FAULT_FILE=disk-0.raw FAULT_AT=2 FAULT_WHEN=EIO \
		palletjack verify m.yaml >text; rc=$?
	cat text
	grep -q "9 of 9 blocks compared, 2 differ, 1 of them unreadable" text &&
	grep -q "block 3: " text && exit $rc
'
check 'and it is repaired' '
	with_fault FAULT_OPS=read FAULT_FILE=disk-0.raw FAULT_AT=2 FAULT_WHEN=EIO \
		palletjack verify --repair -o json m.yaml >out
	jq -c . out
	test "$(jq -r ".vms[0].disks[0].result" out)" = repaired
	test "$(jq -r ".vms[0].disks[0].unreadable" out)" -eq 1
	cmp one.raw $disk
'
test_end
