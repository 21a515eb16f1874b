#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Domains of another machine's libvirtd: asked by libvirt's own ssh, their disks
# read by ours.  The machine is this one, behind an sshd.
. "${0%/*}/lib.sh"
. "${0%/*}/local.sh"
. "${0%/*}/virt.sh"
. "${0%/*}/ssh.sh"
test_begin 'domains of another machine are moved by ssh'
virt_needs
ssh_needs

virt_start
ssh_start
at_end web_is_gone
virt_source="{type: libvirt, url: \"$ssh_url\"}"
state=$PALLETJACK_STATE/t/p/web

# Whatever was begun there is gone: who reads, and where it does.
nothing_there() {
	pgrep -u "$(id -u)" -f "qemu-nbd.*$PWD" >there || :
	for left in /tmp/palletjack-disk-*; do
		test -O "$left" || continue
		read -r shell server <"$left/pids" || continue
		kill -0 "$shell" || echo "$left $server" >>there
	done
	cat there
	test ! -s there
} 2>/dev/null

web_is_made || {
	cat libvirtd.log
	skip_all 'libvirtd has no qemu here'
}
virt destroy web

# --- off

check 'what it has is told, and its disks can be read' '
	manifest "{name: web}" "cutover: {fence: rename}"
	palletjack plan m.yaml >out
	cat out
	refute grep DiskNotReadable out
'
check 'a domain that is off is moved, and what was left of another swept' '
	mkdir "/tmp/palletjack-disk-$$"
	echo 999999999 999999999 >"/tmp/palletjack-disk-$$/pids"
	run 0
	test ! -e "/tmp/palletjack-disk-$$"
	same
	nothing_there
	test "$(info web.moved-by-palletjack State)" = "shut off"
'
check 'an image that stands on another, and one whose name is odd' '
	rm -rf "$PALLETJACK_STATE" target
	mv a.qcow2 "a'"'"'s \$b;.qcow2"
	qemu-img create -q -f qcow2 -F qcow2 -b "a'"'"'s \$b;.qcow2" top.qcow2
	qemu-io -f qcow2 -c "write -q -P 9 3M 3M" top.qcow2
	define other "$(disk vda qcow2 top.qcow2)$(disk vdb raw b.raw)"
	manifest "{name: other}" "cutover: {fence: none}"
	run 0
	qemu-img compare -f raw -F qcow2 target/fast/other/disk-vda.raw top.qcow2
	virt undefine other
'
check 'an image that is not for us to read is a finding' '
	define other "$(disk vda raw b.raw)"
	chmod 0 b.raw
	rm -rf "$PALLETJACK_STATE" target
	exits 3 palletjack run m.yaml 2>err
	chmod 600 b.raw
	cat err
	grep "b.raw. cannot be read by" err
	virt undefine other
'

# --- it runs

check 'a running domain: a generation, a second, and the last delta' '
	virt undefine web.moved-by-palletjack
	web_is_made
	warm_manifest "$warm_quick"
	run 7
	test "$(fact web precopy/disk-vda pass)" = all
	guest a.qcow2 "write -P 3 1M 256k"
	guest b.raw "write -P 4 5M 64k"
	run 7
	test "$(fact web precopy/disk-vda pass)" = changed
	test "$(fact web precopy/disk-vda changed)" -eq 262144
	guest a.qcow2 "write -P 5 3M 64k"
	run 0 --cutover now
	test "$(fact web cutover/disk-vda pass)" = changed
	same
	nothing_left
	nothing_there
'

# --- what breaks

# policy SPEC: tried again at once, and again by the next run
policy() {
	warm_manifest "$warm_quick, deadlines: {wait: 10s}, $1"
	sed -i "s/attempts: 1}/attempts: 3, first: 100ms, max: 1s}/" m.yaml
}
slow() {
	policy "limits: {bandwidth: 2Mi}"
}
fast() {
	policy "limits: {}"
}
has_byte() { # FILE OFFSET BYTE
	test "$(od -An -tu1 -j "$2" -N 1 "$1" 2>/dev/null | tr -d " ")" = "$3"
}
begun() {
	has_byte target/fast/web/disk-vda.raw 0 3 || test_is_gone "$(cat run)"
}
# begin ARGUMENT...: a run in the background, until the first bytes are there
begin() {
	palletjack run m.yaml "$@" 2>err &
	echo $! >run
	within 60 begun
}
ended() { # STATUS
	begin_status=0
	wait "$(cat run)" || begin_status=$?
	cat err
	test "$begin_status" -eq "$1"
}
# goes_on ARGUMENT...: ends well, now that it may be tried again
goes_on() {
	palletjack run m.yaml "$@" 2>err
}
goes_on_to() { # STATUS
	exits "$1" palletjack run m.yaml 2>err
}
check 'the connections break in the middle of a copy: made again, it goes on' '
	web_is_made
	fast
	run 7
	slow
	guest a.qcow2 "write -P 3 0 12M"
	begin
	ssh_cut
	ended 7
	grep "precopy/disk-vda *failed.*; what served it has ended" err
	fast
	guest a.qcow2 "write -P 6 2M 64k"
	run 0 --cutover now
	same
	nothing_left
	nothing_there
'
check 'and in the middle of the last delta, with the machine away' '
	web_is_made
	fast
	run 7
	guest a.qcow2 "write -P 3 0 12M"
	virt destroy web --graceful
	slow
	begin --cutover now
	ssh_stop
	ended 5
	within 10 nothing_there
	sshd_begin
	fast
	within 60 goes_on --cutover now
	same
	nothing_left
'
check 'its libvirtd is killed in the middle of a copy, and started again' '
	web_is_made
	fast
	run 7
	slow
	guest a.qcow2 "write -P 3 0 12M"
	begin
	kill -KILL "$(cat "$XDG_RUNTIME_DIR/libvirt/libvirtd.pid")"
	ended 5
	grep "libvirt-sock.*is libvirtd running there" err
	libvirtd --timeout=60 >>libvirtd.log 2>&1 &
	at_end "end_process $!"
	within 30 env LIBVIRT_AUTOSTART=0 virsh -q -c qemu:///session list
	fast
	within 60 goes_on_to 7
	run 0 --cutover now
	same
	nothing_left
'
check 'a run that is killed leaves nothing there' '
	web_is_made
	virt destroy web
	slow
	sed -i "/type: warm/d" m.yaml
	qemu-io -f qcow2 -c "write -q -P 3 0 12M" a.qcow2
	begin
	pgrep -u "$(id -u)" -f "qemu-nbd.*$PWD/a.qcow2"
	kill -KILL "$(cat run)"
	wait "$(cat run)" || :
	within 10 nothing_there
	fast
	sed -i "/type: warm/d" m.yaml
	run 0
	same
'

# --- whom not to believe

check 'a machine whose key is not known is not talked to' '
	rm -rf "$PALLETJACK_STATE"
	: >ssh/known
	exits 2 palletjack run m.yaml 2>err
	cat err
	grep "Host key verification failed.*its host key is not known here" err
	ssh_knows
'
test_end
