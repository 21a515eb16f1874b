#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A real guest is moved from an OVA to QEMU by runs that are killed in each
# stage in turn; the vm that comes out is the one an undisturbed run makes.
. "${0%/*}/../lib.sh"
test_begin 'a real guest arrives, whatever kills the runs that move it'
requires jq
requires virt-v2v-in-place --version
requires qemu-system-x86_64 --version
fault=$(dirname "$PALLETJACK")/t/fault.so
test -e "$fault" || skip_all "$fault is not built: run make units"

guest=$("$TOP/t/testbed/guest.sh") || skip_all 'the guest cannot be built'
mkdir source m
ln -s "$guest/quickstart.ova" source/
cp "$TOP"/examples/quickstart/*.lua m/
sed "s,\.\./\.\./build/demo,$PWD," "$TOP/examples/quickstart/quickstart.yaml" \
	>m/quickstart.yaml
state=$PALLETJACK_STATE/demo/quickstart/quickstart
home=$PWD/target/quickstart
at_end 'end_process "$(cat '"$home"'/qemu.pid)"'

# killed_at STEP: a run that dies when STEP has done its work and its result is
# about to be written down
killed_at() {
	exits 137 env LD_PRELOAD="$fault" FAULT_FILE=journal \
		FAULT_WHEN=before \
		FAULT_MATCH="\"type\":\"result\",\"step\":\"$1\",\"facts\"" \
		palletjack run m
}
attempts() {
	palletjack status m -o json |
		jq ".vms[0].steps[] | select(.step == \"$1\").attempts"
}
# groups: the process groups the journal names, that still have somebody
living_groups() {
	jq -r '.process.pid // (select(.key == "helper").value.pid) // empty' \
		"$state/journal" | sort -u | while read -r group; do
		pgrep -g "$group" -r D,R,S >/dev/null && echo "$group"
	done
	return 0
}

(cd "$guest" && sha256sum quickstart.ova) >untouched
check 'plan says what would be done and what converts' '
	palletjack plan m && palletjack validate --online m
'
for step in validate pre-hook cutover cutover/disk-0 \
	verify/disk-0; do
	check "killed when $step is done and not yet on record" \
		"killed_at $step"
done

palletjack run m >converting 2>&1 &
run=$!
at_end "end_process $run"
check 'conversion begins' '
	within 120 grep -q "\"step\":\"convert\",\"key\":\"v2v\"" \
		"$state/journal" &&
	within 300 grep -qs "Opening the overlay\|Inspecting" "$state"/log/*
'
kill -KILL "$run"
wait "$run" 2>/dev/null
living_groups >orphans
sed 's/^/# group left behind: /' orphans

check 'killed in boot-test, after a whole conversion' 'killed_at boot-test'
check 'what the killed run left behind was ended' '
	test -s orphans
	while read -r group; do
		refute pgrep -g "$group" -r D,R,S || exit 1
	done <orphans
'
for step in commit create-vm start post-hook cleanup; do
	check "killed when $step is done and not yet on record" \
		"killed_at $step"
done
check 'the last run finishes' 'palletjack run m'

check 'it was converted once, after one conversion that was cut' '
	test "$(attempts convert)" -eq 2
'
check 'no stage was begun more often than it was killed' '
	for step in validate pre-hook cutover commit create-vm start \
		post-hook cleanup; do
		test "$(attempts $step)" -eq 2 || exit 1
	done
'
check 'the replica was, byte for byte, what the OVA holds' '
	for n in 1 2; do
		tar -xf "$guest/quickstart.ova" quickstart-disk$n.vmdk
		palletjack copy -o json --source-format vmdk --ledger l$n \
			quickstart-disk$n.vmdk raw$n | jq -r .root >want
		palletjack status m -o json | jq -r ".vms[0].steps[]
			| select(.step == \"cutover/disk-$((n - 1))\")
			| .facts.root" >got
		cmp_ok want got
		rm -f raw$n quickstart-disk$n.vmdk
	done
'
check 'the source is untouched' '
	(cd "$guest" && sha256sum quickstart.ova) >after &&
	cmp_ok untouched after
'
check 'the vm runs at the target, on virtio, with its data' '
	within 300 grep -aq GUEST-UP "$home/console.log" &&
	grep -a GUEST-UP "$home/console.log" | tee marker &&
	grep -q "root=/dev/vda1 rootdrv=virtio_blk" marker &&
	grep -q "data=/dev/vdb1:ok" marker &&
	grep -q "net=\[eth0=virtio_net=" marker
'
check 'with the address its definition says' '
	mac=$(sed -n "s/.*<mac address=.\([0-9a-f:]*\).*/\1/p" \
		"$home/domain.xml") &&
	test -n "$mac" && grep -q "$mac" marker
'
check 'overlays and helpers are gone' '
	find target -name "*.qcow2" | refute grep . &&
	test -z "$(living_groups)"
'
check 'a rerun does nothing' '
	cp "$state/journal" before &&
	palletjack run m && cmp before "$state/journal"
'
check 'its start script will not start it twice' '
	refute "$home/start"
'
check 'without its state, the mark at the target keeps a run away' '
	mv "$PALLETJACK_STATE" lost
	exits 6 palletjack run m 2>err; cat err; grep -qi "handed over" err
'
test_end
