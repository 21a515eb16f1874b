#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Vms go into the pools of a real libvirtd and become its domains: what lies
# there of others is left alone, and what is ours can be told from it.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
. "${0%/*}/local.sh"
. "${0%/*}/virt.sh"
test_begin 'vms become domains of libvirt, their disks volumes of its pools'
virt_needs
requires nbdkit --version
# nobody but the test starts a daemon
export LIBVIRT_AUTOSTART=0

state=$PALLETJACK_STATE/t/p/web
# begin POWER [POLICY]: all as if it had never been moved
begin() {
	virt_clear fast bulk
	rm -rf "$PALLETJACK_STATE"
	local_source=
	local_manifest web=one.raw:fast,two.qcow2:bulk \
		"skipGuestConversion: true, targetPowerState: \"$1\"" \
		"retry: {attempts: 1, first: 1ms, max: 1ms}, ${2:-onFailure: hold}" "$local_format"
	to_libvirt
}
stop_libvirtd() {
	end_process $libvirtd || :
}
same() { # FORMAT OF THE TARGET'S DISKS
	qemu-img compare -f raw -F "$1" one.raw "fast/.palletjack/web/disk-0.$1" &&
		qemu-img compare -f qcow2 -F "$1" two.qcow2 "bulk/.palletjack/web/disk-1.$1"
}
mark() {
	jq -r .state "$1/.palletjack/web/handover.json"
}
claimed() {
	virt metadata web --uri https://palletjack.io/libvirt/claim/1
}

head -c 3000000 /dev/urandom >one.raw
truncate -s 8M one.raw
qemu-img create -q -f qcow2 two.qcow2 16M
qemu-io -f qcow2 -c 'write -q -P 2 1M 3M' two.qcow2

local_format=raw
begin off
palletjack plan m.yaml 2>&1 | grep -q 'has no libvirt' &&
	skip_all 'this build has no libvirt'
virt_start
pool fast && pool bulk || skip_all 'libvirtd has no pools here'
echo theirs >fast/web-notes.raw

check 'a vm is moved, and its domain defined and off' '
	palletjack run m.yaml 2>err || { s=$?; cat err; exit $s; }
	same raw; info web State; info web Autostart
	test "$(info web State)" = "shut off"
	test "$(info web Autostart)" = disable
	test "$(mark fast)" = left-off
	test "$(mark bulk)" = left-off
'
check 'status says where it is' '
	palletjack status m.yaml >text; cat text
	grep "^  at the target: domain .web. of qemu:///session, disks in pool fast, bulk\$" text
	palletjack status -o json m.yaml >json; cat json
	jq -ec ".vms[0].place" json >got
	jq -nc "{uri: \"qemu:///session\", domain: \"web\", pools: [\"fast\", \"bulk\"]}" >want
	cmp_ok want got
'
check 'libvirt lists the volumes, and which disks are whose' '
	virt vol-list fast >vols; cat vols
	grep -q "web-disk-0.raw" vols
	virt domblklist web --details >disks; cat disks
	grep -q "$PWD/fast/web-disk-0.raw" disks
	grep -q "$PWD/bulk/web-disk-1.raw" disks
'
check 'the domain says whose it is' '
	claimed >claim; cat claim
	grep "plan=.t/p. vm=.web." claim
	grep "state=.$(jq -r .uuid fast/.palletjack/web/palletjack.json)." claim
	grep "uuid=.$(virt domuuid web)." claim
'
check 'again: nothing is left to do, and nobody is asked' '
	cp "$state/journal" before
	stop_libvirtd
	palletjack run m.yaml
	cmp before "$state/journal"
'
virt_start
check 'handed over and off it may have run: it is not given up unasked' '
	exits 6 palletjack rollback m.yaml
	exits 6 palletjack gc --disks m.yaml
	virt dominfo web
	same raw
'
check 'asked for, it is undefined, and its disks are kept' '
	exits 9 palletjack rollback --discard-target-writes m.yaml
	refute virt dominfo web
	same raw
	test "$(mark fast)" = rolled-back
	exits 9 palletjack run m.yaml
	exits 6 palletjack --state "$PWD/other" run m.yaml 2>err; cat err
	grep -q "was handed over and rolled back" err
'
check 'gc --disks removes all of ours, and nothing else' '
	palletjack gc --disks m.yaml
	find fast bulk -mindepth 1 >left; cat left
	echo fast/web-notes.raw | cmp_ok - left
	virt vol-list fast >vols; refute grep web-disk vols
'

# It runs.
local_format=qcow2
begin on
check 'it is started' '
	palletjack run m.yaml 2>err || { s=$?; cat err; exit $s; }
	test "$(info web State)" = running
	test "$(mark fast)" = started
	test "$(fact web start domain)" = web
	test "$(fact web start uuid)" = "$(virt domuuid web)"
'
check 'rolled back, it is stopped first, and gone' '
	exits 6 palletjack rollback m.yaml
	test "$(info web State)" = running
	exits 9 palletjack rollback --discard-target-writes m.yaml
	refute virt dominfo web
	test -e fast/web-disk-0.qcow2
'
check 'before the hand-over nobody can start it, and libvirt lists no half volume' '
	begin on
	palletjack run --until create-vm m.yaml
	same qcow2
	test "$(info web State)" = "shut off"
	virt pool-refresh fast
	virt vol-list fast >vols
	refute grep web-disk vols
	refute virt start web
'
check 'who starts it all the same keeps every run away' '
	ln fast/.palletjack/web/disk-0.qcow2 fast/web-disk-0.qcow2
	ln bulk/.palletjack/web/disk-1.qcow2 bulk/web-disk-1.qcow2
	virt start web
	exits 6 palletjack run m.yaml 2>err; cat err
	grep -q "runs, and it was not handed over" err
	exits 6 palletjack run --redo verify m.yaml
	test "$(info web State)" = running
	test ! -e fast/.palletjack/web/handover.json
'
check 'and a rollback stops it' '
	exits 9 palletjack rollback m.yaml
	refute virt dominfo web
'
check 'renamed by its operator it is still the vm' '
	begin off
	palletjack run m.yaml
	virt domrename web webserver
	virt start webserver
	exits 9 palletjack rollback --discard-target-writes m.yaml
	refute virt dominfo webserver
'
check 'one that lost its claim is not ours to stop, and the source is not started beside it' '
	begin on
	palletjack run m.yaml
	virt metadata web --uri https://palletjack.io/libvirt/claim/1 --remove --config --live
	exits 6 palletjack rollback --discard-target-writes m.yaml 2>err; cat err
	grep -q "lost the claim in its metadata" err
	test "$(info web State)" = running
'

# One that somebody undefined, and defined anew: no word of ours holds of it.
# anew NAME [SED-SCRIPT]: web, with another uuid
anew() {
	begin on
	palletjack run m.yaml
	virt dumpxml --inactive web >was.xml
	virt destroy web
	virt undefine web
	sed "/<uuid>/d; s,<name>web<,<name>$1<,; ${2-}" was.xml >anew.xml
	virt define anew.xml
	virt start "$1"
}
# not_off STATUS WORDS [DOMAIN]: nothing is given back or removed
not_off() {
	before=$(mark fast)
	cp "$PALLETJACK_STATE/t/p/web/journal" before
	exits "$1" palletjack rollback --discard-target-writes m.yaml 2>err || {
		cat err
		return 1
	}
	cat err
	grep -q "asking whether the target runs: $2" err
	# refused, all is as it was
	test "$(mark fast)" = "$before"
	cmp before "$PALLETJACK_STATE/t/p/web/journal"
	exits 6 palletjack gc --disks m.yaml
	test -e fast/.palletjack/web/disk-0.qcow2
	test -e bulk/.palletjack/web/disk-1.qcow2
	test -z "${3-}" || test "$(info "$3" State)" = running
}
given_back() {
	exits 9 palletjack rollback --discard-target-writes m.yaml
	same qcow2
}
check 'defined anew and running it is not off: no source beside it' '
	anew web
	not_off 6 "domain .web. at .* runs, is not the one .* uses the disks" web
	virt destroy web
	given_back
'
check 'defined anew by another name, neither' '
	anew webserver
	not_off 6 "domain .webserver. at .* uses the disks of vm .web." webserver
	virt destroy webserver
	given_back
'
check 'and once the source has it again, no disk is removed below it' '
	virt start webserver
	exits 6 palletjack gc --disks m.yaml 2>err || { cat err; exit 1; }
	cat err
	grep -q "domain .webserver. at .* uses the disks of vm .web." err
	test -e fast/.palletjack/web/disk-0.qcow2
	test -e bulk/.palletjack/web/disk-1.qcow2
	virt destroy webserver
	palletjack gc --disks m.yaml
	test ! -e fast/.palletjack
'
check 'nor on top of a snapshot' '
	anew webserver
	virt snapshot-create-as webserver now --disk-only --no-metadata
	virt dumpxml webserver >live.xml
	grep "source file=.*now" live.xml
	not_off 6 "domain .webserver. at .* uses the disks of vm .web." webserver
	virt destroy webserver
	given_back
	rm fast/web-disk-0.now bulk/web-disk-1.now
'
check 'another of its name, with disks of its own, may be it as well' '
	begin on
	palletjack run m.yaml
	virt destroy web
	virt undefine web
	define web "$(disk vda qcow2 two.qcow2)"
	virt start web
	not_off 6 "domain .web. at .* runs and is not the one" web
	virt destroy web
	virt undefine web
	given_back
'
check 'a disk that is open in QEMU without any domain is in use' '
	begin on
	palletjack run m.yaml
	virt destroy web
	qemu-nbd -t -k "$PWD/nbd" -f qcow2 bulk/web-disk-1.qcow2 & nbd=$!
	at_end "end_process $nbd"
	within 30 test -S nbd
	not_off 5 ".*disk-1.qcow2. is open in QEMU"
	end_process $nbd
	given_back
'
check 'a domain that uses the disks before the hand-over keeps every run away' '
	begin on
	palletjack run --until create-vm m.yaml
	define other "$(disk vda qcow2 fast/.palletjack/web/disk-0.qcow2)"
	virt start other
	exits 6 palletjack run m.yaml 2>err || { cat err; exit 1; }
	cat err
	grep -q "domain .other. at .* uses the disks of vm .web." err
	test "$(info web State)" = "shut off"
	test "$(info other State)" = running
	test ! -e fast/.palletjack/web/handover.json
	virt destroy other
'

# OPERATION FILE NUMBER, killed behind which, with the vm about to be started
killed_behind() {
	begin on
	exits 5 with_fault FAULT_PROGRAM=palletjack FAULT_OPS="$1" FAULT_FILE="$2" \
		FAULT_AT="$3" FAULT_WHEN=after palletjack run m.yaml
	test "$(info web State)" = "shut off"
	exits 6 palletjack rollback m.yaml
	palletjack run m.yaml
	test "$(info web State)" = running
	test "$(mark fast)" = started
	test "$(mark bulk)" = started
}
if test -e "${PALLETJACK%/*}/t/fault.so"; then
	check 'killed behind a mark, or a volume that is shown: the next run starts it' '
		killed_behind rename handover.json 1
		killed_behind rename handover.json 2
		killed_behind link web-disk-0.qcow2 1
		killed_behind link web-disk-1.qcow2 1
	'
else
	skip 't/fault.so is not built' 'killed while it is handed over'
fi

if test -e /usr/share/OVMF/OVMF_CODE_4M.fd; then
	check 'UEFI: its variables are the daemon'"'"'s, and go with the domain' '
		begin on
		sed -i "s/memory: 64Mi/memory: 64Mi, firmware: efi/" m.yaml
		palletjack run m.yaml
		test "$(info web State)" = running
		nvram=$(virt dumpxml web | sed -n "s,.*<nvram.*>\(/.*\)</nvram>.*,\1,p")
		test -s "$nvram"
		exits 9 palletjack rollback --discard-target-writes m.yaml
		test ! -e "$nvram"
	'
else
	skip 'ovmf is not installed' 'UEFI: its variables'
fi

# What is of others.
local_format=raw
check 'a foreign domain of that name: nothing is begun' '
	begin off
	define web "$(disk vda raw one.raw)"
	exits 3 palletjack run m.yaml 2>err || { cat err; exit 1; }
	cat err; grep -q "TargetNameTaken.*has a domain .web. already" err
	test ! -e fast/.palletjack
'
check 'nor goes on, when it comes in between' '
	begin off
	palletjack run --until verify m.yaml
	define web "$(disk vda raw one.raw)"
	virt dumpxml web >theirs.xml
	exits 6 palletjack run m.yaml 2>err; cat err
	grep -q "has a domain .web. already: it is left alone" err
	virt dumpxml web | cmp_ok theirs.xml -
	same raw
	exits 9 palletjack rollback m.yaml
	palletjack gc --disks m.yaml
	virt dumpxml web | cmp_ok theirs.xml -
'
check 'a foreign file where a volume would be shown: nothing is begun' '
	begin off
	cp two.qcow2 fast/web-disk-0.raw
	cp two.qcow2 theirs
	exits 3 palletjack run m.yaml 2>err; cat err
	grep -q "TargetNameTaken.*fast/web-disk-0.raw" err
	cmp theirs fast/web-disk-0.raw
	test ! -e fast/.palletjack
'
check 'one that comes in between: no hand-over, and not a byte of it changes' '
	rm fast/web-disk-0.raw
	palletjack run --until create-vm m.yaml
	cp two.qcow2 fast/web-disk-0.raw
	exits 6 palletjack run m.yaml 2>err; cat err
	grep -q "fast/web-disk-0.raw. is there and is not the file" err
	test ! -e fast/.palletjack/web/handover.json
	exits 9 palletjack rollback m.yaml
	palletjack gc --disks m.yaml
	cmp theirs fast/web-disk-0.raw
	test ! -e fast/.palletjack
	rm fast/web-disk-0.raw
'
check 'a claim of another state is left alone, its definition, too' '
	begin off
	palletjack run --until create-vm m.yaml
	cp -a "$PALLETJACK_STATE" kept
	exits 4 palletjack --state "$PWD/another" run m.yaml 2>err; cat err
	grep -q "belongs to plan .t/p., vm .web., claimed by state" err
	virt dominfo web
	same raw
'
check 'taken over, the domain becomes ours, and all is copied anew' '
	old=$(claimed | grep -o "state=[^ ]*")
	digest=$(palletjack --state "$PWD/another" plan m.yaml 2>err | sed -n "s/^digest: //p")
	palletjack --state "$PWD/another" run m.yaml --accept "$digest" 2>err || { s=$?; cat err; exit $s; }
	claimed >claim; cat claim; refute grep -q "$old" claim
	same raw
	test "$(mark fast)" = left-off
'

# What cannot be a target.
check 'pools that are not there, not directories, or not active' '
	begin off
	sed "s/storageClass: fast/storageClass: nowhere/" m.yaml >n.yaml
	exits 3 palletjack run n.yaml 2>err || { cat err; exit 1; }
	grep -q "has no storage pool .nowhere." err
	virt pool-define-as volumes logical --source-name vg --target /dev/vg
	sed "s/storageClass: fast/storageClass: volumes/" m.yaml >n.yaml
	exits 3 palletjack run n.yaml 2>err; cat err; grep -q "of type logical" err
	virt pool-destroy bulk
	exits 5 palletjack run m.yaml 2>err; cat err; grep -q "pool-start bulk" err
	virt pool-start bulk
	test ! -e fast/.palletjack
'
check 'nor daemons of other machines' '
	sed "s,qemu:///session,qemu+ssh://host.example/system," m.yaml >n.yaml
	exits 3 palletjack run n.yaml 2>err; cat err
	grep -q "is no target yet: its disks are written as files" err
'
check 'a daemon that is away: later' '
	begin off
	stop_libvirtd
	exits 5 palletjack run m.yaml 2>err; cat err; grep -q "is its libvirtd running" err
'
virt_start
check 'to verify, too, and its --help says so' '
	palletjack run --until verify m.yaml
	palletjack verify m.yaml
	palletjack status m.yaml >text
	refute grep "at the target" text
	stop_libvirtd
	exits 5 palletjack verify m.yaml 2>err; cat err
	grep "is its libvirtd running" err
	palletjack verify --help >help; cat help
	sed -n "/^Exit code/,\$p" help | tr "\n" " " | grep " 5 an end could not be reached, read or.*may be later; 6 "
'
test_end
