#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The real guest is moved while it runs and writes, to become a domain of libvirt
# with its disks in a pool: it is converted by virt-v2v, booted, committed, and
# boots from the pool's volumes with every file it wrote.  Rolled back the target
# is gone and the source runs, with its own.
. "${0%/*}/../lib.sh"
. "${0%/*}/../live.sh"
test_begin 'a real guest becomes a domain of libvirt, and is given back'
live_needs
requires virt-v2v-in-place --version
export LIBVIRT_AUTOSTART=0

state=$PALLETJACK_STATE/t/p/web
begun=$(date +%s)
took() {
	echo "# $1 after $(($(date +%s) - begun)) s"
}
# Nobody keeps what a terminal says before it is listened to, and one that
# echoes would give the guest orders.
listen() {
	within 3600 is_on moved || return 1
	pty=$(virt ttyconsole moved)
	stty raw -echo <"$pty"
	exec cat "$pty"
}
is_on() {
	test "$(virt domstate "$1" 2>/dev/null)" = running
}

live_web
pool fast || skip_all 'libvirtd has no pools here'
at_end 'virt destroy moved'
live_manifest 'precopy: {interval: 1ms}, cutover: {maxDowntime: 2h, hardPowerOff: never}, bootTest: once, deadlines: {bootTest: 30m, shutdown: 10m}, bootProbe: {serial: "GUEST-UP root=/dev/vda1 rootdrv=virtio_blk data=/dev/vdb1:ok"}'
to_libvirt
sed -i 's/{name: web}\]/{name: web, targetName: moved}]/' m.yaml
palletjack plan m.yaml >plan 2>&1
grep -q 'has no libvirt' plan && skip_all 'this build has no libvirt'

check 'the plan says what it becomes' '
	cat plan
	grep "^web -> moved: ready" plan
'
check 'it runs, and writes' '
	virt start web
	up_at web.log
	order churn "TICK 3"
'
test "$test_failures" -eq 0 || test_end
took 'up at the source'
check 'a generation is copied into the pool while it runs, and no volume shown' '
	exits 7 palletjack run m.yaml 2>err || { cat err; exit 1; }
	test -s fast/.palletjack/moved/disk-sda.raw
	test -s fast/.palletjack/moved/disk-sdb.raw
	virt pool-refresh fast
	virt vol-list fast | refute grep moved
	refute virt dominfo moved
	order marker TICK
'
took 'a generation'

listen >console.log 2>listen.err &
at_end "end_process $!"
palletjack run m.yaml --cutover now >run 2>&1 &
run=$!
at_end "end_process $run"
check 'it is stopped, converted and booted before its disks are committed' '
	within 3600 grep -q "\"intent\",\"step\":\"commit\"" "$state/journal"
	test "$(virt domstate web)" = "shut off"
	test "$(fact web boot-test result)" = passed
	fact web boot-test line
'
took 'converted and booted'
check 'the run ends well' '
	wait_for() { test_is_gone '$run'; }
	within 600 wait_for
	cat run
	palletjack run m.yaml
'
sed -n 's,.*: down for,# down for,p' run
check 'the domain runs from volumes of the pool, with the claim on it' '
	test "$(virt domstate moved)" = running
	virt domblklist moved --details >disks; cat disks
	grep "vda *$PWD/fast/moved-disk-sda.raw" disks
	grep "vdb *$PWD/fast/moved-disk-sdb.raw" disks
	virt vol-list fast >vols; cat vols
	grep moved-disk-sda.raw vols
	grep moved-disk-sdb.raw vols
	virt metadata moved --uri https://palletjack.io/libvirt/claim/1 >claim
	grep "plan=.t/p. vm=.web." claim
	find fast -name "*.qcow2" | refute grep .
'
check 'its guest comes up there, on virtio, with its data and its address' '
	up_at console.log 1200 >up || { cat listen.err; tail -c 2000 console.log; exit 1; }
	cat up
	grep "root=/dev/vda1 rootdrv=virtio_blk data=/dev/vdb1:ok" up
	grep "eth0=virtio_net=00:50:56:11:22:33=10.0.2.77" up
'
check 'all files it wrote are there, each as it was written' '
	arrived console.log
'
took 'up at the target'
check 'status says where it is' '
	palletjack status m.yaml >status; cat status
	grep "^web: finished" status
'
check 'what the guest has by now is its own: unasked nothing is given back' '
	exits 6 palletjack rollback m.yaml 2>err || { cat err; exit 1; }
	cat err
	is_on moved
	test "$(virt domstate web)" = "shut off"
'
lines=$(wc -l <web.log)
check 'rolled back the target is gone, and the source runs' '
	exits 9 palletjack rollback --discard-target-writes m.yaml 2>err ||
		{ cat err; exit 1; }
	cat err
	refute virt dominfo moved
	is_on web
	test -e fast/.palletjack/moved/disk-sda.raw
'
check 'its guest comes up there as it was, with all files it wrote' '
	tail -n +$((lines + 1)) -f web.log >again &
	at_end "end_process $!"
	up_at again 600 >up || { cat again; exit 1; }
	cat up
	grep "root=/dev/sda1 rootdrv=vmw_pvscsi data=/dev/sdb1:ok" up
	arrived again
'
took 'up at the source again'
check 'gc --disks takes the volumes away below nobody' '
	palletjack gc --disks m.yaml
	find fast -mindepth 1 | refute grep .
	is_on web
'
test_end
