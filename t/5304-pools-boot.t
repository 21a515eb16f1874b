#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A running domain goes to a target of libvirt with all there is: its
# generations are booted, the converted disk is, too, and committed; then the
# target boots from what libvirt shows of it.  The conversion is pretended.
. "${0%/*}/lib.sh"
. "${0%/*}/local.sh"
. "${0%/*}/virt.sh"
. "${0%/*}/bootsector.sh"
test_begin 'at libvirt, too, generations are booted, converted and committed'
virt_needs
requires nbdkit --version
export LIBVIRT_AUTOSTART=0

qemu-img create -q -f qcow2 a.qcow2 16M
bootsector GUEST-UP >up.bin
qemu-io -f qcow2 -c 'write -q -P 2 4M 3M' -c "write -q -s $PWD/up.bin 0 512" a.qcow2
manifest '{name: src, targetName: moved}' 'precopy: {interval: 1ms},
  cutover: {hardPowerOff: fallback}, deadlines: {shutdown: 1s, bootTest: 1m},
  bootTest: every-generation, bootProbe: {serial: GUEST-UP}'
to_libvirt
sed -i 's/^  targetNamespace: .*/&\n  type: warm/
	s/^  skipGuestConversion: true/  skipGuestConversion: false/
	s/targetPowerState: .*/targetPowerState: auto/' m.yaml
palletjack plan m.yaml 2>&1 | grep -q 'has no libvirt' &&
	skip_all 'this build has no libvirt'
virt_start
pool fast || skip_all 'libvirtd has no pools here'
define src "$(disk vda qcow2 a.qcow2)" || {
	cat libvirtd.log
	skip_all 'libvirtd has no qemu here'
}
virt start src
at_end 'virt destroy src'
at_end 'virt destroy moved'
pretend_conversion 'write -P 0x77 8M 64k'
copy=fast/.palletjack/moved/disk-vda.raw

check 'a generation is rehearsed, converted and booted, and left as it was copied' '
	exits 7 palletjack run m.yaml --cutover never
	test "$(fact src precopy-boot-test result)" = passed
	palletjack verify m.yaml --vm src
	qemu-img compare -U -f raw -F qcow2 "$copy" a.qcow2
	find fast/.palletjack -name "*.qcow2" | refute grep .
'
check 'behind the cutover the converted disk is booted, committed and shown' '
	palletjack run m.yaml --cutover now 2>err || { s=$?; cat err; exit $s; }
	test "$(fact src boot-test result)" = passed
	qemu-img convert -O raw a.qcow2 a.raw
	converted a.raw a.converted
	cmp a.converted fast/moved-disk-vda.raw
	test "$copy" -ef fast/moved-disk-vda.raw
'
check 'the target runs, from that disk, and nothing of the work is left' '
	test "$(virt domstate src)" = "shut off"
	test "$(virt domstate moved)" = running
	virt domblklist moved | grep "$PWD/fast/moved-disk-vda.raw"
	find fast/.palletjack -name "*.qcow2" | refute grep .
'
check 'its guest is up: it answers on the console libvirt has for it' '
	pty=$(virt ttyconsole moved)
	stty raw -echo <"$pty"
	cat "$pty" >said &
	at_end "end_process $!"
	within 30 sh -c "printf hello >$pty && sleep 0.2 && grep -q hello said"
'
test_end
