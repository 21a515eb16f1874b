#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Guests that were broken on purpose are boot-tested: none passes, and the one
# they were made from does.
. "${0%/*}/../lib.sh"
. "${0%/*}/../local.sh"
test_begin 'no broken guest passes its boot test'
requires jq
requires debugfs -V
requires virt-v2v-in-place --version
requires qemu-system-x86_64 --version
PATH=$PATH:/usr/sbin:/sbin
guest=$("$TOP/t/testbed/guest.sh") || skip_all 'the guest cannot be built'

cat >look.lua <<'END'
local root, driver, data = expect("GUEST%-UP root=(%S+) rootdrv=(%S+) data=(%S+) net", 240)
if not root then
	inconclusive("there is no sign of the guest")
end
need(driver == "virtio_blk", "its root is on " .. driver)
need(data == "/dev/vdb1:ok", "its data disk is " .. data)
log("up, root on " .. root)
END
# look_at DISKS PLAN DEADLINE: local_manifest, booted to be looked at
look_at() {
	local_manifest "$1" "$2, targetPowerState: \"off\"" \
		"retry: {attempts: 1}, bootTest: once, bootProbe: {script: look}, deadlines: {bootTest: $3}"
	sed -i 's/^  map: \[\]/  map: [{source: {name: VM Network}, destination: {type: pod}}]/' m.yaml
	cat >>m.yaml <<END
---
apiVersion: palletjack.io/v1alpha1
kind: Script
metadata: {name: look, namespace: t}
spec: {file: look.lua}
END
}
# images DISKS: they are the source, with the guest's memory
images() {
	local_source="{type: disk, url: ., settings: {$(echo "$1" |
		sed 's/:[^, ]*//g; s/=\([^ ]*\)/: "\1",/g') cpus: \"1\", memory: 768Mi}}"
	look_at "$@"
}
# verdict VM: what its boot test came to, and how long that took
verdict() {
	jq -rs '[.[] | select(.step == "boot-test")] as $all
		| ($all | map(select(.type == "result")) | last) as $said
		| ($all | map(select(.type == "intent")) | last) as $begun
		| (($said.time | sub("\\.[0-9]*Z"; "Z") | fromdate)
			- ($begun.time | sub("\\.[0-9]*Z"; "Z") | fromdate)) as $took
		| ($said.facts.result // $said.error.text) + " [\($took) s]"' \
		"$PALLETJACK_STATE/t/p/$1/journal"
}
# say VM PATTERN: its verdict is that
say() {
	verdict "$1" >"$1.verdict"
	cat "$1.verdict"
	grep -q -e "$2" "$1.verdict"
}
tell() {
	for vm; do
		test ! -s "$vm.verdict" || sed "s/^/# $vm: /
			s/ (screen: '[^']*')//; s/; mend .* without proof//" \
			"$vm.verdict"
	done
}
# edit IMAGE COMMANDS: of debugfs, in its one partition
edit() {
	printf '%s\n' "$2" >commands
	debugfs -w -f commands "$1?offset=1048576" >edited 2>&1
	cat edited
	e2fsck -fn "$1?offset=1048576" >checked 2>&1 || { cat checked; exit 1; }
}
# broken NAME: another copy of the good guest
broken() {
	cp --sparse=always good.raw "$1.raw"
}

ln -s "$guest/system.raw" system.raw
ln -s "$guest/data.raw" data.raw
mkdir ova
ln -s "$guest/quickstart.ova" ova/
local_source='{type: ova, url: ova}'
look_at quickstart=quickstart-disk1.vmdk:fast,quickstart-disk2.vmdk:fast \
	'skipGuestConversion: false' 10m
check 'the guest is converted, and passes' '
	palletjack run m.yaml 2>err || { cat err; exit 1; }
	say quickstart "^passed"
'
tell quickstart
mv target/fast/quickstart/disk-0.raw good.raw || {
	test_end
	exit
}

check 'its file system table names disks that are not there' '
	broken fstab
	printf "%s\n" "/dev/sdq1 / ext4 errors=remount-ro 0 1" "/dev/sdq2 /srv/data ext4 nofail 0 2" >fstab.new
	edit fstab.raw "rm /etc/fstab
write fstab.new /etc/fstab"
'
check 'its initrd is cut in the middle' '
	broken initrd
	name=$(debugfs -R "ls -p /boot" "initrd.raw?offset=1048576" 2>ls.err | cut -d/ -f6 | grep "^initrd.img-[^ ]*amd64$")
	debugfs -R "dump /boot/$name initrd.file" "initrd.raw?offset=1048576"
	truncate -s $(($(stat -c %s initrd.file) / 2)) initrd.file
	edit initrd.raw "rm /boot/$name
write initrd.file /boot/$name"
'
check 'it has no boot sector, or one without a boot loader' '
	broken sector
	dd if=/dev/zero of=sector.raw bs=512 count=1 conv=notrunc status=none
	broken loader
	dd if=/dev/zero of=loader.raw bs=440 count=1 conv=notrunc status=none
'
cp system.raw driver.raw

check_exit 6 'booted as they are' '
	d=data.raw:fast
	images "whole=good.raw:fast,$d driver=driver.raw:fast,$d fstab=fstab.raw:fast,$d initrd=initrd.raw:fast,$d sector=sector.raw:fast,$d" \
		"skipGuestConversion: true, useCompatibilityMode: false" 6m
	palletjack run m.yaml --until boot-test 2>err || { s=$?; cat err; exit $s; }
'
check 'a guest without a driver for its disk fails' '
	say driver "boot test failed: Gave up waiting for root"
'
check 'one whose file system table is wrong fails: it is up, without its data' '
	say fstab "boot test failed: script .t/look. says: its data disk is none"
'
check 'one with half an initrd fails' '
	say initrd "boot test failed: .*\(Kernel panic\|Unable to mount root\)"
'
check 'one without a boot sector fails' '
	say sector "boot test failed: .*\(not a bootable disk\|No bootable device\)"
'
check 'the whole one passes as it is' 'say whole "^passed"'
check_exit 6 'one without a boot loader is inconclusive: it says nothing at all' '
	images "loader=loader.raw:fast,data.raw:fast" "skipGuestConversion: true, useCompatibilityMode: false" 40s
	palletjack run m.yaml --until boot-test 2>err || {
		s=$?
		cat err
		say loader "boot test inconclusive: .* did not come in time" || exit 1
		exit $s
	}
'
check 'of each there is what it said, and what it showed' '
	for vm in whole driver fstab initrd sector loader; do
		log=$PALLETJACK_STATE/t/p/$vm/log
		test -e $log/boot-test.1.console.log
		head -c 8 $log/boot-test.1.png | grep -a PNG
	done
'
tell whole driver fstab initrd sector loader
check 'nothing of the tests is left, and no replica was written' '
	find target -name "bt.*" | refute grep .
	for vm in whole driver fstab initrd sector loader; do
		cmp $vm.raw target/fast/$vm/disk-0.raw || test $vm = whole
		cmp data.raw target/fast/$vm/disk-1.raw
	done
	cmp good.raw target/fast/whole/disk-0.raw
'
test_end
