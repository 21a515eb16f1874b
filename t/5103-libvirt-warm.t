#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Domains of a real libvirtd that are written to while they are copied: bitmaps
# tell what changed, or, where there are none, every block is compared.
. "${0%/*}/lib.sh"
. "${0%/*}/local.sh"
. "${0%/*}/virt.sh"
test_begin 'domains of libvirt are copied while they run'
virt_needs

state=$PALLETJACK_STATE/t/p/web
warm_manifest() { # POLICY
	manifest "{name: web}" "$1"
	sed -i "s/^  targetNamespace: .*/&\n  type: warm/" m.yaml
}
# guest TARGET COMMAND: the guest's disk is written, as if by itself
guest() {
	device=$(virt qemu-monitor-command web "{\"execute\": \"query-block\"}" |
		jq -r --arg f "$PWD/$1" ".return[] | select(.inserted.file == \$f).qdev")
	virt qemu-monitor-command web --hmp "qemu-io -d $device \"$2\"" >io
	cat io
	refute grep -qi "error\|conflict" io
}
same() {
	qemu-img compare -f raw -F qcow2 target/fast/web/disk-vda.raw a.qcow2 &&
		cmp target/fast/web/disk-vdb.raw b.raw
}

qemu-img create -q -f qcow2 a.qcow2 64M
qemu-io -f qcow2 -c 'write -q -P 1 0 20M' -c 'write -q -P 2 40M 3M' a.qcow2
head -c 3000000 /dev/urandom >b.raw
truncate -s 8M b.raw

virt_start
define web "$(disk vda qcow2 a.qcow2)$(disk vdb raw b.raw)" || {
	cat libvirtd.log
	skip_all 'libvirtd has no qemu here'
}
virt start web
at_end 'virt destroy web'

warm_manifest 'precopy: {interval: 1ms}, cutover: {hardPowerOff: fallback}, deadlines: {shutdown: 1s}'
check_exit 7 'a first generation' '
	palletjack run m.yaml 2>err || { s=$?; cat err; exit $s; }
'
check 'it runs on; a checkpoint is kept, and no backup' '
	test "$(virt domstate web)" = running
	test "$(virt checkpoint-list web --name | grep -c palletjack)" = 1
	virt domjobinfo web | grep -i none
	test "$(fact web precopy/disk-vda pass)" = all
'
check 'it can be compared; status tells no step that was not begun' '
	palletjack verify m.yaml
	palletjack status m.yaml >out; cat out
	grep "precopy/disk-vda *done" out; refute grep "  verify/disk-vda" out
	palletjack status -o json m.yaml | jq -e ".vms[0].steps | all(.begun)"
'
check 'what is written is copied, and no more' '
	guest a.qcow2 "write -P 3 1M 256k"
	guest a.qcow2 "write -z 41M 1M"
	guest b.raw "write -P 4 5M 64k"
	exits 7 palletjack run m.yaml
	fact web precopy/disk-vda .; fact web precopy/disk-vdb .
	test "$(fact web precopy/disk-vda pass)" = changed
	test "$(fact web precopy/disk-vda changed)" -eq $((1280 << 10))
	test "$(fact web precopy/disk-vdb pass)" = compare
	test "$(fact web precopy/disk-vdb written)" -le $((2 << 20))
	test "$(virt checkpoint-list web --name | grep -c palletjack)" = 1
'
check 'nothing written: nothing is read' '
	exits 7 palletjack run m.yaml
	test "$(fact web precopy/disk-vda changed)" -eq 0
	test "$(fact web precopy/disk-vda read)" -eq 0
'

# A point in time outlasts the run that made it, as QEMU holds it.
slow="limits: {bandwidth: 4Mi}, precopy: {interval: 1ms}, cutover: {hardPowerOff: fallback}, deadlines: {shutdown: 1s}"
check 'killed while it copies, it goes on at the same point in time' '
	warm_manifest "$slow"
	guest a.qcow2 "write -P 6 8M 12M"
	palletjack run m.yaml 2>err & run=$!
	within 30 grep -q "type.:.intent.,.step.:.precopy/disk-vda.*generation.:4" "$state/journal"
	kill -KILL $run
	wait $run || true
	virt domjobinfo web | grep -i backup
	guest a.qcow2 "write -P 7 8M 1M"
	number=$(grep "key.:.point" "$state/journal" | tail -n 1 | jq .value.number)
	warm_manifest "precopy: {interval: 1ms}"
	exits 7 palletjack run m.yaml
	test "$(fact web precopy-release number)" = "$number"
'
check 'a backup of another is left alone' '
	cat >foreign.xml <<EOF
<domainbackup mode="pull"><server transport="unix" socket="$XDG_RUNTIME_DIR/f.sock"/>
<disks><disk name="vda" type="file"><scratch file="$PWD/foreign.scratch"/></disk></disks></domainbackup>
EOF
	virt backup-begin web foreign.xml
	exits 5 palletjack run m.yaml 2>err
	cat err; grep "a backup .* is under way that is not ours" err
	virt domjobinfo web | grep -i backup
	virt domjobabort web
	exits 7 palletjack run m.yaml --redo precopy
'
check 'QEMU killed: nobody knows what changed, so all is compared' '
	guest a.qcow2 "write -P 8 30M 64k"
	kill -KILL "$(cat "$XDG_RUNTIME_DIR/libvirt/qemu/run/web.pid")"
	within 30 sh -c "virsh -q -c qemu:///session domstate web | grep -q off"
	virt start web
	exits 7 palletjack run m.yaml
	test "$(fact web precopy/disk-vda pass)" = compare
	guest a.qcow2 "write -P 9 31M 64k"
	exits 7 palletjack run m.yaml
	test "$(fact web precopy/disk-vda pass)" = changed
'
# In the middle of the last delta blocks are durable that the guest then writes
# anew: another point in time, whatever it is called.
check 'given back while its last delta is copied, it is copied on' '
	warm_manifest "limits: {bandwidth: 1Mi}, checkpoint: {every: 100ms, bytes: 1Mi}, precopy: {interval: 1ms},
      cutover: {hardPowerOff: fallback, backoutBy: 7s}, deadlines: {shutdown: 1s}"
	rounds=$(grep -c "intent.*precopy/disk-vdb" "$state/journal")
	palletjack run m.yaml --cutover now 2>err & run=$!
	within 120 sh -c "test \$(grep -c intent.*precopy/disk-vdb $state/journal) -gt $rounds"
	guest a.qcow2 "write -P 21 0 16M"
	guest b.raw "write -P 22 0 1M"
	s=0; wait $run || s=$?
	cat err; test $s -eq 5
	test "$(virt domstate web)" = running
	guest a.qcow2 "write -P 23 0 1M"
	guest b.raw "write -P 24 0 1M"
	warm_manifest "precopy: {interval: 1ms}"
	exits 7 palletjack run m.yaml
	fact web precopy/disk-vda .; fact web precopy/disk-vdb .
'
check 'the cutover copies what was written since' '
	warm_manifest "cutover: {hardPowerOff: fallback}, deadlines: {shutdown: 1s}"
	guest a.qcow2 "write -P 5 3M 64k"
	palletjack run m.yaml --cutover now 2>err || { s=$?; cat err; exit $s; }
	test "$(virt domstate web)" = "shut off"
	same
'
check 'nothing of ours is left at the source' '
	virt checkpoint-list web --name >left; cat left
	refute grep palletjack left
	qemu-img info a.qcow2 | refute grep palletjack
'
test_end
