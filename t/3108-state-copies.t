#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copies of a state directory: an older one, put back after the target went on
# without it, and two that are worked with at once.  Both bear the same uuid, so
# only the target tells them apart.
. "${0%/*}/lib.sh"
. "${0%/*}/local.sh"
test_begin 'a copy of a state directory does no harm to what it does not know of'
requires jq
requires qemu-img --version
requires qemu-io --version
requires nbdkit --version
fault=$(dirname "$PALLETJACK")/t/fault.so
test -e "$fault" || skip_all "$fault is not built: run make units"

head -c 3000000 /dev/urandom >one.raw
truncate -s 8M one.raw
head -c 1000000 /dev/urandom >two.raw
truncate -s 4M two.raw
pretend_conversion 'write -P 0x77 1M 1M'
for n in one two; do
	converted $n.raw $n.want
done
local_manifest web=one.raw:fast,two.raw:fast 'targetPowerState: "off"' \
	'retry: {attempts: 1, first: 1ms, max: 1ms}, onFailure: hold'
a() { palletjack --state "$PWD/a" "$@"; }
b() { palletjack --state "$PWD/b" "$@"; }
disks_are_right() {
	cmp one.want "target/fast/web/disk-0${1-}.raw" &&
		cmp two.want "target/fast/web/disk-1${1-}.raw"
}
# older UNTIL: b is what a was then; a went on and committed
older() {
	rm -rf target a b conversions
	a run --until "$1" m.yaml && cp -a a b && a run --until commit m.yaml &&
		disks_are_right
}
sums() {
	find target -name "disk-*" -exec sha256sum {} + | sort
}
conversions() {
	test "$(wc -l <conversions)" -eq "$1"
}

check 'an older copy of the state converts no committed disk' '
	older verify; sums >before; exits 3 b run m.yaml 2>said; cat said
	conversions 1 && sums | cmp_ok before - && test ! -e target/web/handover.json &&
	grep -q "older than the target" said
'
check 'plan offers to set the disks aside, and changes nothing' '
	b plan m.yaml >plan 2>&1 || :; cat plan; grep "set-aside" plan && sums | cmp_ok before -
'
check 'the command that the run printed does that, copies anew and finishes' '
	command=$(sed -n "s/^web: to accept: //p" said) && eval "$command" &&
	disks_are_right && disks_are_right .aside-1 && conversions 2
'
check 'nor does the newer copy write what is there now' '
	sums >before; exits 6 a run m.yaml; sums | cmp_ok before - && conversions 2
'
check 'one from before the copy was done neither' '
	older validate && sums >before && exits 3 b run m.yaml &&
	conversions 1 && sums | cmp_ok before -
'
check 'gc --disks is another way out' '
	older verify && exits 3 b run m.yaml && exits 9 b rollback m.yaml && b gc --disks m.yaml &&
	b run m.yaml && conversions 2 && disks_are_right
'
check 'and so it is where only the journal is older, its ledgers sealed' '
	older verify; cp -a a/t/p/web/ledger/. b/t/p/web/ledger/
	exits 3 b run m.yaml; conversions 1
	exits 3 b run --redo cutover m.yaml 2>said; cat said
	command=$(sed -n "s/^web: to accept: //p" said) && eval "$command" && disks_are_right
'
check 'setting aside, killed before it began, is not asked for again' '
	older verify; exits 3 b run m.yaml 2>said
	licence=$(sed -n "s/^web: to accept: .*--accept \([0-9a-f]*\).*/\1/p" said)
	exits 137 env LD_PRELOAD="$fault" FAULT_FILE=journal FAULT_WHEN=after \
		FAULT_MATCH="\"step\":\"set-aside\"" ASAN_OPTIONS=verify_asan_link_order=0 \
		palletjack --state "$PWD/b" run --accept "$licence" m.yaml
	b run m.yaml && disks_are_right && disks_are_right .aside-1
'
check 'a volume that was made anew meanwhile is not converted for what it was' '
	older verify; exits 9 a rollback m.yaml; a gc --disks m.yaml; a run --until verify m.yaml
	rm conversions; exits 6 b run m.yaml 2>said; cat said
	grep -q "is not the volume that was copied" said && test ! -e conversions
'

sed -i 's/^  targetNamespace: t/&\n  skipGuestConversion: true/' m.yaml
stopped() {
	ps -o stat= --ppid "$1" | grep -q T
}
check 'two copies at once: while one is stopped in its copy the other is refused' '
	rm -rf target a b
	a run --until validate m.yaml; cp -a a b
	env LD_PRELOAD="$fault" FAULT_FILE=disk-0.raw FAULT_WHEN=stop \
		ASAN_OPTIONS=verify_asan_link_order=0 \
		palletjack --state "$PWD/a" run m.yaml >first 2>&1 &
	first=$!
	echo $first >first.pid
	at_end "kill -KILL $first"
	within 60 stopped $first
	within 60 grep -q "verify/disk-1 *done" first
	sums >before
	exits 4 b run m.yaml 2>said || { cat said; exit 1; }
	cat said; sums | cmp_ok before - && test ! -e target/web/handover.json &&
	grep -q "is being worked on by process $first on" said
'
check 'and goes on when that run is gone with all it had begun' '
	kill -KILL "$(cat first.pid)"
	b run m.yaml && cmp one.raw target/fast/web/disk-0.raw &&
	cmp two.raw target/fast/web/disk-1.raw
'
test_end
