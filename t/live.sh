# SPDX-License-Identifier: Apache-2.0
# The real guest as a domain of a libvirtd of the test's own, for tests in a
# directory below t.
#
# As this is read root makes the guest, unless it is there, opens its disks, and
# becomes nobody, who finds them as descriptors 7 and 8.  live_guest is what makes
# the guest (guest.sh), live_disks what its disks are called (system data).
live_guest=${live_guest:-guest.sh} live_disks=${live_disks:-system data}
test -n "$LIVE_GUEST" || {
	LIVE_GUEST=$("${0%/*}/../testbed/$live_guest") || {
		echo '1..0 # SKIP the guest cannot be built'
		exit 0
	}
	export LIVE_GUEST
	exec 7<"$LIVE_GUEST/${live_disks% *}.raw" \
		8<"$LIVE_GUEST/${live_disks#* }.raw"
}
. "${0%/*}/../local.sh"
. "${0%/*}/../virt.sh"

# After test_begin.
live_needs() {
	virt_needs
	requires perl -MIO::Socket::UNIX -e 1
}

# live_disk TARGET FORMAT FILE: each is a target of its own, as pvscsi has no
# other units.
live_disk() {
	cat <<END
<disk type='file' device='disk'><driver name='qemu' type='$2'/>
<source file='$PWD/$3'/><target dev='$1' bus='scsi'/>
<address type='drive' target='$(echo "$1" | tr -d ds | tr a-i 0-8)' unit='0'/></disk>
END
}

# live_define NAME DISKS [SCSI OS]: what a VMware guest has, unless SCSI is another
# controller, and a console that is both kept, in NAME.log, and can be written to.
live_define() {
	cat >"$1.xml" <<END
<domain type='qemu'><name>$1</name><memory unit='MiB'>768</memory>
<os>${4-<type arch='x86_64' machine='pc'>hvm</type>}</os>
<features><acpi/></features>
<cpu mode='custom' match='exact'><model>qemu64</model></cpu>
<devices><controller type='scsi' model='${3-vmpvscsi}'/>$2
<interface type='user'><mac address='00:50:56:11:22:33'/><model type='vmxnet3'/></interface>
<serial type='unix'><source mode='bind' path='$PWD/$1.sock'/>
<log file='$PWD/$1.log' append='on'/></serial>
</devices></domain>
END
	virt define "$1.xml"
}

# live_web: a daemon, and its domain web with the disks of guest.sh, to be started.
live_web() {
	qemu-img convert -f raw -O qcow2 /dev/fd/7 system.qcow2 &&
		qemu-img convert -f raw -O qcow2 /dev/fd/8 data.qcow2
	virt_start
	live_define web "$(live_disk sda qcow2 system.qcow2)$(live_disk sdb qcow2 data.qcow2)" || {
		cat libvirtd.log
		skip_all 'libvirtd has no qemu here'
	}
	at_end 'virt destroy web'
}

# order ORDER ANSWER: to the guest web; prints the line that begins so.
order() {
	"$TOP/t/testbed/order.pl" web.sock 300 "$2" "$1" >said || {
		cat said
		return 1
	}
	grep "^$2" said
}

# live_manifest POLICY [PLAN]: the guest web, warm unless PLAN says so, to a
# local target
live_manifest() {
	local_source='{type: libvirt, url: "qemu:///session"}'
	local_manifest "web=$PWD:fast" "${2-type: warm}" "$1"
	sed -i "s/^  map: \[\]/  map: [{source: {name: user}, destination: {type: pod}}]/" m.yaml
}

# up_at LOG [SECONDS]: within that time, or four minutes, a guest is up there; its
# line
up_at() {
	within "${2-240}" grep -aqs 'GUEST-UP .*up=' "$1" &&
		grep -a 'GUEST-UP ' "$1" | tail -n 1 | tr -d '\r'
}

# arrived LOG: the guest there has all files that the source had as it went down
arrived() {
	wrote=$(sed -n "s/^GUEST-DOWN files=\([0-9]*\).*/\1/p" web.log |
		tail -n 1)
	test "$wrote" -ge 10 &&
		within 240 grep -aq '^WRITTEN files=[0-9]* sums=..' "$1" &&
		grep -a ^WRITTEN "$1" && grep -a "^WRITTEN files=$wrote sums=ok" "$1"
}
