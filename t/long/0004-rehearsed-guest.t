#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The real guest runs under libvirt and writes, while each of its generations is
# converted by virt-v2v and booted; that changes nothing of what was copied, the
# next generation is a delta, and the downtime is predicted from what it took.
. "${0%/*}/../lib.sh"
. "${0%/*}/../live.sh"
test_begin 'generations of a running guest are converted and booted'
live_needs
requires virt-v2v-in-place --version

state=$PALLETJACK_STATE/t/p/web
home=$PWD/target/web
# The disks are, read back, what their ledgers say, and what was booted.
unchanged() {
	palletjack verify m.yaml --vm web -o json >verified
	jq -r ".vms[0].disks[] | .result" verified >results
	printf "same\nsame\n" | cmp_ok - results
	jq -c '.vms[0].disks | map({key: .disk, value: .root}) | from_entries' \
		verified >roots
	fact web precopy-boot-test roots | cmp_ok - roots
	find target -name '*.qcow2' | refute grep .
}
seconds() { # STEP
	echo "$(fact web "$1" tookMs)" | awk '{ printf "%.0f s", $1 / 1000 }'
}
tell() { # GENERATION
	echo "# generation $1: converted in $(seconds precopy-convert)," \
		"booted in $(seconds precopy-boot-test):" \
		"$(fact web precopy-boot-test line)"
}

live_web
at_end 'end_process "$(cat '"$home"'/qemu.pid)"'
live_manifest 'precopy: {interval: 1ms}, cutover: {maxDowntime: 2h, hardPowerOff: never}, bootTest: every-generation, bootProbe: {serial: "GUEST-UP root=/dev/vda1 rootdrv=virtio_blk data=/dev/vdb1:ok"}'

check 'it runs, and writes' '
	virt start web
	up_at web.log
	order churn "TICK 3"
'
test "$test_failures" -eq 0 || test_end
check 'its first generation is converted, and boots on virtio, while it runs' '
	exits 7 palletjack run m.yaml --cutover never 2>err || { cat err; exit 1; }
	test "$(fact web precopy-boot-test result)" = passed
	test "$(virt domstate web)" = running
	order marker TICK
'
tell 1
check 'that changed nothing of what was copied' unchanged
palletjack run m.yaml --cutover now >run 2>&1 &
run=$!
at_end "end_process $run"
check 'the next one is a delta, and boots; only then the source is stopped' '
	within 3600 grep -q "\"intent\",\"step\":\"cutover\"" "$state/journal"
	test "$(fact web precopy/disk-sda pass)" = changed
	test "$(fact web precopy-boot-test generation)" = 2
	test "$(fact web precopy-boot-test result)" = passed
'
tell 2
check 'it is converted and booted again before its commit, and comes up' '
	within 3600 grep -q "\"intent\",\"step\":\"commit\"" "$state/journal"
	up_at "$home/console.log" 1200 >up; cat up
	grep "root=/dev/vda1 rootdrv=virtio_blk data=/dev/vdb1:ok" up
'
check 'all files it wrote are there, each as it was written' '
	arrived "$home/console.log"
'
check 'the run ends well' '
	wait_for() { test_is_gone '$run'; }
	within 60 wait_for; cat run
	palletjack run m.yaml
'
check 'the downtime was what the rehearsals made likely' '
	jq -c "select(.key == \"predicted\").value" "$state/journal" | tail -n 1 >predicted
	cat predicted
	grep "down for" run
	jq -e ".lowMs > $(fact web precopy-convert tookMs) / 4" predicted
'
sed -n 's,.*: down for,# down for,p' run
echo "# behind the cutover: converted in $(seconds convert), booted in $(seconds boot-test)"
test_end
