#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A domain that virt-v2v cannot convert, as there is no guest on its disk: cut
# over, it is given back, and what was copied is not burnt.
. "${0%/*}/../lib.sh"
. "${0%/*}/../local.sh"
. "${0%/*}/../virt.sh"
test_begin 'a conversion that fails behind the cutover burns nothing'
virt_needs
requires virt-v2v-in-place --version

state=$PALLETJACK_STATE/t/p/web
# warm POLICY
warm() {
	manifest "{name: web}" "precopy: {interval: 1ms}, cutover: {hardPowerOff: fallback}, deadlines: {shutdown: 1s}, $1"
	sed -i "s/^  targetNamespace: .*/&\n  type: warm/
		s/^  skipGuestConversion: true/  skipGuestConversion: false/" m.yaml
}
guest() {
	device=$(virt qemu-monitor-command web '{"execute": "query-block"}' |
		jq -r '.return[] | select(.inserted.file | endswith("/a.qcow2")?).qdev')
	virt qemu-monitor-command web --hmp "qemu-io -d $device \"$1\"" >io
	cat io
	refute grep -qi "error\|conflict" io
}
# The disk is, read back, what the ledger says, and the root is that of the step.
unchanged() { # STEP
	palletjack verify m.yaml --vm web -o json >verified
	jq -r ".vms[0].disks[0] | .root, .result" verified | tee got
	printf "%s\nsame\n" "$(fact web "$1" root)" | cmp_ok - got
}
took() { # STEP
	jq -rs --arg s "$1" '[.[] | select(.step == $s)]
		| ((last.time | sub("\\.[0-9]*Z"; "Z") | fromdate)
		- ((map(select(.type == "intent")) | last).time | sub("\\.[0-9]*Z"; "Z") | fromdate))' \
		"$state/journal"
}

qemu-img create -q -f qcow2 a.qcow2 64M
qemu-io -f qcow2 -c 'write -q -P 2 40M 3M' a.qcow2
virt_start
define web "$(disk vda qcow2 a.qcow2)" || {
	cat libvirtd.log
	skip_all 'libvirtd has no qemu here'
}
virt start web
at_end 'virt destroy web'

warm "bootTest: off"
check 'virt-v2v finds no guest: exit 6, and the source runs again' '
	exits 6 palletjack run m.yaml --cutover now 2>err; cat err
	grep "virt-v2v: .*root device" err
	grep "the source runs again" err
	test "$(virt domstate web)" = running
'
echo "# the conversion failed after $(took convert) s"
check 'its overlays are gone, the replica is what it was, and a checkpoint is kept' '
	find target -name "*.qcow2" | refute grep .
	unchanged cutover/disk-vda
	test "$(virt checkpoint-list web --name | grep -c palletjack)" = 1
'
check 'the next generation is a delta' '
	guest "write -P 7 30M 64k"
	exits 7 palletjack run m.yaml --cutover never
	test "$(fact web precopy/disk-vda pass)" = changed
	test "$(fact web precopy/disk-vda read)" -le $((1 << 20))
'
warm "bootTest: every-generation, bootProbe: {serial: up}"
check 'rehearsed, it is not even stopped' '
	exits 6 palletjack run m.yaml --cutover now 2>err; cat err
	grep "no cutover before a boot test passes: that of generation .* failed: it cannot be converted: .*root device" err
	test "$(virt domstate web)" = running
	unchanged precopy/disk-vda
	test "$(fact web precopy/disk-vda pass)" = changed
	find target -name "*.qcow2" | refute grep .
'
echo "# the rehearsal's conversion failed after $(took precopy-convert) s"
check 'without a conversion it is moved' '
	warm "bootTest: off"
	sed -i "s/^  skipGuestConversion: false/  skipGuestConversion: true/" m.yaml
	palletjack run m.yaml --cutover now 2>err || { cat err; exit 1; }
	test "$(virt domstate web)" = "shut off"
	qemu-img compare -f raw -F qcow2 target/fast/web/disk-vda.raw a.qcow2
'
check 'and nothing of ours is left at the source' '
	virt checkpoint-list web --name >left; cat left
	refute grep palletjack left
'
test_end
