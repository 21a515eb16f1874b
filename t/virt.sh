# SPDX-License-Identifier: Apache-2.0
# A libvirtd of the test's own, as an ordinary user: a session's daemon is
# nothing for root, who becomes nobody as this is read.
test "$(id -u)" -ne 0 || {
	as_nobody='setpriv --reuid=nobody --regid=nogroup --clear-groups'
	$as_nobody test -r "$0" || {
		echo "1..0 # SKIP the user nobody cannot read $0"
		exit 0
	}
	TMPDIR=/tmp exec $as_nobody "$0"
}

# After test_begin: what the machine must have, and where the daemon looks.
virt_needs() {
	requires jq
	requires libvirtd --version
	requires virsh --version
	requires qemu-system-x86_64 --version
	requires qemu-nbd --version
	requires qemu-io --version
	# Its own daemon would log through another one, which outlives the
	# test.  Names of sockets are short, and it makes long ones.
	export XDG_CONFIG_HOME="$HOME/c"
	mkdir -p "$XDG_CONFIG_HOME/libvirt"
	echo 'stdio_handler = "file"' >"$XDG_CONFIG_HOME/libvirt/qemu.conf"
}

virt_start() {
	libvirtd --timeout=1800 >libvirtd.log 2>&1 &
	libvirtd=$!
	at_end "end_process $libvirtd"
	within 30 test -S "$XDG_RUNTIME_DIR/libvirt/libvirt-sock" >within || {
		cat libvirtd.log within
		skip_all 'libvirtd does not start here'
	}
}

virt() {
	virsh -q -c qemu:///session "$@"
}
# disk TARGET FORMAT FILE [MORE]
disk() {
	cat <<EOF
<disk type='file' device='disk'><driver name='qemu' type='$2'/>
<source file='$PWD/$3'/><target dev='$1' bus='virtio'/>$4</disk>
EOF
}
# domain NAME DEVICES: its XML
domain() {
	cat <<EOF
<domain type='qemu'><name>$1</name><memory unit='MiB'>32</memory>
<os><type arch='x86_64' machine='pc'>hvm</type></os>
<devices>$2<interface type='user'/></devices></domain>
EOF
}
define() {
	domain "$@" >"$1.xml" && virt define "$1.xml"
}
# manifest VMS POLICY
manifest() {
	local_source='{type: libvirt, url: "qemu:///session"}'
	local_manifest "web=$PWD:fast" "$local_raw" "retry: {attempts: 1}, $2"
	sed -i "s/^  map: \[\]/  map: [{source: {name: user}, destination: {type: pod}}]/
		s/^  vms: .*/  vms: [$1]/" m.yaml
}
fact() { # VM STEP KEY: of its last success
	jq -rc --arg s "$2" 'select(.type == "result" and .step == $s).facts.'"$3" \
		"$PALLETJACK_STATE/t/p/$1/journal" | tail -n 1
}
info() { # DOMAIN KEY
	virt dominfo "$1" | sed -n "s/^$2: *//p"
}

# A target at libvirt.
pool() { # NAME: a directory of the test
	mkdir -p "$1" && virt pool-define-as "$1" dir --target "$PWD/$1" &&
		virt pool-start "$1"
}
# m.yaml, which local_manifest made, with the session as its target: storage
# classes are pools
to_libvirt() {
	sed -i "s,{type: local\, url: target\,,{type: libvirt\, url: \"qemu:///session\"\,," m.yaml
}
# No domain is there, and no file of a vm in those pools.
virt_clear() { # POOL...
	virt list --all --name 2>/dev/null | while read -r name; do
		test -n "$name" || continue
		virt destroy "$name" || :
		virt undefine --nvram --managed-save --checkpoints-metadata "$name"
	done >cleared 2>&1
	for pool; do
		rm -rf "$pool/.palletjack" "$pool"/web-disk-*
	done
}
