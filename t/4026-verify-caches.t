#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What is read back comes from the disk, whatever the page cache has.
. "${0%/*}/lib.sh"
. "${0%/*}/local.sh"
test_begin 'a replica is read back past the page cache, and without where there is no disk'
requires jq
requires qemu-nbd --version
requires mkfs.ext4 -V
test "$(id -u)" -eq 0 || skip_all 'only root can mount a file system'

head -c 8388608 /dev/urandom >one.raw
printf 'in the midst of block 5' |
	dd of=one.raw bs=4096 seek=1300 conv=notrunc status=none
fs=$PWD/fs
mkdir fs

# begin FORMAT: on what is mounted, copied and read back.
begin() {
	rm -rf "${PALLETJACK_STATE:?}" fs/target
	local_target=$fs/target
	local_manifest web=one.raw:fast "$local_raw" 'retry: {attempts: 1}' "$1"
	palletjack run --until verify m.yaml && palletjack verify m.yaml
}
# Which block the last verify named, and no other.
named() {
	jq -r '.vms[0].disks[0] | select(.mismatched == 1).differing[0].block' out
}
# The medium goes bad under the file system: a byte of the marked page is
# another, and the page cache, which has it all, knows nothing of it.
damage() {
	sync -f fs
	cat "$disk" >cached
	LC_ALL=C grep -obaF 'in the midst of block 5' fs.img >places
	at=$(sed 's/:.*//' places)
	test "$(wc -l <places)" -eq 1
	printf X | dd of=fs.img bs=1 seek="$at" conv=notrunc status=none
	cmp cached "$disk"
}

for format in raw qcow2; do
	disk=fs/target/fast/web/disk-0.$format
	rm -f fs.img && truncate -s 64M fs.img && mkfs.ext4 -q -b 4096 fs.img
	mount -o loop fs.img fs 2>/dev/null || skip_all 'nothing can be mounted here'
	at_end "umount $fs"
	check "$format: a replica on a disk" 'begin $format'
	check "$format: the disk has one byte that the page cache has otherwise" damage
	check_exit 8 "$format: the verify command finds it" '
		palletjack verify -o json m.yaml >out; rc=$?; cat out
		test "$(named)" = 5 && exit $rc
	'
	check_exit 8 "$format: so does a run" '
		cat "$disk" >cached
		palletjack run --redo verify --until verify m.yaml 2>err; rc=$?; cat err
		grep -q "the first is block 5" err && exit $rc
	'
	check "$format: and what is repaired is good on the disk" '
		palletjack verify --repair m.yaml
		umount fs
		mount -o loop fs.img fs
		palletjack verify m.yaml
	'
	umount fs
done
for format in raw qcow2; do
	disk=fs/target/fast/web/disk-0.$format
	check "$format: a replica in memory, where O_DIRECT is refused" '
		begin $format
		mv fs/target kept
		mount -t ramfs none fs
		mv kept fs/target
		refute dd if="$disk" of=/dev/null iflag=direct bs=4096 count=1
		palletjack verify m.yaml
	'
	check_exit 8 "$format: is compared all the same" '
		at=$(LC_ALL=C grep -obaF "in the midst" "$disk" | sed "s/:.*//")
		printf X | dd of="$disk" bs=1 seek="$at" conv=notrunc status=none
		palletjack verify -o json m.yaml >out; rc=$?; cat out
		test "$(named)" = 5 && exit $rc
	'
	umount fs
done
test_end
