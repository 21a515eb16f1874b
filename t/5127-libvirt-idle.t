#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A session's daemon that ends when its last domain is off: that is said before
# a cutover stops that.
. "${0%/*}/lib.sh"
. "${0%/*}/local.sh"
. "${0%/*}/virt.sh"
test_begin 'a daemon that ends when it is idle is told of'
virt_needs
export LIBVIRT_AUTOSTART=0

# daemon ARGUMENT...: another one
daemon() {
	libvirtd "$@" >libvirtd.log 2>&1 &
	libvirtd=$!
	at_end "end_process $libvirtd"
	at_end web_is_gone
	within 30 virsh -q -c qemu:///session list >within 2>&1
}
warm_manifest "$warm_quick"
daemon --timeout=90 && web_is_made || {
	cat libvirtd.log
	skip_all 'libvirtd has no qemu here'
}

check 'a daemon that stays for a minute and a half' '
	palletjack validate --online m.yaml >out 2>&1; cat out
	grep "Warn SessionDaemonEnds: .*vm .web.: .*(process $libvirtd) ends by itself 90 s after its last domain" out
'
end_process $libvirtd
daemon --timeout 60
check 'the same, as two arguments' '
	test "$(virt domstate web)" = running
	palletjack validate --online m.yaml >out 2>&1; cat out
	grep "(process $libvirtd) ends by itself 60 s after its last domain" out
'
end_process $libvirtd
daemon
check 'one that stays: nothing is said' '
	test "$(virt domstate web)" = running
	palletjack validate --online m.yaml >out 2>&1; cat out
	refute grep SessionDaemonEnds out
'
end_process $libvirtd
daemon --timeout=90
check 'nor of a domain that is off' '
	virt destroy web --graceful
	palletjack validate --online m.yaml >out 2>&1; cat out
	refute grep SessionDaemonEnds out
'
test_end
