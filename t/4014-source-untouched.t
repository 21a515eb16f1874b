#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The source is never damaged: its files are what they were, to the bit and to
# the time of their last change, whatever is done with them.
. "${0%/*}/lib.sh"
. "${0%/*}/local.sh"
test_begin 'a source is only read'
requires jq
requires qemu-img --version
requires qemu-nbd --version

mkdir source ova
head -c 3000000 /dev/urandom >source/one.raw
truncate -s 20M source/one.raw
# one that was not closed well is mended by whoever opens it for writing
qemu-img convert -f raw -O qcow2 -o lazy_refcounts=on,compat=1.1 source/one.raw source/two.qcow2
printf '\001' | dd of=source/two.qcow2 bs=1 seek=79 conv=notrunc status=none
qemu-img convert -f raw -O vmdk -o subformat=streamOptimized source/one.raw ova/d.vmdk
cat >ova/box.ovf <<EOF
<?xml version="1.0"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData">
<References><File ovf:id="f" ovf:href="d.vmdk"/></References>
<DiskSection><Info/><Disk ovf:diskId="d" ovf:fileRef="f" ovf:capacity="20" ovf:capacityAllocationUnits="byte * 2^20"/></DiskSection>
<NetworkSection><Info/></NetworkSection>
<VirtualSystem ovf:id="box"><Info/><Name>box</Name><VirtualHardwareSection><Info/>
<Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>1</rasd:VirtualQuantity></Item>
<Item><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:VirtualQuantity>256</rasd:VirtualQuantity></Item>
<Item><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceType>6</rasd:ResourceType></Item>
<Item><rasd:InstanceID>4</rasd:InstanceID><rasd:ResourceType>17</rasd:ResourceType><rasd:Parent>3</rasd:Parent><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:HostResource>ovf:/disk/d</rasd:HostResource></Item>
</VirtualHardwareSection></VirtualSystem></Envelope>
EOF
tar -C ova -cf source/box.ova box.ovf d.vmdk
rm -r ova

# content, names, modes, owners, and when anything of that was changed
look() {
	for file in source source/*; do
		stat -c '%n %s %a %u %i %y %z' "$file"
	done
	sha256sum source/*
}

look >before
for kind in disk ova; do
	rm -rf target "$PALLETJACK_STATE"
	case $kind in
	disk)
		local_source='{type: disk, url: source, settings: {web: "one.raw,two.qcow2", cpus: "1", memory: 64Mi}}'
		local_manifest web=one.raw:x,two.qcow2:x "$local_raw"
		;;
	ova)
		local_source='{type: ova, url: source}'
		local_manifest box=d.vmdk:x "$local_raw"
		;;
	esac
	check "$kind: asked, planned, copied in two runs, verified" '
		palletjack validate --online m.yaml; palletjack plan m.yaml
		exits 0 palletjack run --until cutover m.yaml
		palletjack run m.yaml && test -x target/*/start
	'
	check "$kind: the source is what it was" 'look | cmp_ok before -'
	check "$kind: given back" '
		palletjack rollback --discard-target-writes m.yaml ||
			test $? -eq 9
	'
	check "$kind: removed" '
		palletjack gc --disks m.yaml && test ! -e target/*/start
	'
	check "$kind: the source is still what it was" 'look | cmp_ok before -'
	check "$kind: a target that nothing can be written to" '
		rm -rf target "$PALLETJACK_STATE"; : >target
		exits 3 palletjack run m.yaml; look | cmp_ok before -
	'
done
check 'the copy command, too' '
	palletjack copy --source-format qcow2 source/two.qcow2 two.raw
	palletjack copy source/one.raw one.raw; cmp source/one.raw one.raw
	look | cmp_ok before -
'
test_end
