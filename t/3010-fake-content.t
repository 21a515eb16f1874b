#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The fake endpoint: its disks are a function of the seed, really written, and
# really read back; its faults; its steps look before they act.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'the fake endpoint keeps its word'
requires jq
fault=$(dirname "$PALLETJACK")/t/fault.so

state=$PALLETJACK_STATE/t/p/vm-00001
quick='{retry: {attempts: 3, first: 1ms, max: 1ms}, checkpoint: {bytes: 1Mi}}'

# begin SETTINGS [POLICY]
begin() {
	rm -rf "$PALLETJACK_STATE"
	fake_manifest "vms: \"1\", diskSize: \"5000000\", seed: \"7\", $1" "${2:-$quick}"
}
fact() {
	palletjack status m.yaml -o json |
		jq -r --arg s "$1" '.vms[0].steps[] | select(.step == $s).facts'"$2"
}
# bend BYTE: one byte of the disk holds something else
bend() {
	printf '\377' |
		dd of="$state/fake.disk-0" bs=1 seek="$1" conv=notrunc status=none
}
words() {
	palletjack plan m.yaml | sed -n "s,^  $1   *,,p"
}

begin 'disksPerVM: "2"'
check 'two disks with a stamp in each of their blocks' '
	palletjack run --until verify m.yaml
	test "$(stat -c %s "$state/fake.disk-1")" -eq 5000000
	for n in 0 1 2 3 4; do
		tail -c +$((n * 1048576 + 1)) "$state/fake.disk-1" |
			head -c 64 >block; grep -a "^vm-00001 disk-1 block $n of seed 7$" block
	done
'
check 'sparse' 'test "$(stat -c %b "$state/fake.disk-1")" -lt 200'
check 'verified: the roots of copy and verify are one, and differ by disk' '
	test "$(fact verify/disk-0 .blocks)" -eq 5 &&
	test "$(fact cutover/disk-0 .root)" = "$(fact verify/disk-0 .root)" &&
	test "$(fact cutover/disk-0 .root)" != "$(fact verify/disk-1 .root)"
'
check 'commit changes the disk, on what was converted' '
	root=$(fact cutover/disk-1 .root) && palletjack run m.yaml &&
	grep -a "disk-1 converted from $root" "$state/fake.disk-1" &&
	test ! -e "$state/fake.overlay"
'
check 'another run of the same seed ends with the same bytes, another seed not' '
	cp "$state/fake.disk-0" first && begin "disksPerVM: \"2\"" &&
	palletjack run m.yaml && cmp first "$state/fake.disk-0" &&
	begin "" && sed -i "s/seed: \"7\"/seed: \"8\"/" m.yaml &&
	palletjack run m.yaml && refute cmp first "$state/fake.disk-0"
'
check 'a byte that is bent is a mismatch; the block is named; nothing starts' '
	begin ""; palletjack run --until cutover m.yaml; bend 3150000
	exits 8 palletjack run m.yaml 2>err; cat err
	grep -q "block 3 at byte 3145728" err && test ! -e "$state/fake.vm"
'
check 'a copy made anew mends it, if accepted' '
	exits 3 palletjack run --redo cutover m.yaml 2>said; cat said
	$(sed -n "s/^vm-00001: to accept: //p" said) && cmp first "$state/fake.disk-0"
'
check 'half a copy: plan says how much of the ledger holds, the rest is copied' '
	begin "faults: \"cutover/disk-0:half\"" && exits 6 palletjack run m.yaml &&
	words cutover/disk-0 | grep "^resume (40 %; failed before" &&
	palletjack run m.yaml && cmp first "$state/fake.disk-0" &&
	test "$(fact cutover/disk-0 .kept)" -eq 2097152
'
check 'a source started again after half a copy is copied from the beginning' '
	begin "power: \"on\", faults: \"cutover/disk-0:half\"" &&
	exits 6 palletjack run m.yaml &&
	grep -q "^source on$" "$state/fake.power" &&
	palletjack plan m.yaml | grep "cutover/disk-0 *run (changed: source epoch)" &&
	palletjack run m.yaml && test "$(fact cutover/disk-0 .kept)" -eq 0 &&
	test "$(fact cutover/disk-0 .generation)" -eq 2 &&
	test "$(grep -ac "of seed 7, started 1 times" "$state/fake.disk-0")" -eq 5
'
check 'a lost ledger voids the copy, not the truth' '
	begin "" && palletjack run --until cutover m.yaml &&
	rm "$state/ledger/disk-0.ledger" && exits 5 palletjack run m.yaml &&
	palletjack run m.yaml && cmp first "$state/fake.disk-0"
'
check 'with content none they are made up altogether' '
	begin "content: none" && palletjack run m.yaml &&
	test "$(fake_state)" = finished &&
	test ! -e "$state/fake.disk-0" && test ! -e "$state/ledger/disk-0.ledger"
'
check 'without its journal a vm that was handed over is not written' '
	begin ""; palletjack run m.yaml; rm "$state/journal"
	exits 6 palletjack run m.yaml 2>err; cat err
	grep -q "handed over" err && cmp first "$state/fake.disk-0"
'

# hooks are the real thing
check 'a hook that fails fails its step, with its own words' '
	begin ""; sed -i "s/log(.here.)/error(\"not today\")/" m.yaml
	exits 6 palletjack run m.yaml 2>err; cat err
	grep -q "pre-hook.*not today" err
'
check 'and can hand something on' '
	begin "" && sed -i "s/log(.here.)/log(key) note(\"key\", key)/" m.yaml &&
	palletjack run m.yaml && test "$(fact pre-hook .notes.key)" = \
		"$(cut -d" " -f3 "$state/fake.log" | head -1)/p/vm-00001/pre-hook"
'

# faults
check 'flap: every step fails every other time' '
	begin "faults: \"*:flap\"" && palletjack run m.yaml &&
	cut -d" " -f2 "$state/fake.log" | sort -u >got && echo 2 >want &&
	cmp_ok want got
'
check '@N: in that attempt only; slow: so long at least' '
	begin "faults: \"verify:retry@2 vm-00001:verify:retry@1 verify:slow=300\"" &&
	before=$(date +%s%N) && palletjack run m.yaml &&
	test $((($(date +%s%N) - before) / 1000000)) -ge 300 &&
	grep -q "^verify/disk-0 3 " "$state/fake.log"
'
check 'a fault that is none is said, as is any other setting' '
	begin "faults: \"verify:fial\""; exits 2 palletjack run m.yaml 2>err
	cat err; grep -q "the kind .fial. of fault for .verify. is not known" err
	begin "stepMillis: \"soon\""; exits 2 palletjack run m.yaml
	begin "content: some"; exits 2 palletjack run m.yaml
	begin "power: perhaps" && exits 2 palletjack run m.yaml
'

test -e "$fault" || { skip "$fault is not built" 'kills'; test_end; }
# killed_at TEXT: the run dies at the write of a record with that text
killed_at() {
	exits 137 env LD_PRELOAD="$fault" FAULT_FILE=journal FAULT_WHEN=before \
		FAULT_MATCH="$1" ASAN_OPTIONS=verify_asan_link_order=0 \
		palletjack run m.yaml
}
for step in cutover create-vm start; do
	check "$step done, but not on record: the next run looks, and takes it as done" '
		begin "power: \"on\"" && killed_at "\"type\":\"result\",\"step\":\"'$step'\"" &&
		cp "$state/fake.power" before && palletjack run m.yaml &&
		test "$(fake_log | grep -c "^'$step'\$")" -eq 1 &&
		test "$(fact '$step' .attempt)" -eq 1 &&
		grep -q "^'$step' 1 " "$state/fake.log" &&
		printf "%s\n" "source off" "mark started" "target on" >want &&
		cmp_ok want "$state/fake.power" &&
		cut -c 1-99 "$state/log/run.log" | grep "'$step'.*attempt 2 begins"
	'
done
check 'what was begun with other inputs is not taken as done' '
	begin "" && killed_at "\"type\":\"result\",\"step\":\"create-vm\"" &&
	sed -i "s/^    - name: vm-00001/&\n      targetName: other/" m.yaml &&
	palletjack run m.yaml && grep -q "^other$" "$state/fake.vm" &&
	test "$(fake_log | grep -c "^create-vm\$")" -eq 2
'
test_end
