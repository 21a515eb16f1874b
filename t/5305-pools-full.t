#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The file system of a pool fills up, at each point where something is written to
# it: the run says so and is tried again once there is room; what is handed over
# is handed over whole.
#
# Root has a small one mounted where only this test sees it, and becomes nobody.
test "$(id -u)" -ne 0 || test -n "$PALLETJACK_TEST_SMALL" || {
	unshare --mount true 2>/dev/null || {
		echo '1..0 # SKIP no file system can be mounted here'
		exit 0
	}
	export PALLETJACK_TEST_SMALL=/mnt
	exec unshare --mount sh -c \
		'mount -t tmpfs -o size=24m,mode=1777 small /mnt && exec "$0"' "$0"
}
. "${0%/*}/lib.sh"
. "${0%/*}/local.sh"
. "${0%/*}/virt.sh"
test_begin 'a pool that is full stops a run, and loses nothing'
test -n "$PALLETJACK_TEST_SMALL" || skip_all 'only root can mount a file system'
virt_needs
requires nbdkit --version
export LIBVIRT_AUTOSTART=0

pool=$PALLETJACK_TEST_SMALL/small
state=$PALLETJACK_STATE/t/p/src
mkdir "$pool"
head -c 8M /dev/urandom >a.raw
truncate -s 16M a.raw
manifest '{name: src, targetName: moved}' \
	'cutover: {hardPowerOff: fallback}, deadlines: {shutdown: 1s}'
to_libvirt
sed -i 's/targetPowerState: .*/targetPowerState: auto/' m.yaml
palletjack plan m.yaml 2>&1 | grep -q 'has no libvirt' &&
	skip_all 'this build has no libvirt'
virt_start
virt pool-define-as fast dir --target "$pool" && virt pool-start fast ||
	skip_all 'libvirtd has no pools here'
define src "$(disk vda raw a.raw)" || {
	cat libvirtd.log
	skip_all 'libvirtd has no qemu here'
}
at_end 'virt destroy src'
at_end 'virt destroy moved'

# begin: it runs, and was never moved
begin() {
	virt destroy moved || :
	virt undefine moved || :
	virt start src || :
	rm -rf "$PALLETJACK_STATE" "$pool/.palletjack" "$pool"/*
} >/dev/null 2>&1
# full [MIB]: but for that much nothing is free; what takes it is theirs
full() {
	rm -f "$pool/theirs"
	free=$(df --output=avail -k "$pool" | tail -n 1)
	head -c $(((free - ${1:-0} * 1024) * 1024)) /dev/zero >"$pool/theirs"
}
# stops STEP WORDS: the run, there, saying so
stops() {
	exits 5 palletjack run m.yaml 2>err || { cat err; return 1; }
	cat err
	grep "$1 .*$2.*No space left on device" err || return 1
	palletjack status m.yaml >status
	grep "$1 .*No space left on device" status || { cat status; return 1; }
	test "$(virt domstate moved 2>/dev/null)" != running || return 1
	test ! -e "$pool/moved-disk-vda.raw"
}
# As the policy wants it the source is given back, which needs no room; and
# what is said of it is so.
given_back() {
	within 10 is_on src || return 1
	refute grep "the source is off\|undo/.* FAILED" err
}
is_on() {
	test "$(virt domstate "$1" 2>/dev/null)" = running
}
goes_on() {
	rm "$pool/theirs"
	palletjack run m.yaml "$@" 2>err || { s=$?; cat err; return $s; }
	is_on moved || return 1
	test "$(virt domstate src)" = "shut off" || return 1
	cmp a.raw "$pool/moved-disk-vda.raw"
}

check 'before anything: a finding, and the source runs on' '
	begin
	full 4
	exits 3 palletjack run m.yaml 2>err || { cat err; exit 1; }
	cat err
	grep "TargetSpaceNotEnough.*$pool. has 4.0 MiB free" err
	is_on src
	goes_on
'
check 'as it is claimed' '
	begin
	palletjack run --until validate m.yaml
	full
	stops cutover "$pool/.palletjack/moved"
	given_back
	goes_on --redo cutover
'
check 'while it is copied' '
	begin
	sed "s/^spec: {retry/spec: {limits: {bandwidth: 2Mi}, retry/" m.yaml >slow.yaml
	refute cmp m.yaml slow.yaml
	palletjack run slow.yaml 2>err & run=$!
	within 60 test -s "$pool/.palletjack/moved/disk-vda.raw"
	full
	exits 5 wait $run || { cat err; exit 1; }
	cat err
	grep "disk-vda.raw.*No space left on device" err
	given_back
	goes_on --redo cutover
'
check 'as it is defined' '
	begin
	palletjack run --until verify m.yaml
	full
	stops create-vm "$pool/.palletjack/moved/domain.xml"
	given_back
	refute virt dominfo moved
	goes_on --redo create-vm
'
check 'as it is handed over' '
	begin
	palletjack run --until create-vm m.yaml
	full
	stops start "$pool/.palletjack/moved/handover.json"
	given_back
	goes_on --redo start
'
check 'as it is taken back: the target is not stopped without a mark' '
	full
	exits 5 palletjack rollback --discard-target-writes m.yaml 2>err || {
		cat err
		exit 1
	}
	cat err
	grep "handover.json.*No space left on device" err
	is_on moved
	test "$(virt domstate src)" = "shut off"
	rm "$pool/theirs"
	exits 9 palletjack rollback --discard-target-writes m.yaml
	refute virt dominfo moved
	is_on src
'
test_end
