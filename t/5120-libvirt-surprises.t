#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What else happens to a domain between its generations: whatever it is, what
# changed is known, or all is compared; never is a change missed.
. "${0%/*}/lib.sh"
. "${0%/*}/local.sh"
. "${0%/*}/virt.sh"
test_begin 'a domain that is copied while it runs is full of surprises'
virt_needs

virt_start
at_end web_is_gone
warm_manifest "$warm_quick"
warm_full=$(echo "$warm_quick" | sed "s/interval/foreignSnapshots: full, &/")
warm_wait=$(echo "$warm_quick" | sed "s/interval/foreignSnapshots: wait, &/")

# first [DRIVER]: a new domain, and its first generation is copied
first() {
	web_is_made "$@" && run 7
}
next() {
	run 7
	fact web precopy/disk-vda pass
	test "$(fact web precopy/disk-vda pass)" = "$1"
}
# the cutover, in which vda was copied so
ends() {
	run 0 --cutover now
	test "$(fact web cutover/disk-vda pass)" = "$1"
}
# why TEXT [STEP]: all of vda was compared, and that is said everywhere: in the
# facts of its copy, the generation, the log, the step's last line, and status
why() {
	why_step=${2:-precopy}/disk-vda
	fact web "$why_step" why
	fact web "$why_step" why | grep "$1"
	grep "$1.*all of the disk is read and compared" \
		"$PALLETJACK_STATE/t/p/web/log/run.log"
	grep "$why_step .*$1.*all of the disk was read and compared" err
	palletjack status m.yaml >out
	grep "$why_step .*$1.*all of the disk was read and compared" out
	palletjack status -o json m.yaml | jq -r ".vms[0].steps[] |
		select(.step == \"$why_step\").facts.why" | grep "$1"
	test $# -gt 1 || fact web precopy-release generations |
		jq -r ".[-1].why[\"disk-vda\"]" | grep "$1"
}

web_is_made || {
	cat libvirtd.log
	skip_all 'libvirtd has no qemu here'
}

check 'restarted in good order: its bitmaps are with it' '
	first
	guest a.qcow2 "write -P 3 1M 64k"
	virt destroy web --graceful
	virt start web
	guest a.qcow2 "write -P 4 2M 64k"
	next changed
	test "$(fact web precopy/disk-vda changed)" -eq $((128 << 10))
	guest a.qcow2 "write -P 5 3M 64k"
	ends changed
	same
	nothing_left
'
check 'killed, and off at the cutover' '
	first
	guest a.qcow2 "write -P 3 1M 64k"
	web_is_killed
	ends compare
	why "bitmap of checkpoint .palletjack-.* is not in .*/a.qcow2" cutover
	same
	nothing_left
'
check 'killed, started, and no generation before the cutover' '
	first
	guest a.qcow2 "write -P 3 1M 64k"
	web_is_killed
	virt start web
	guest a.qcow2 "write -P 4 2M 64k"
	virt destroy web --graceful
	ends compare
	why "bitmap of checkpoint .palletjack-.* is not in .*/a.qcow2" cutover
	same
	nothing_left
'
check 'restarted in good order, then killed: its bitmap is not whole' '
	first
	virt destroy web --graceful
	virt start web
	guest a.qcow2 "write -P 3 1M 64k"
	web_is_killed
	virt start web
	next compare
	why "bitmap of checkpoint .palletjack-.* in .*/a.qcow2. is marked as in use"
	guest a.qcow2 "write -P 4 2M 64k"
	ends changed
	same
	nothing_left
'
check 'the same, and off at the cutover' '
	first
	virt destroy web --graceful
	virt start web
	guest a.qcow2 "write -P 3 1M 64k"
	web_is_killed
	ends compare
	why "bitmap of checkpoint .palletjack-.* in .*/a.qcow2. is marked as in use" cutover
	same
	nothing_left
'
check 'killed, then a generation: the cutover has bitmaps again' '
	first
	guest a.qcow2 "write -P 3 1M 64k"
	web_is_killed
	virt start web
	next compare
	why "bitmap of checkpoint .palletjack-.* is not in .*/a.qcow2"
	guest a.qcow2 "write -P 4 2M 64k"
	ends changed
	same
	nothing_left
'
check 'an external snapshot of another, then a generation' '
	first
	guest a.qcow2 "write -P 3 1M 64k"
	virt snapshot-create-as web theirs --disk-only --no-metadata \
		--diskspec vda,file=$PWD/a.snap --diskspec vdb,snapshot=no
	guest a.snap "write -P 4 2M 64k"
	run 7
	fact web precopy/disk-vda pass
	guest a.snap "write -P 5 3M 64k"
	run 0 --cutover now
	same a.snap
	nothing_left a.snap
'
check 'an external snapshot of another, then the cutover' '
	first
	guest a.qcow2 "write -P 3 1M 64k"
	virt snapshot-create-as web theirs --disk-only --no-metadata \
		--diskspec vda,file=$PWD/a.snap --diskspec vdb,snapshot=no
	guest a.snap "write -P 4 2M 64k"
	virt destroy web --graceful
	run 0 --cutover now
	fact web cutover/disk-vda pass
	same a.snap
	nothing_left a.snap
'
check 'an external snapshot that is committed again' '
	first
	guest a.qcow2 "write -P 3 1M 64k"
	virt snapshot-create-as web theirs --disk-only --no-metadata \
		--diskspec vda,file=$PWD/a.snap --diskspec vdb,snapshot=no
	guest a.snap "write -P 4 2M 64k"
	run 7
	guest a.snap "write -P 5 3M 64k"
	virt blockcommit web vda --active --wait --pivot
	guest a.qcow2 "write -P 6 4M 64k"
	run 0 --cutover now
	fact web cutover/disk-vda pass
	same
	nothing_left
'
check 'an external snapshot of another, and no trust in it: compared' '
	warm_manifest "$warm_full"
	first
	guest a.qcow2 "write -P 3 1M 64k"
	next changed
	guest a.qcow2 "write -P 4 2M 64k"
	virt snapshot-create-as web theirs --disk-only --no-metadata \
		--diskspec vda,file=$PWD/a.snap --diskspec vdb,snapshot=no
	guest a.snap "write -P 5 3M 64k"
	next compare
	why "/a.snap. was put on top of .*/a.qcow2. (a snapshot .*foreignSnapshots is full"
	guest a.snap "write -P 6 4M 64k"
	next changed
	virt snapshot-create-as web theirs --disk-only --no-metadata \
		--diskspec vda,file=$PWD/a.snap2 --diskspec vdb,snapshot=no
	guest a.snap2 "write -P 7 5M 64k"
	virt destroy web --graceful
	ends compare
	why "/a.snap2. was put on top of .*/a.snap. (a snapshot .*foreignSnapshots is full" cutover
	same a.snap2
	nothing_left a.snap a.snap2
'
cat >foreign.xml <<EOF
<domainbackup mode="pull">
<server transport="unix" socket="$XDG_RUNTIME_DIR/f.sock"/>
<disks><disk name="vda" type="file"><scratch file="$PWD/a.foreign"/></disk></disks>
</domainbackup>
EOF
check 'a backup of another is waited for, where that is said' '
	warm_manifest "$warm_wait"
	first
	virt backup-begin web foreign.xml
	guest a.qcow2 "write -P 3 1M 64k"
	palletjack run m.yaml 2>err & run=$!
	journal=$PALLETJACK_STATE/t/p/web/journal
	within 30 sh -c "tail -n 1 $journal | grep key.:.point"
	kill -0 $run
	virt domjobabort web
	status=0
	wait $run || status=$?
	cat err
	test $status -eq 7
	test "$(fact web precopy/disk-vda pass)" = changed
	ends changed
	same
	nothing_left
'
check 'and one that does not end is what the step ends with' '
	warm_manifest "$warm_wait, deadlines: {wait: 4s}"
	first
	virt backup-begin web foreign.xml
	run 5
	cat err
	virt domjobabort web
	grep "a backup of .web. is under way that is not ours" err
	run 7 --redo precopy
	run 0 --cutover now
	nothing_left
'
warm_manifest "$warm_quick"
check 'its disk copied to another place' '
	first
	guest a.qcow2 "write -P 3 1M 64k"
	virt blockcopy web vda --dest $PWD/a.moved --wait --pivot --transient-job
	guest a.moved "write -P 4 2M 64k"
	run 7
	guest a.moved "write -P 5 3M 64k"
	ends changed
	same a.moved
	# whoever moved it leaves the old image as it was
	rm a.qcow2
	mv a.moved a.qcow2
	nothing_left
'
# redefined FILE: vda is another image
redefined() {
	virt dumpxml --inactive web | sed "s,$PWD/a\.qcow2,$PWD/$1," >anew.xml
	virt define anew.xml
}
check 'moved by hand while it was off: said from where to where' '
	first
	virt destroy web --graceful
	qemu-img convert -f qcow2 -O qcow2 a.qcow2 a.moved
	redefined a.moved
	qemu-io -f qcow2 -c "write -q -P 4 5M 64k" a.moved
	ends compare
	why "it is in .*/a.moved. now, and was in .*/a.qcow2. when checkpoint" cutover
	same a.moved
'
check 'moved by hand, and started: compared as well' '
	first
	virt destroy web --graceful
	qemu-img convert -f qcow2 -O qcow2 a.qcow2 a.moved
	redefined a.moved
	virt start web
	guest a.moved "write -P 4 2M 64k"
	next compare
	why "it is in .*/a.moved. now, and was in .*/a.qcow2. when checkpoint"
	guest a.moved "write -P 5 3M 64k"
	ends changed
	same a.moved
'
check 'a snapshot that was made without libvirt' '
	first
	virt destroy web --graceful
	qemu-img create -q -f qcow2 -b a.qcow2 -F qcow2 a.snap
	redefined a.snap
	qemu-io -f qcow2 -c "write -q -P 4 5M 64k" a.snap
	ends compare
	why "/a.snap. was put on top of .*/a.qcow2. (a snapshot .* has no bitmap" cutover
	same a.snap
'
check 'the same, and started' '
	first
	virt destroy web --graceful
	qemu-img create -q -f qcow2 -b a.qcow2 -F qcow2 a.snap
	redefined a.snap
	virt start web
	guest a.snap "write -P 4 2M 64k"
	next compare
	why "/a.snap. was put on top of .*/a.qcow2. (a snapshot .* has no bitmap"
	ends changed
	same a.snap
'
check 'its bitmap removed from the image, another switched off' '
	first
	virt destroy web --graceful
	qemu-img bitmap --remove a.qcow2 "$(virt checkpoint-list web --name)"
	ends compare
	why "bitmap of checkpoint .palletjack-.* is not in .*/a.qcow2" cutover
	same
	first
	virt destroy web --graceful
	qemu-img bitmap --disable a.qcow2 "$(virt checkpoint-list web --name)"
	virt start web
	guest a.qcow2 "write -P 4 2M 64k"
	next compare
	why "bitmap of checkpoint .palletjack-.* in .*/a.qcow2. was switched off"
	ends changed
	same
	nothing_left
'
# three_disks: vdc is the qcow2 c.qcow2
three_disks() {
	web_is_made
	virt destroy web
	virt undefine web
	qemu-img create -q -f qcow2 c.qcow2 16M
	define web "$(disk vda qcow2 a.qcow2)$(disk vdb raw b.raw)$(
		disk vdc qcow2 c.qcow2)"
	virt start web
	guest c.qcow2 "write -P 1 0 4M"
	run 7
	virt destroy web --graceful
}
# changed DISK BYTES: they were read from its bitmap
changed() {
	fact web "precopy/$1" changed
	test "$(fact web "precopy/$1" pass)" = changed
	test "$(fact web "precopy/$1" changed)" -eq "$2"
}
check 'the bitmap of one disk lost: only that disk is compared' '
	three_disks
	point=$(virt checkpoint-list web --name)
	qemu-img bitmap --remove a.qcow2 "$point"
	virt start web
	guest a.qcow2 "write -P 3 1M 64k"
	guest c.qcow2 "write -P 4 2M 64k"
	next compare
	why "bitmap of checkpoint .palletjack-.* is not in .*/a.qcow2"
	changed disk-vdc 65536
	guest a.qcow2 "write -P 5 3M 64k"
	guest c.qcow2 "write -P 6 5M 128k"
	next changed
	changed disk-vdc $((128 << 10))
	guest c.qcow2 "write -P 7 6M 64k"
	ends changed
	changed disk-vdc 65536
	same
	qemu-img compare -f raw -F qcow2 target/fast/web/disk-vdc.raw c.qcow2
	nothing_left c.qcow2
'
check 'of both that have one: both are, and one after the other is found' '
	three_disks
	point=$(virt checkpoint-list web --name)
	qemu-img bitmap --remove a.qcow2 "$point"
	qemu-img bitmap --disable c.qcow2 "$point"
	virt start web
	guest c.qcow2 "write -P 4 2M 64k"
	next compare
	fact web precopy/disk-vdc why | grep "was switched off"
	guest a.qcow2 "write -P 5 3M 64k"
	ends changed
	same
	qemu-img compare -f raw -F qcow2 target/fast/web/disk-vdc.raw c.qcow2
	nothing_left c.qcow2
'
check 'a raw image keeps none: that is said as well' '
	first
	next changed
	fact web precopy/disk-vdb why | grep "an image of format .raw. keeps no bitmap"
	fact web precopy-release generations | jq -e ".[-1].why | keys == [\"disk-vdb\"]"
	palletjack status m.yaml | grep "precopy/disk-vdb .*format .raw. keeps no bitmap"
	ends changed
	nothing_left
'
check 'our checkpoint removed' '
	first
	guest a.qcow2 "write -P 3 1M 64k"
	virt checkpoint-delete web "$(virt checkpoint-list web --name)"
	next compare
	why "libvirt knows no checkpoint .palletjack-.* any more (another tool"
	guest a.qcow2 "write -P 4 2M 64k"
	ends changed
	same
	nothing_left
'
check 'our checkpoint forgotten by the daemon' '
	first
	guest a.qcow2 "write -P 3 1M 64k"
	virt checkpoint-delete web "$(virt checkpoint-list web --name)" --metadata
	next compare
	why "libvirt knows no checkpoint .palletjack-.* any more (another tool"
	guest a.qcow2 "write -P 4 2M 64k"
	ends changed
	same
	nothing_left
'
check 'a checkpoint of another goes on' '
	first
	guest a.qcow2 "write -P 3 1M 64k"
	virt checkpoint-create-as web theirs --diskspec vda,checkpoint=bitmap
	guest a.qcow2 "write -P 4 2M 64k"
	next changed
	test "$(fact web precopy/disk-vda changed)" -eq $((128 << 10))
	guest a.qcow2 "write -P 5 3M 64k"
	ends changed
	same
	virt checkpoint-list web --name
	test "$(virt checkpoint-list web --name | grep -c .)" -eq 1
	qemu-img info a.qcow2 | grep theirs
'
check 'what is discarded is zero' '
	first "discard=\"unmap\""
	guest a.qcow2 "discard 1M 1M"
	guest b.raw "discard 0 1M"
	guest a.qcow2 "write -z 2M 1M"
	guest a.qcow2 "write -zu 11M 1M"
	next changed
	test "$(fact web precopy/disk-vda zero)" -eq $((3 << 20))
	guest a.qcow2 "discard 3M 1M"
	ends changed
	same
	cmp -n $((3 << 20)) -i $((1 << 20)):0 target/fast/web/disk-vda.raw /dev/zero
	cmp -n $((1 << 20)) target/fast/web/disk-vdb.raw /dev/zero
'
# What is another size is another disk, until somebody says that it is not.
accepted() {
	run 3
	accept=$(sed -n "s/.*--accept //p" err | tail -n 1)
	cat err
	grep "source disk disk-$1" err
	run "$2" --accept "$accept"
}
check 'it grew while it ran: said, and what is new is copied' '
	first
	virt blockresize web vda 20M
	virt blockresize web vdb 9M
	guest a.qcow2 "write -P 3 17M 64k"
	accepted vda 7
	test "$(fact web precopy/disk-vda pass)" = changed
	test "$(fact web precopy/disk-vda why)" = null
	guest a.qcow2 "write -P 4 18M 64k"
	ends changed
	same
	nothing_left
'
check 'it grew while it was off' '
	first
	virt destroy web --graceful
	qemu-img resize -q -f qcow2 a.qcow2 20M
	qemu-io -f qcow2 -c "write -q -P 4 18M 64k" a.qcow2
	warm_manifest "$warm_quick"
	accepted vda 7
	run 0 --cutover now
	test "$(fact web cutover/disk-vda pass)" = changed
	same
	nothing_left
'
check 'it shrank' '
	first
	virt destroy web --graceful
	qemu-img resize -q -f raw --shrink b.raw 4M
	accepted vdb 7
	run 6 --cutover now
	cat err
'
test_end
