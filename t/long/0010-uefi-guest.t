#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A guest with UEFI, GPT and LVM over two raw disks is moved from libvirt while
# it runs and writes, and once more with its source off: it is converted, boots,
# and has every file it wrote.
live_guest=uefi-guest.sh
live_disks='system more'
. "${0%/*}/../lib.sh"
. "${0%/*}/../live.sh"
test_begin 'a guest with UEFI and LVM over two raw disks is moved, warm and cold'
live_needs
requires virt-v2v-in-place --version
test -e /usr/share/OVMF/OVMF_CODE_4M.fd || skip_all 'there is no OVMF'

begun=$(date +%s)
took() {
	echo "# $1 after $(($(date +%s) - begun)) s"
}
# moves HOME DISKS OPTION...: the run that stops the source
moves() {
	home=$1 disks=$2
	shift 2
	check 'it is stopped, and what was copied then is what it has' '
		palletjack run m.yaml '"$*"' >said 2>&1 & run=$!
		echo $run >pid
		within 400 grep -q "\"intent\",\"step\":\"convert\"" \
			"$PALLETJACK_STATE/t/p/web/journal"
		test "$(virt domstate web)" = "shut off"
		cmp '"$disks"'/disk-sda.raw system.raw
		cmp '"$disks"'/disk-sdb.raw more.raw
		refute grep "\"intent\",\"step\":\"commit\"" \
			"$PALLETJACK_STATE/t/p/web/journal"
		wait $run || { cat said; exit 1; }
	'
	took 'converted'
	check 'it boots at the target by UEFI, both disks on virtio' '
		up_at '"$home"'/console.log >up; cat up
		grep "root=/dev/mapper/guest-root rootdrv=virtio_blk,virtio_blk" up
		grep "data=/dev/mapper/guest-data:ok net=\[eth0=virtio_net=" up
	'
	check 'all files it wrote are there, each as it was written' '
		arrived '"$home"'/console.log
	'
	took 'up at the target'
	sed -n 's/.*down for/# down for/p' said
}
starts() {
	check 'the guest runs by UEFI on two disks of virtio-scsi, and writes' '
		: >web.log
		virt start web
		up_at web.log >up; cat up
		grep "root=/dev/mapper/guest-root rootdrv=virtio_scsi,virtio_scsi" up
		grep "data=/dev/mapper/guest-data:ok" up
		order churn "TICK 10"
	'
	test "$test_failures" -eq 0 || test_end
	took 'up'
}

cp --sparse=always /dev/fd/7 system.raw && cp --sparse=always /dev/fd/8 more.raw
virt_start
live_define web "$(live_disk sda raw system.raw)$(live_disk sdb raw more.raw)" \
	virtio-scsi "<type arch='x86_64' machine='q35'>hvm</type>
<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>
<nvram template='/usr/share/OVMF/OVMF_VARS_4M.fd'>$PWD/web.fd</nvram>" || {
	cat libvirtd.log
	skip_all 'libvirtd has no qemu here'
}
at_end 'virt destroy web'
at_end 'end_process "$(cat '"$PWD"'/warm/web/qemu.pid)"'
at_end 'end_process "$(cat '"$PWD"'/cold/web/qemu.pid)"'

local_target=warm
live_manifest 'precopy: {interval: 1ms}, cutover: {hardPowerOff: never}'
starts
check 'it is copied while it runs, and compared, as there are no bitmaps' '
	exits 7 palletjack run m.yaml
	for n in 2 3; do
		order marker TICK
		exits 7 palletjack run m.yaml
		for disk in sda sdb; do
			test "$(fact web precopy/disk-$disk pass)" = compare
		done
		echo "generation $n: $(fact web precopy/disk-sda written) and" \
			"$(fact web precopy/disk-sdb written) bytes written" |
			tee -a figures
		test "$(fact web precopy/disk-sda written)" -lt $((200 << 20))
	done
'
took 'three generations'
sed 's/^/# /' figures
moves warm/web warm/fast/web --cutover now
end_process "$(cat warm/web/qemu.pid)"

# The source again, in another plan's hands.
export PALLETJACK_STATE="$PWD/state"
local_target=cold
begun=$(date +%s)
live_manifest 'cutover: {hardPowerOff: never}' 'type: cold'
starts
moves cold/web cold/fast/web
test_end
