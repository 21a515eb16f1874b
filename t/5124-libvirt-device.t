#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A domain that runs is copied to a block device that is full of what others
# left, generation by generation: whatever is zero at the source is made zero
# there.  Root makes the device, and everything else is an ordinary user's.
random=${DEVICE_FILE:-$(mktemp "${TMPDIR:-/tmp}/palletjack-device.XXXXXX")}
if test "$(id -u)" -eq 0; then
	head -c 20000000 /dev/urandom >"$random"
	DEVICE=$(losetup -f --show "$random" 2>/dev/null) || DEVICE=
	export DEVICE DEVICE_FILE="$random"
	test -z "$DEVICE" || chown nobody "$DEVICE"
	setpriv --reuid=nobody --regid=nogroup --clear-groups "$0"
	status=$?
	test -z "$DEVICE" || chown root "$DEVICE"
	test -z "$DEVICE" || losetup -d "$DEVICE"
	rm -f "$random"
	exit $status
fi
. "${0%/*}/lib.sh"
. "${0%/*}/local.sh"
. "${0%/*}/virt.sh"
test_begin 'a running domain is copied to a device full of random bytes'
test -n "$DEVICE_FILE" || skip_all 'only root can make loop devices'
test -n "$DEVICE" || skip_all 'there are no loop devices here'
virt_needs
requires nbdinfo --version

socket=$XDG_RUNTIME_DIR/b.sock
# generation N: the domain at a point in time; what changed since N-1 is in the
# file `changed`, and all of it in vda.N
generation() {
	since=
	export_as=
	test "$1" -eq 1 || {
		since="<incremental>g$(($1 - 1))</incremental>"
		export_as='exportbitmap="since"'
	}
	cat >backup.xml <<EOF
<domainbackup mode="pull">$since<server transport="unix" socket="$socket"/>
<disks><disk name="vda" type="file" $export_as>
<scratch file="$PWD/scratch.$1"/></disk><disk name="vdb" backup="no"/></disks>
</domainbackup>
EOF
	cat >checkpoint.xml <<EOF
<domaincheckpoint><name>g$1</name><disks>
<disk name="vda" checkpoint="bitmap"/><disk name="vdb" checkpoint="no"/>
</disks></domaincheckpoint>
EOF
	virt backup-begin web backup.xml checkpoint.xml
	uri="nbd+unix:///vda?socket=$socket"
	test -z "$since" ||
		nbdinfo --map=qemu:dirty-bitmap:since "$uri" >changed
	qemu-img convert -O raw "$uri" "vda.$1"
}
released() {
	virt domjobabort web
	rm -f "$socket"
}
got() {
	jq -r ".$1" out
}

tail -c +16777217 "$DEVICE" >behind
virt_start
at_end web_is_gone
web_is_made || {
	cat libvirtd.log
	skip_all 'libvirtd has no qemu here'
}

check 'the first generation: all of the device, zeroes and all' '
	refute cmp -s -n 16777216 /dev/zero "$DEVICE"
	generation 1
	palletjack copy "$uri" "$DEVICE" --ledger ledger -o json >out
	released
	cat out
	test "$(got zeroed)" -ge $((9 << 20))
	cmp -n 16777216 vda.1 "$DEVICE"
'
check 'the next: only what was written, and what is zero by now' '
	guest a.qcow2 "write -P 7 5M 256k"
	guest a.qcow2 "write -z 11M 1M"
	guest a.qcow2 "write -P 8 3080k 4k"
	generation 2
	palletjack copy "$uri" "$DEVICE" --ledger ledger --changed changed \
		-o json >out
	released
	cat changed out
	cmp -n 16777216 vda.2 "$DEVICE"
	test "$(got read)" -le $((3 << 20))
'
check 'a third, killed while it is written, and given again' '
	guest a.qcow2 "write -P 9 0 8M"
	guest a.qcow2 "discard 12M 512k"
	generation 3
	exits 137 env LD_PRELOAD="${PALLETJACK%/*}/t/fault.so" \
		ASAN_OPTIONS=verify_asan_link_order=0 FAULT_PROGRAM=palletjack \
		FAULT_FILE=ledger FAULT_AT=2 FAULT_WHEN=before \
		palletjack copy "$uri" "$DEVICE" --ledger ledger --changed changed
	palletjack copy "$uri" "$DEVICE" --ledger ledger --changed changed \
		-o json >out
	released
	cat out
	cmp -n 16777216 vda.3 "$DEVICE"
'
check 'and the rest of it, with the domain off' '
	guest a.qcow2 "write -P 10 1M 64k"
	virt destroy web --graceful
	qemu-img convert -O raw a.qcow2 vda.4
	palletjack copy a.qcow2 --source-format qcow2 "$DEVICE" \
		--ledger ledger --compare -o json >out || {
		s=$?; cat out; exit $s; }
	cmp -n 16777216 vda.4 "$DEVICE"
'
check 'what lies behind the disk is as it was' '
	tail -c +16777217 "$DEVICE" | cmp - behind
'
test_end
