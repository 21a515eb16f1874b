#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The target's domain.xml bears the source's name and uuid: defined at the
# source's daemon it takes the source's place.  What is started as the source
# has the source's disks, and what runs keeps its own.
. "${0%/*}/lib.sh"
. "${0%/*}/local.sh"
. "${0%/*}/virt.sh"
test_begin 'another domain in the place of the source is not started as the source'
virt_needs

mark() {
	jq -r .state target/web/handover.json
}
is_off() {
	test "$(virt domstate web)" = "shut off"
}
has_disk() { # FILE
	virt domblklist web >disks
	cat disks
	grep "[vs]da *$PWD/$1 *\$" disks
}
# refused STATUS ARGUMENT...: in `err`, and nothing was changed at the target
refused() {
	refused_status=$1
	shift
	exits "$refused_status" palletjack "$@" m.yaml 2>err || {
		cat err
		return 1
	}
	cat err
	refute grep "runs again" err
	test -s target/fast/web/disk-vda.raw
}
# web, as it was, runs, and a run has moved it as far as STAGE
moved() {
	virt destroy web || :
	virt define web.own >/dev/null && virt start web && rm -rf target "$PALLETJACK_STATE" &&
		palletjack run m.yaml --until "$1" 2>err || {
		cat err
		return 1
	}
}

qemu-img create -q -f qcow2 a.qcow2 16M &&
	qemu-io -f qcow2 -c 'write -q -P 1 0 4M' a.qcow2
head -c 4194304 /dev/urandom >b.raw
qemu-img create -q -f qcow2 other.qcow2 16M
manifest '{name: web}' 'cutover: {hardPowerOff: always}'
virt_start
define web "$(disk vda qcow2 a.qcow2)$(disk vdb raw b.raw)" || {
	cat libvirtd.log
	skip_all 'libvirtd has no qemu here'
}
virt dumpxml --inactive web >web.own
at_end 'virt destroy web; virt destroy beside'

moved start
check 'defined from the domain.xml of the target: the source is not started' '
	virt define target/web/domain.xml
	refused 6 rollback --discard-target-writes
	is_off
	grep "domain .web. at .qemu:///session. is not the source any more: of its disks none is qcow2 .$PWD/a.qcow2. (vda), which was copied, but they are raw .$PWD/target/fast/web/disk-vda.raw., raw .$PWD/target/fast/web/disk-vdb.raw.;" err
	grep "; define it again as it was, with the disks qcow2 .$PWD/a.qcow2. (vda), raw .$PWD/b.raw. (vdb)" err
	grep "$PALLETJACK_STATE/t/p/web/inventory.json" err
'
check 'and the target is as it was' '
	test "$(mark)" = left-off
	test -x target/web/start
'
check 'it runs there, and that is seen: it runs on' '
	virt start web
	refused 6 rollback --discard-target-writes
	grep "none is qcow2 .$PWD/a.qcow2" err
	test "$(virt domstate web)" = running
	has_disk target/fast/web/disk-vda.raw
	test "$(mark)" = left-off
'
check 'it is not the source by being defined as that while it runs' '
	virt define web.own
	refused 6 rollback --discard-target-writes
	grep "as it runs now: .*none is qcow2 .*; shut it down, see that" err
	test "$(virt domstate web)" = running
	has_disk target/fast/web/disk-vda.raw
	virt destroy web
'
check 'the disks of the source, read as of another format: likewise' '
	sed "s/type=.qcow2./type=\"raw\"/" web.own >web.raw
	virt define web.raw
	refused 6 rollback --discard-target-writes
	grep "none is qcow2 .$PWD/a.qcow2. (vda), which was copied, but they are raw .$PWD/a.qcow2." err
	is_off
'
check 'one that runs with other disks than it is configured with: likewise' '
	sed "s,$PWD/a.qcow2,$PWD/other.qcow2," web.own >web.other
	virt define web.other
	virt start web
	virt define web.own
	refused 6 rollback --discard-target-writes
	grep "as it runs now: .*they are qcow2 .$PWD/other.qcow2.*; shut it down, see that" err
	has_disk other.qcow2
	virt destroy web
'
beside() { # a vm with the disks of the target
	sed "s,<name>web<,<name>beside<,; /<uuid>/d
		s,$PWD/a.qcow2,$PWD/target/fast/web/disk-vda.raw,; s/qcow2/raw/
		s,$PWD/b.raw,$PWD/target/fast/web/disk-vdb.raw,
		/<mac /d" web.own >beside.own
	virt define beside.own && virt start beside
}
check 'the target, run by another name: that is seen, and it runs on' '
	beside
	refused 5 rollback --discard-target-writes
	grep "target/fast/web/disk-vda.raw. is open in QEMU: shut down the vm that uses it" err
	test "$(virt domstate beside)" = running
	test "$(mark)" = left-off
	is_off
	virt destroy beside
'
check 'defined again as it was it is given back' '
	exits 9 palletjack rollback --discard-target-writes m.yaml 2>err; cat err
	grep "the source runs again" err
	has_disk a.qcow2
	test "$(mark)" = rolled-back
'

check 'a disk that another vm runs with is not removed' '
	virt start beside
	refused 5 gc --disks
	grep "target/fast/web/disk-vda.raw. is open in QEMU" err
	virt destroy beside
	palletjack gc --disks m.yaml
	test ! -e target/fast/web/disk-vda.raw
'

moved cutover
check 'before the hand-over, too' '
	virt define web.other
	refused 6 rollback
	grep "none is qcow2 .$PWD/a.qcow2" err
	is_off
'
check 'with a snapshot on top it is still the source' '
	qemu-img create -q -f qcow2 -F qcow2 -b "$PWD/a.qcow2" top.qcow2
	sed "s,$PWD/a.qcow2,$PWD/top.qcow2," web.own >web.top
	virt define web.top
	exits 9 palletjack rollback m.yaml 2>err; cat err
	has_disk top.qcow2
	test "$(virt domstate web)" = running
'
test_end
