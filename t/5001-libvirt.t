#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Domains of a real libvirtd, moved cold: what keeps one back, how it is
# stopped and kept from starting, and how it is given back.
. "${0%/*}/lib.sh"
. "${0%/*}/local.sh"
. "${0%/*}/fake.sh"
. "${0%/*}/virt.sh"
test_begin 'domains of libvirt are moved, and given back as they were'
virt_needs
requires_fault

disks_are_right() {
	qemu-img compare -f raw -F qcow2 target/fast/web/disk-vda.raw top.qcow2 &&
		cmp target/fast/web/disk-vdb.raw data.raw
}

head -c 3000000 /dev/urandom >data.raw
truncate -s 8M data.raw
head -c 2000000 /dev/urandom >base.raw
truncate -s 8M base.raw
qemu-img create -q -f qcow2 -F raw -b base.raw middle.qcow2
qemu-img create -q -f qcow2 -F qcow2 -b middle.qcow2 top.qcow2
qemu-io -f qcow2 -c 'write -q -P 7 1M 2M' middle.qcow2
qemu-io -f qcow2 -c 'write -q -P 8 2M 3M' top.qcow2
qemu-img create -q -f qcow2 other.qcow2 4M
qemu-img create -q -f qcow2 -F raw -b base.raw vague.qcow2
# the extension that says of what format that is
printf '\0\0\0\0' | dd of=vague.qcow2 bs=1 seek=112 conv=notrunc status=none
printf 'QFI\373' >forged.raw
truncate -s 4M forged.raw

manifest '{name: web}' 'cutover: {hardPowerOff: never}'
palletjack plan m.yaml 2>&1 | grep -q 'has no libvirt' &&
	skip_all 'this build has no libvirt'
check_exit 5 'without a daemon it may work later' '
	palletjack run m.yaml 2>err || { s=$?; cat err; exit $s; }
'
check 'and it says what is missing' '
	grep "is its libvirtd running" err
'
check 'and where, once' '
	grep "asking the source, Endpoint t/source: " err
	refute grep "Endpoint t/source.*Endpoint t/source" err
'

virt_start
define web "$(disk vda qcow2 top.qcow2)$(disk vdb raw data.raw)" || {
	cat libvirtd.log
	skip_all 'libvirtd has no qemu here'
}
virt start web
at_end 'virt destroy web'
virt autostart web

# What keeps a domain back.
define shared "$(disk vda raw forged.raw '<shareable/>')"
define vague "$(disk vda qcow2 vague.qcow2)"
define gone "$(disk vda raw nowhere.raw)"
define far "<disk type='network' device='disk'><driver type='raw'/>
	<source protocol='nbd' name='x'><host name='example.org'/></source>
	<target dev='vda' bus='virtio'/></disk>"
domain brief "$(disk vda raw forged.raw)" >brief.xml
define asleep "$(disk vda qcow2 other.qcow2)"
virt start asleep && virt managedsave asleep
at_end 'virt undefine --managed-save asleep'
virt create brief.xml
at_end 'virt destroy brief'

manifest '{name: web}, {name: shared}, {name: gone}, {name: vague}, {name: far}, {name: brief}, {name: asleep}' ''
check_exit 3 'what cannot be moved is kept back' '
	palletjack validate --online m.yaml >out 2>&1 || { s=$?; cat out; exit $s; }
'

check 'with the reason' '
	cat out
	grep "SharedDisk.*disk .vda. is shared with other domains" out
	grep "DiskNotReadable: .*vm .gone.* cannot open .*nowhere.raw" out
	grep "DiskNotReadable: .*vm .vague.*without a word on its format" out
	grep "DiskNotReadable: .*vm .far.* read from the network" out
	grep "TransientDomain: .*vm .brief.* could not be given back" out
	grep "SavedState: .*vm .asleep.* saved state" out
	refute grep "Critical.*vm .web" out
'

manifest '{name: web}' 'deadlines: {shutdown: 1s}, cutover: {hardPowerOff: never}'
check_exit 6 'a guest that does not shut down is left alone' '
	palletjack run m.yaml 2>err || { s=$?; cat err; exit $s; }
'
check 'it says how to go on; it runs, and starts by itself as before' '
	grep "did not shut down within deadlines.shutdown; shut it down" err
	test "$(info web State)" = running
	test "$(info web Autostart)" = enable
'

manifest '{name: web}' 'deadlines: {shutdown: 1s},
  cutover: {hardPowerOff: fallback, fence: rename}'
virt list --all --name | sort >names
check 'else it is switched off, not started by itself, and fenced' '
	palletjack run m.yaml --until cutover
	test "$(info web.moved-by-palletjack State)" = "shut off"
	test "$(info web.moved-by-palletjack Autostart)" = disable
	disks_are_right
'
check 'what it was like is in the journal before it is changed' '
	jq -s -e "map(select(.key == \"sourceWas\").value) |
		last.autostart and last.name == \"web\"" \
		"$PALLETJACK_STATE/t/p/web/journal"
	test "$(fact web cutover power)" = on
'
check 'the plan still knows it by its name' '
	palletjack plan m.yaml | grep "cutover/disk-vda *skip"
'
virt start web.moved-by-palletjack
check 'one that was started meanwhile is stopped and copied again' '
	palletjack plan m.yaml >plan; cat plan
	grep "cutover *run (changed: source epoch)" plan
	virt destroy web.moved-by-palletjack
	qemu-io -f qcow2 -c "write -q -P 9 5M 64k" top.qcow2
	palletjack plan m.yaml | grep "cutover *run (changed: source epoch)"
	palletjack run m.yaml
	disks_are_right
	test "$(fact web cutover power)" = on
'
check 'rollback gives it back: it has its name, runs, and starts by itself' '
	exits 9 palletjack rollback m.yaml --discard-target-writes
	test "$(info web State)" = running
	test "$(info web Autostart)" = enable
	virt list --all --name | sort | diff names -
'

sed "s,qemu:///system,qemu:///session,; s,/var/lib/vms,$PWD/vms,
	s,{name: default}\$,{name: MAP}," "$TOP/examples/libvirt/libvirt.yaml" |
	sed "0,/MAP/s/MAP/user/; s,MAP,$PWD," >e.yaml
check 'the example has nothing but to be run' '
	palletjack plan e.yaml >plan; cat plan
	grep "^web: ready" plan && grep "cutover/disk-vda *run" plan
'

# One that is off, whose links are cut.
define other "$(disk vda qcow2 other.qcow2)"
sed 's/name: web/name: other/' m.yaml >n.yaml
sed -i 's/fence: rename/fence: disconnect-nics/; s/name: p,/name: q,/' n.yaml
check 'a fence that cannot be put up is no surprise behind the stop' '
	virt snapshot-create-as other one
	sed "s/fence: disconnect-nics/fence: rename/" n.yaml >r.yaml
	exits 6 palletjack run r.yaml 2>err; cat err
	grep "domain .other. has snapshots (1), with which not every libvirt renames" err
	virt snapshot-delete other one
'
link_of() {
	virt dumpxml --inactive other | grep -c "<link state='down'/>"
}
check 'a vm that was off stays so; its links are cut' '
	palletjack run n.yaml
	test "$(virt domstate other)" = "shut off"
	test "$(link_of)" = 1
	qemu-img compare -f raw -F qcow2 target/fast/other/disk-vda.raw other.qcow2
'
check 'and put back' '
	exits 9 palletjack rollback n.yaml --discard-target-writes
	test "$(virt domstate other)" = "shut off"
	test "$(link_of)" = 0
'

# One that runs and writes nothing: its disk is as it was copied, whenever it is
# off.
head -c 4194304 /dev/urandom >still.raw
define still "$(disk vda raw still.raw)"
virt start still
at_end 'virt destroy still'
manifest '{name: still}' 'verify: none, cutover: {hardPowerOff: always}'
still=target/fast/still/disk-vda.raw
check 'a repair of what was given back is cut short: a run copies the rest' '
	palletjack run m.yaml --until cutover
	printf xyz | dd of=$still bs=1 seek=1500000 conv=notrunc,fsync status=none
	exits 8 palletjack verify m.yaml
	exits 8 palletjack run m.yaml
	test "$(virt domstate still)" = running
	virt destroy still
	exits 5 with_fault FAULT_FILE=disk-vda.raw FAULT_OPS=write FAULT_AT=1 \
		FAULT_WHEN=torn palletjack verify --repair m.yaml
	palletjack plan m.yaml >plan; cat plan
	grep "cutover/disk-vda *resume .*does not hold any more" plan
	exits 8 palletjack run m.yaml
	palletjack verify m.yaml
	palletjack run m.yaml
	cmp still.raw $still
'
test_end
