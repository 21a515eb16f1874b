#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The real guest is moved while it runs under libvirt and writes: generation by
# generation, then a last delta with the source off; what was copied is what the
# source has, it boots elsewhere, and every file the guest wrote is there.
. "${0%/*}/../lib.sh"
. "${0%/*}/../live.sh"
test_begin 'a real guest is moved while it runs and writes'
live_needs
requires virt-v2v-in-place --version

state=$PALLETJACK_STATE/t/p/web
home=$PWD/target/web

generation() { # KEY: of the last one that was applied
	jq -r 'select(.type == "result" and .step == "precopy-release")
		.facts.generations[-1].'"$1" "$state/journal" | tail -n 1
}
# What QEMU's bitmaps of our checkpoint have, in bytes.
dirty() {
	virt qemu-monitor-command web '{"execute": "query-block"}' |
		jq '[.return[].inserted."dirty-bitmaps"[]? |
			select(.name | startswith("palletjack")).count] | add'
}
# When the file was written last, in seconds and milliseconds.
written_at() {
	date -r "$1" +%s.%3N
}
seconds() { # FROM TO
	echo "$1 $2" | awk '{ printf "%.1f", $2 - $1 }'
}
# cost MIB: the guest writes so much and rests; a generation is copied
cost() {
	order "write $1" WROTE
	before=$(dirty)
	exits 7 palletjack run m.yaml
	changed=$(generation changed) read=$(generation read)
	took=$(($(generation ended) - $(generation begun)))
	echo "$1 MiB written: $before bytes dirty before, $changed in the bitmap, $read read, $took ms" |
		tee -a figures
	test "$before" -ge $(($1 << 20))
	test "$changed" -ge "$before"
	test "$read" -le $((changed + changed / 20))
	# beside what was written a file system's own, and bitmaps' coarseness
	test "$changed" -le $((($1 << 20) + (8 << 20)))
}

live_web
at_end 'end_process "$(cat '"$home"'/qemu.pid)"'
live_manifest 'precopy: {interval: 1ms}, cutover: {maxDowntime: 1h, hardPowerOff: never}'

check 'it runs on pvscsi and vmxnet3, with its data' '
	virt start web
	up_at web.log >marker; cat marker
	grep "root=/dev/sda1 rootdrv=vmw_pvscsi data=/dev/sdb1:ok" marker
'
test "$test_failures" -eq 0 || test_end
check 'its disks are copied while it writes' '
	order churn "TICK 3"
	exits 7 palletjack run m.yaml
	jq -r "select(.type == \"result\") | select(.step | startswith(\"precopy/\")) | .facts.pass" \
		"$state/journal" >passes
	printf "all\nall\n" | cmp_ok - passes
'
check 'two generations more: each what it wrote meanwhile, and little else' '
	for n in 2 3; do
		order marker "TICK"
		exits 7 palletjack run m.yaml
		test "$(generation number)" -eq $n
		echo "written all the time: $(generation changed) bytes changed, $(generation read) read" |
			tee -a figures
		test "$(generation changed)" -gt 0
		test "$(generation changed)" -lt $((64 << 20))
	done
'
check 'a generation costs what changed' '
	order rest RESTS
	for mib in 1 10 100; do
		cost $mib || exit 1
	done
'
sed 's/^/# /' figures

check 'it writes on when its time comes' 'order churn TICK'
palletjack run m.yaml --cutover now >run 2>&1 &
run=$!
at_end "end_process $run"

# A conversion only reads what was copied, so that it can be looked at.
check 'what was copied with it off is, byte for byte, what the source has' '
	within 300 grep -q "\"intent\",\"step\":\"convert\"" "$state/journal"
	test "$(virt domstate web)" = "shut off"
	qemu-img compare -U -f raw -F qcow2 target/fast/web/disk-sda.raw system.qcow2
	qemu-img compare -U -f raw -F qcow2 target/fast/web/disk-sdb.raw data.qcow2
	refute grep "\"intent\",\"step\":\"commit\"" "$state/journal"
'
check 'what was copied with it off is a delta, too' '
	fact web cutover/disk-sda read
	test "$(fact web cutover/disk-sda pass)" = changed
	test "$(fact web cutover/disk-sda read)" -lt $((64 << 20))
	test "$(fact web cutover/disk-sdb pass)" = changed
'
check 'it is converted and comes up at the target, on virtio' '
	up_at "$home/console.log" 1200 >up
	date +%s.%3N >up.at
	cat up
	grep "root=/dev/vda1 rootdrv=virtio_blk data=/dev/vdb1:ok" up
'
check 'the run ends well' 'wait_for() { test_is_gone '$run'; }
	within 60 wait_for; cat run; palletjack run m.yaml
'
check 'all files it wrote are there, each as it was written' '
	arrived "$home/console.log"
'
sed -n 's,.*: down for,# down for,p' run
echo "# $(jq -r 'select(.key == "predicted").value |
	"predicted: \(.lowMs / 1000) to \(.highMs / 1000) s, likely \(.likelyMs / 1000) s"' \
	"$state/journal" | tail -n 1)"
echo "# from the source's last line to the target's marker:" \
	"$(seconds "$(written_at web.log)" "$(cat up.at)") s"
check 'nothing of ours is left at the source, which stays off' '
	test "$(virt domstate web)" = "shut off"
	virt checkpoint-list web --name | refute grep palletjack
	qemu-img info system.qcow2 | refute grep palletjack
	find . -name "*.scratch" | refute grep .
'
test_end
