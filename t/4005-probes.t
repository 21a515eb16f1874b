#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A run that dies between a step's effect and its record: the next one looks at
# a real target and source, finds the effect and does not repeat it.  The
# conversion is pretended, as in 4003: what counts is how often it is begun.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
. "${0%/*}/local.sh"
test_begin 'what was done and not heard of is found, and not done again'
requires jq
requires qemu-img --version
requires qemu-io --version
requires qemu-system-x86_64 --version
requires_fault

head -c 3000000 /dev/urandom >one.raw
truncate -s 20M one.raw
pretend_conversion 'write -P 0x77 1M 1M'
cat >bin/qemu-img <<EOF
#!/bin/sh
test "\$1" != commit || echo >>"$PWD/commits"
exec $(command -v qemu-img) "\$@"
EOF
chmod +x bin/*
converted one.raw one.want

local_manifest web=one.raw:fast 'targetPowerState: "on"' \
	'retry: {attempts: 1, first: 1ms, max: 1ms}'
state=$PALLETJACK_STATE/t/p/web
home=$PWD/target/web
disk=$PWD/target/fast/web/disk-0.raw
at_end 'test ! -e '"$home"'/qemu.pid || kill -KILL "$(cat '"$home"'/qemu.pid)"'

anew() {
	rm -rf target "$PALLETJACK_STATE" conversions commits
}
# killed_at STEP: a run that dies when STEP is done and its result is about to
# be written down
killed_at() {
	exits 137 with_fault FAULT_FILE=journal FAULT_WHEN=before \
		FAULT_MATCH="\"type\":\"result\",\"step\":\"$1\",\"facts\"" \
		palletjack run m.yaml
}
step() {
	palletjack status m.yaml -o json |
		jq -r --arg s "$1" '.vms[0].steps[] | select(.step == $s)'"$2"
}
# looked STEP: its second attempt succeeded
looked() {
	test "$(step "$1" .state)" = done && test "$(step "$1" .attempts)" -eq 2
}
# which file it is, and when it was last written
identity() {
	stat -c '%n %i %Y %y' "$@"
}

check 'cutover: the source is known to be off, and how it was' '
	anew && killed_at cutover && palletjack run --until cutover m.yaml &&
	looked cutover && test "$(step cutover .facts.power)" = off
'
check 'a copy: its ledger knows all of it, and the source is not read' '
	anew && killed_at cutover/disk-0 && identity "$disk" >before &&
	palletjack run --until cutover m.yaml && looked cutover/disk-0 &&
	identity "$disk" | cmp_ok before - && cmp one.raw "$disk" &&
	test "$(step cutover/disk-0 .facts.read)" -eq 0 &&
	test "$(step cutover/disk-0 .facts.kept)" -eq 20971520 &&
	palletjack run --until verify m.yaml &&
	test "$(step cutover/disk-0 .facts.root)" = "$(step verify/disk-0 .facts.root)"
'
check 'a copy whose volume is gone since is none' '
	anew && killed_at cutover/disk-0 && rm "$disk" &&
	palletjack run --until verify m.yaml && cmp one.raw "$disk"
'
check 'nor is one whose ledger lost a page' '
	anew && killed_at cutover/disk-0 &&
	size=$(stat -c %s "$state/ledger/disk-0.ledger") &&
	printf X | dd of="$state/ledger/disk-0.ledger" bs=1 \
		seek=$((size - 4000)) conv=notrunc status=none &&
	palletjack run --until verify m.yaml && cmp one.raw "$disk" &&
	test "$(step cutover/disk-0 .facts.read)" -gt 0
'
check 'nor is one without a proof, when one is wanted since' '
	anew && sed -i "s/spec: {retry/spec: {proof: none, verify: none, retry/" m.yaml &&
	killed_at cutover/disk-0 && sed -i "s/proof: none, verify: none, //" m.yaml &&
	palletjack run --until verify m.yaml && cmp one.raw "$disk" &&
	test "$(step cutover/disk-0 .facts.read)" -gt 0
'
check 'a conversion that came to its end is not made twice' '
	anew && killed_at convert && palletjack run --until convert m.yaml &&
	looked convert && test "$(wc -l <conversions)" -eq 1 &&
	test "$(step convert .facts.attempt)" -eq 1 &&
	palletjack run --until commit m.yaml && cmp one.want "$disk"
'
check 'one that did not is' '
	anew && palletjack run --until verify m.yaml &&
	exits 5 with_fault FAULT_FILE=convert.done.new FAULT_OPS=fsync \
		FAULT_WHEN=before palletjack run m.yaml &&
	palletjack run --until commit m.yaml && cmp one.want "$disk" &&
	test "$(wc -l <conversions)" -eq 2
'
check 'nor is it taken for one above another copy' '
	anew && killed_at convert &&
	palletjack plan --redo cutover m.yaml -o json >plan || :
	palletjack run --redo cutover --accept "$(jq -r .digest plan)" \
		--until commit m.yaml &&
	test "$(wc -l <conversions)" -eq 2 && cmp one.want "$disk"
'
check 'what cannot be said beside the overlays is done all the same' '
	anew && with_fault FAULT_FILE=convert.done.new FAULT_OPS=fsync \
		FAULT_WHEN=ENOSPC palletjack run --until commit m.yaml &&
	cmp one.want "$disk" && test "$(wc -l <conversions)" -eq 1
'
check 'a commit that came to its end is not made twice' '
	anew && killed_at commit && identity "$disk" >before &&
	palletjack run --until commit m.yaml && looked commit &&
	test "$(wc -l <commits)" -eq 1 && identity "$disk" | cmp_ok before - &&
	cmp one.want "$disk"
'
check 'create-vm: what is defined just so is not written again' '
	anew && killed_at create-vm && identity "$home"/domain.xml "$home"/start >before &&
	palletjack run --until create-vm m.yaml && looked create-vm &&
	identity "$home"/domain.xml "$home"/start | cmp_ok before - &&
	test "$(step create-vm .facts.start)" = "$home/start"
'
check 'what is defined otherwise is' '
	anew && killed_at create-vm && echo "# mine" >>"$home/start" &&
	palletjack run --until create-vm m.yaml && refute grep "# mine" "$home/start"
'
check 'start: the QEMU that runs is the one of before' '
	anew && killed_at start && cat "$home/qemu.pid" >before &&
	palletjack run m.yaml && looked start && cmp_ok before "$home/qemu.pid" &&
	test "$(step start .facts.process.pid)" -eq "$(cat before)"
'
check 'and all is done' '
	palletjack status m.yaml | grep finished &&
	cp "$state/journal" before && palletjack run m.yaml &&
	cmp before "$state/journal"
'
test_end
