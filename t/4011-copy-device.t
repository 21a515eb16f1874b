#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Block devices as source and target: loop devices, full of what others left.
. "${0%/*}/lib.sh"
test_begin 'a block device is written only by leave, and then all of it'
requires jq
requires wipefs --version
test "$(id -u)" -eq 0 || skip_all 'only root can make loop devices'

truncate -s 1M probe
probe=$(losetup -f --show probe 2>/dev/null) ||
	skip_all 'there are no loop devices here'
losetup -d "$probe"

head -c 3000000 /dev/urandom >src
dd if=/dev/urandom of=src bs=1M seek=20 count=1 conv=notrunc status=none
truncate -s 33554432 src

# attach FILE [OPTION...]: sets $dev.
attach() {
	dev=$(losetup -f --show "$@")
	at_end "losetup -d $dev"
}
got() {
	jq -r ".$1" out
}
same() {
	cmp -n 33554432 src "$1"
}

head -c 34603008 /dev/urandom >junk
attach junk
check 'a device full of random bytes, larger than the source' '
	palletjack copy -o json src '"$dev"' >out && cat out && same '"$dev"' &&
	test "$(got zeroed)" -gt 25000000 && test "$(got skipped)" -eq 0
'
check 'what lies beyond the source is left alone' '
	tail -c 1048576 junk | tr -d "\000" | wc -c >left && cat left &&
	test "$(cat left)" -gt 1000000
'
check 'NBD to it, with a ledger, twice' '
	head -c 34603008 /dev/urandom | dd of='"$dev"' bs=1M status=none
	nbdkit -U - file src --run "palletjack copy --ledger l1 \"\$uri\" '"$dev"'" &&
	same '"$dev"'
'
head -c 34603008 /dev/urandom >junk2
attach junk2
check 'a ledger belongs to one device, by whatever name it comes back' '
	palletjack copy --ledger l2 src '"$dev"' >/dev/null; losetup -d '"$dev"'
	again=$(losetup -f --show junk2)
	palletjack copy -o json --ledger l2 src "$again" >out; cat out
	test "$(got read)" -eq 0 && test "$(got skipped)" -eq 33554432; rc=$?
	losetup -d "$again"; exit $rc
'
head -c 34603008 /dev/urandom >junk3
attach junk3
check 'and does not go with another one' '
	exits 6 palletjack copy --ledger l2 src '"$dev"' 2>err; cat err
	grep -q "belongs to another target" err
'

if command -v mkfs.ext4 >/dev/null; then
	truncate -s 40M fs
	mkfs.ext4 -q -L precious fs
	attach fs
	check 'a file system on it is not overwritten' '
		exits 3 palletjack copy src '"$dev"' 2>err; cat err
		grep -q "holds ext4 .precious., which would be lost" err
	'
	check_exit 3 'nor is it by a licence for something else' '
		palletjack copy --accept 0123456789abcdef src '"$dev"'
	'
	check 'and it is as it was' 'fsck.ext4 -fn fs'
	check 'with a licence it is' '
		accept=$(sed -n "s/.*--accept //p" err) &&
		palletjack copy --ledger l3 --accept "$accept" src '"$dev"' &&
		same '"$dev"'
	'
	check 'a copy that has begun needs none again' '
		palletjack copy --ledger l3 src '"$dev"'
	'
	check 'unless somebody has used the device since' '
		mkfs.ext4 -q -F '"$dev"' 2>/dev/null
		exits 3 palletjack copy --ledger l3 src '"$dev"' 2>err; cat err
		grep -q "holds ext4, which is not what was copied to it" err
		accept=$(sed -n "s/.*--accept \([0-9a-f]*\).*/\1/p" err)
		exits 3 palletjack copy --ledger l3 --accept $accept src '"$dev"'
		fsck.ext4 -fn '"$dev"'
	'
	check 'then a licence and a look at all of it are needed' '
		exits 3 palletjack copy --ledger l3 --recheck src '"$dev"' 2>err
		accept=$(sed -n "s/.*--accept \([0-9a-f]*\) --recheck.*/\1/p" err)
		palletjack copy --ledger l3 --accept $accept --recheck src '"$dev"'
		same '"$dev"'
	'
	# cut_short N COPY-ARGUMENT...: killed before its Nth sync of the device
	cut_short() {
		cut_at=$1
		shift
		exits 137 env LD_PRELOAD="${PALLETJACK%/*}/t/fault.so" \
			ASAN_OPTIONS=verify_asan_link_order=0 FAULT_OPS=fsync \
			FAULT_PROGRAM=palletjack FAULT_FILE="${dev##*/}" \
			FAULT_WHEN=before FAULT_AT="$cut_at" palletjack copy "$@"
	}
	truncate -s 20M fs2 && mkfs.ext4 -q -L source fs2 &&
		cp --sparse=never fs2 fs3
	check 'what a copy that was cut short brought is its own' '
		wipefs -q -a '"$dev"'
		cut_short 1 --ledger l5 fs3 '"$dev"'
		wipefs '"$dev"' | grep ext4
		palletjack copy --ledger l5 fs3 '"$dev"'; cmp -n 20971520 fs3 '"$dev"'
	'
	check 'nor is what a pass was about to bring up to date' '
		cp fs3 fs4; printf second | dd of=fs4 bs=1 seek=1144 conv=notrunc status=none
		exits 137 env LD_PRELOAD="${PALLETJACK%/*}/t/fault.so" \
			ASAN_OPTIONS=verify_asan_link_order=0 FAULT_OPS=write \
			FAULT_PROGRAM=palletjack FAULT_FILE='"${dev##*/}"' \
			FAULT_WHEN=before palletjack copy --ledger l5 --compare fs4 '"$dev"'
		cmp -n 20971520 fs3 '"$dev"'
		palletjack copy --ledger l5 --compare fs4 '"$dev"'
		cmp -n 20971520 fs4 '"$dev"'
	'
	for proof in sha256 none; do
		check "what somebody made there meanwhile is not: $proof" '
			wipefs -q -a '"$dev"'
			cut_short 1 --ledger l6.'$proof' --proof '$proof' src '"$dev"'
			mkfs.ext4 -q -F -L new '"$dev"' 2>/dev/null
			exits 3 palletjack copy --ledger l6.'$proof' --proof '$proof' \
				src '"$dev"' 2>err
			cat err; grep -q "holds ext4 .new., which is not what" err
			fsck.ext4 -fn '"$dev"'
		'
	done
	check 'what was there before is not met again after a licence' '
		accept=$(palletjack copy src '"$dev"' 2>&1 | sed -n "s/.*--accept //p")
		cut_short 2 --ledger l7 --accept $accept src '"$dev"'
		palletjack copy --ledger l7 --accept $accept src '"$dev"'
		same '"$dev"'
	'
	mkfs.ext4 -q -F "$dev" 2>/dev/null
	mkdir mnt
	if mount "$dev" mnt 2>/dev/null; then
		at_end "umount $PWD/mnt"
		check 'a device that is mounted is refused, whatever is said' '
			exits 6 palletjack copy --accept 0123456789abcdef src '"$dev"' 2>err
			cat err
			grep -q "is in use" err
		'
	else
		skip 'nothing can be mounted here' 'a device that is mounted'
	fi
else
	skip 'mkfs.ext4 is not installed' 'a file system on the device'
fi

truncate -s 8M small
attach small
check 'a device that is too small' '
	exits 6 palletjack copy src '"$dev"' 2>err; cat err
	grep -q "only 8388608 bytes, the source has 33554432" err
'
head -c 33558528 /dev/urandom >big
attach big -b 4096
check 'sectors of 4 KiB, a disk that ends within one' '
	head -c 33553000 src >odd &&
	palletjack copy odd '"$dev"' && cmp -n 33553000 odd '"$dev"'
'
attach src -r
check 'a device as source' '
	palletjack copy --ledger l4 '"$dev"' from.raw && same from.raw
'
check 'to a server, too' '
	truncate -s 33554432 served.raw
	nbdkit -U - file "$PWD/served.raw" --run "palletjack copy '"$dev"' \"\$uri\"" &&
	same served.raw
'
check 'a device onto itself' '
	exits 2 palletjack copy '"$dev $dev"' 2>err; cat err
	grep -q "are the same device" err
'
test_end
