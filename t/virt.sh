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

# virt_start [OPTION]
virt_start() {
	libvirtd --timeout=1800 "$@" >libvirtd.log 2>&1 &
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
# manifest VMS POLICY; the source is $virt_source, else the session's daemon
manifest() {
	local_source=${virt_source:-'{type: libvirt, url: "qemu:///session"}'}
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

# Warm plans of one domain `web`: vda is the qcow2 a.qcow2, vdb the raw b.raw.

# warm_manifest POLICY
warm_manifest() {
	manifest "{name: web}" "$1"
	sed -i "s/^  targetNamespace: .*/&\n  type: warm/" m.yaml
}
# A guest of which nothing runs does not shut down.
warm_quick='precopy: {interval: 1ms}, cutover: {hardPowerOff: always}'

# guest FILE COMMAND: the guest's disk is written, as if by itself
guest() {
	device=$(virt qemu-monitor-command web '{"execute": "query-block"}' |
		jq -r --arg f "$PWD/$1" '.return[] |
			select(.inserted.file == $f).qdev')
	virt qemu-monitor-command web --hmp "qemu-io -d $device \"$2\"" >io
	cat io
	refute grep -qi "error\|conflict" io
}
# same [VDA [FORMAT]]: what is at the target is what is at the source, which is
# off
same() {
	qemu-img compare -f raw -F "${2:-qcow2}" target/fast/web/disk-vda.raw \
		"${1:-a.qcow2}" && cmp target/fast/web/disk-vdb.raw b.raw
}
# nothing_left [FILE]: of ours, at the source
nothing_left() {
	virt checkpoint-list web --name >left
	virt domjobinfo web >>left 2>&1 || : it is off
	for left_image in a.qcow2 "$@"; do
		qemu-img info --force-share "$left_image" >>left
	done
	find . "$XDG_RUNTIME_DIR" -name 'palletjack-*' >>left
	cat left
	refute grep 'palletjack-[0-9a-f]*-[0-9]\|Backup' left
}
# web_is_made [VDA-DRIVER]: a domain of its own, running, as it has not been
# seen before; its disks' driver has that attribute, too
web_is_made() {
	web_is_gone
	rm -rf "$PALLETJACK_STATE" target
	qemu-img create -q -f qcow2 a.qcow2 16M &&
		qemu-io -f qcow2 -c 'write -q -P 1 0 4M' \
			-c 'write -q -P 2 10M 3M' a.qcow2 &&
		head -c 3000000 /dev/urandom >b.raw && truncate -s 8M b.raw &&
		define web "$(disk vda qcow2 a.qcow2 |
			sed "s/<driver/& $1/")$(disk vdb raw b.raw |
			sed "s/<driver/& $1/")" &&
		virt start web
}
web_is_gone() {
	virt destroy web || :
	virt undefine web --checkpoints-metadata --snapshots-metadata || :
	rm -f a.* b.* "$XDG_RUNTIME_DIR"/palletjack-*
} >/dev/null 2>&1
# run STATUS ARGUMENT...: what it says, but steps that went well
run() {
	run_status=$1
	shift
	exits "$run_status" palletjack run m.yaml "$@" 2>err || {
		cat err
		return 1
	}
	grep -v "done in\|\.\.\.$" err || :
}
qemu_of() {
	cat "$XDG_RUNTIME_DIR/libvirt/qemu/run/$1.pid"
}
web_is_killed() {
	kill -KILL "$(qemu_of web)"
	within 30 sh -c "virsh -q -c qemu:///session domstate web | grep -q off"
}
