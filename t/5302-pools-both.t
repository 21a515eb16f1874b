#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# From a libvirtd to itself: source and target see each other's domains and
# files, and must never run at once.  What ran when is what the daemon's own
# events say.
. "${0%/*}/lib.sh"
. "${0%/*}/local.sh"
. "${0%/*}/fake.sh"
. "${0%/*}/virt.sh"
test_begin 'a domain moves within one libvirtd, and never runs twice'
virt_needs
requires nbdkit --version
requires_fault
export LIBVIRT_AUTOSTART=0

# plan TYPE POWER [POLICY]
plan() {
	manifest '{name: src, targetName: moved}' \
		"cutover: {hardPowerOff: fallback}, deadlines: {shutdown: 1s}, precopy: {interval: 1ms}${3:+, $3}"
	to_libvirt
	sed -i "s/targetPowerState: .*/targetPowerState: \"$2\"/
		s/^  targetNamespace: .*/&\n  type: $1/" m.yaml
}
same() {
	qemu-img compare -U -f raw -F qcow2 fast/moved-disk-vda.raw a.qcow2 &&
		qemu-img compare -U -f raw -F raw fast/moved-disk-vdb.raw b.raw
}
# guest FILE COMMAND: the source's disk is written, as if by itself
guest() {
	device=$(virt qemu-monitor-command src '{"execute": "query-block"}' |
		jq -r --arg f "$PWD/$1" '.return[] | select(.inserted.file == $f).qdev')
	virt qemu-monitor-command src --hmp "qemu-io -d $device \"$2\"" >io
	cat io
	refute grep -qi 'error\|conflict' io
}
mac() {
	virt domiflist "$1" --inactive | grep -o '..:..:..:..:..:..'
}
# came N [WANTED...]: "src Stopped" and the like, and nothing else, from event N
# on.  The last word of a domain that has ended comes a moment later.
ran_since() {
	tail -n "+$1" events | grep -v 'Resumed\|Suspended\|Shutdown \|Defined ' |
		sed "s/.*for domain '\(.*\)': \([A-Za-z]*\) .*/\1 \2/"
}
is_since() {
	ran_since "$1" | cmp -s want -
}
came() {
	from=$1
	shift
	: >want
	test $# -eq 0 || printf '%s\n' "$@" >want
	within 10 is_since "$from" || {
		cat events
		return 1
	}
}
is_last() { # "moved Stopped": nothing of it came after that
	test "$(ran_since 1 | grep "^${1% *} " | tail -n 1)" = "$1"
}
next_event() {
	echo $(($(wc -l <events) + 1))
}

# The daemon's emulator: as the target is started, and before its guest can run,
# somebody starts the source, where the test asks for that.
real_qemu=$(command -v qemu-system-x86_64)
mkdir bin
cat >bin/qemu-system-x86_64 <<EOF
#!/bin/sh
case "\$*" in
*guest=moved*)
	test ! -e "$PWD/inject" || {
		rm "$PWD/inject"
		XDG_RUNTIME_DIR="$XDG_RUNTIME_DIR" LIBVIRT_AUTOSTART=0 \
			virsh -q -c qemu:///session start src >"$PWD/injected" 2>&1
	} ;;
esac
exec "$real_qemu" "\$@"
EOF
chmod +x bin/*
PATH=$PWD/bin:$PATH

qemu-img create -q -f qcow2 a.qcow2 32M
qemu-io -f qcow2 -c 'write -q -P 1 0 6M' -c 'write -q -P 2 20M 3M' a.qcow2
head -c 3000000 /dev/urandom >b.raw
truncate -s 8M b.raw
plan cold auto
palletjack plan m.yaml 2>&1 | grep -q 'has no libvirt' &&
	skip_all 'this build has no libvirt'
virt_start
pool fast || skip_all 'libvirtd has no pools here'
define src "$(disk vda qcow2 a.qcow2)$(disk vdb raw b.raw)" || {
	cat libvirtd.log
	skip_all 'libvirtd has no qemu here'
}
virt start src
at_end 'virt destroy src'
at_end 'virt destroy moved'
at_end 'virt destroy theirs'
virt autostart src
virsh -c qemu:///session event --loop --event lifecycle --timestamp >events 2>&1 &
at_end "end_process $!"
within 10 test -e events
until grep -q "domain 'probe': Defined" events; do
	define probe '' && virt undefine probe
done
within 10 grep -q "domain 'probe': Undefined" events

check 'the source stops, then the target starts' '
	n=$(next_event)
	palletjack run m.yaml 2>err || { s=$?; cat err; exit $s; }
	test "$(info moved State)" = running
	test "$(info src State)" = "shut off"
	came $n "src Stopped" "moved Started"
	same
'
check 'it has the addresses of its network cards, and a uuid of its own' '
	mac src; test "$(mac src)" = "$(mac moved)"
	test "$(virt domuuid src)" != "$(virt domuuid moved)"
	test "$(info src Autostart)" = disable
	test "$(info moved Autostart)" = disable
'
check 'neither name nor disks of the source are taken' '
	virt domblklist src --details >disks; cat disks
	grep -q "$PWD/a.qcow2" disks
	grep -q "$PWD/b.raw" disks
	sed "s/, targetName: moved//" m.yaml >n.yaml
	exits 3 palletjack --state "$PWD/other" run n.yaml 2>err; cat err
	grep -q "has a domain .src. already, the source itself" err
'
check 'back: the target stops and is gone, then the source starts' '
	n=$(next_event)
	exits 9 palletjack rollback --discard-target-writes m.yaml
	came $n "moved Stopped" "moved Undefined" "src Started"
	test "$(info src State)" = running
	test "$(info src Autostart)" = enable
	test -e fast/moved-disk-vda.raw
'
check 'gc --disks leaves the source as it is' '
	sha256sum b.raw >sums
	palletjack gc --disks m.yaml
	sha256sum -c sums
	test "$(info src State)" = running
	test ! -e fast/moved-disk-vda.raw
'
check 'a source that was started meanwhile is stopped and copied again, the target not started beside it' '
	n=$(next_event)
	palletjack run --until create-vm m.yaml
	virt start src
	guest a.qcow2 "write -P 7 9M 1M"
	palletjack run m.yaml 2>err || { s=$?; cat err; exit $s; }
	came $n "src Stopped" "src Started" "src Stopped" "moved Started"
	same
'
check 'what runs is not copied to again, with whatever state' '
	cp -a "$PALLETJACK_STATE" older
	rm "older/t/p/src/journal"
	exits 6 palletjack --state "$PWD/older" run m.yaml 2>err ||
		{ cat err; exit 1; }
	grep -q "has been handed over" err
	test "$(info moved State)" = running
	same
'
check 'given back once more' '
	exits 9 palletjack rollback --discard-target-writes m.yaml
	palletjack gc --disks m.yaml
	test "$(info src State)" = running
'

check 'a target that somebody defined anew, and that runs: the source stays off' '
	palletjack run m.yaml 2>err || { s=$?; cat err; exit $s; }
	virt dumpxml --inactive moved |
		sed "/<uuid>/d; s,<name>moved<,<name>theirs<," >anew.xml
	virt destroy moved
	virt undefine moved
	virt define anew.xml
	virt start theirs
	exits 6 palletjack rollback --discard-target-writes m.yaml 2>err || {
		cat err
		exit 1
	}
	cat err
	grep -q "domain .theirs. at .* uses the disks of vm .moved." err
	palletjack status m.yaml | grep "^src: finished"
	test "$(info src State)" = "shut off"
	test "$(info theirs State)" = running
	virt destroy theirs
	exits 9 palletjack rollback --discard-target-writes m.yaml
	test "$(info src State)" = running
	virt undefine theirs
	palletjack gc --disks m.yaml
'
check 'the source is started between the look at it and the start' '
	n=$(next_event)
	touch inject
	exits 6 palletjack run m.yaml 2>err || { cat err; exit 1; }
	cat err injected
	grep -q "the source .src. runs: the target must not run beside it" err
	test "$(info src State)" = running
	test "$(info moved State)" = "shut off"
	within 10 is_last "moved Stopped"
	tail -n "+$n" events >since
	cat since
	grep "domain .moved.: Started" since
	refute grep "domain .moved.: Resumed" since
'
check 'it is given back as it is' '
	exits 9 palletjack rollback --discard-target-writes m.yaml
	palletjack gc --disks m.yaml
	test "$(info src State)" = running
'

# A place that nobody can ask says nothing of what is there: it is the journal
# that knows.
check 'a start that found no pool has started nothing' '
	plan cold auto
	palletjack run m.yaml --until create-vm
	virt pool-destroy fast
	exits 5 palletjack run m.yaml 2>err || { cat err; exit 1; }
	cat err
	grep "start  *FAILED" err
	refute grep "may have started" err
	grep "src: the source is off; .*to give it back: palletjack rollback m.yaml --vm src" err
'
check 'nor is the source started beside what cannot be asked; then it is' '
	test "$(info src State)" = "shut off"
	virt pool-start fast
	exits 9 palletjack rollback m.yaml
	test "$(info src State)" = running
	palletjack gc --disks m.yaml
'

# The target runs, and nothing was heard of that.
killed_behind_start() {
	exits 137 with_fault FAULT_PROGRAM=palletjack FAULT_FILE=journal \
		FAULT_OPS=write FAULT_WHEN=before \
		FAULT_MATCH="\"result\",\"step\":\"start\"" palletjack run m.yaml
}
check 'its name edited and the source started: the one that runs is stopped' '
	killed_behind_start
	test "$(info moved State)" = running
	sed "s/targetName: moved/targetName: renamed/" m.yaml >n.yaml
	virt start src
	exits 6 palletjack run n.yaml 2>err || { cat err; exit 1; }
	cat err
	grep "the target was stopped again" err
	test "$(info moved State)" = "shut off"
	test "$(info src State)" = running
'
check 'another target named: that is said, and nothing believed stopped' '
	virt destroy src
	virt start moved
	virt start src
	sed "s,{type: libvirt\, url: \"qemu:///session\"\, \(.*raw\),{type: local\, url: other\, \1," m.yaml >o.yaml
	diff m.yaml o.yaml || :
	exits 6 palletjack run o.yaml 2>err || { cat err; exit 1; }
	cat err
	grep "STOP ONE OF THE TWO BY HAND" err
	refute grep "stopped again" err
	virt destroy moved
'
check 'and given back, under whatever name' '
	exits 9 palletjack rollback --discard-target-writes n.yaml
	test "$(info src State)" = running
	palletjack gc --disks n.yaml
	refute virt dominfo moved
'
check 'one that somebody removed is not started, and only a rollback helps' '
	killed_behind_start
	virt destroy moved
	virt undefine moved
	exits 6 palletjack run m.yaml 2>err || { cat err; exit 1; }
	cat err
	grep "there is no domain .moved. .*any more: somebody removed it" err
	refute grep "redo create-vm" err
	exits 9 palletjack rollback --discard-target-writes m.yaml
	test "$(info src State)" = running
	palletjack gc --disks m.yaml
'

check 'the example has nothing but to be run' '
	sed "s,qemu:///system,qemu:///session,; s/- name: web/- name: src/
		s,type: multus.*},type: pod},; /StorageMap/,/---/s,{name: default},{name: $PWD},
		/NetworkMap/,/---/s,{name: default},{name: user}," \
		"$TOP/examples/libvirt-to-libvirt/libvirt-to-libvirt.yaml" >e.yaml
	palletjack plan e.yaml >plan 2>&1 || { s=$?; cat plan; exit $s; }
	cat plan
	grep "^src -> web-fast: ready" plan
	grep "precopy/disk-vda *run" plan
'

plan warm auto
check 'warm: generations while the source runs' '
	next_event >n
	exits 7 palletjack run m.yaml
	guest a.qcow2 "write -P 3 1M 256k"
	guest b.raw "write -P 4 5M 64k"
	exits 7 palletjack run m.yaml
	test "$(fact src precopy/disk-vda pass)" = changed
	test "$(info src State)" = running
	refute virt dominfo moved
	came "$(cat n)"
'
check 'the cutover stops it, copies the rest, starts the target' '
	guest a.qcow2 "write -P 5 3M 64k"
	palletjack run m.yaml --cutover now 2>err || { s=$?; cat err; exit $s; }
	test "$(info moved State)" = running
	came "$(cat n)" "src Stopped" "moved Started"
	same
'
check 'nothing is left to do, and nothing of ours at the source' '
	cp "$PALLETJACK_STATE/t/p/src/journal" before
	palletjack run m.yaml
	cmp before "$PALLETJACK_STATE/t/p/src/journal"
	virt checkpoint-list src --name >left; refute grep palletjack left
'
test_end
