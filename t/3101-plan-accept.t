#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What repeats a copy is done only for who looked at it and said so: --accept;
# what is not as it was when somebody looked is not done at all: --expect.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'copied data is copied again only with a licence'
requires jq

# begin UNTIL [SETTINGS [FAULTS]]: a first run, as far as that stage
begin() {
	rm -rf "$PALLETJACK_STATE"
	fake_manifest "vms: \"2\", seed: \"1\", diskSize: 2Mi, faults: \"$2\"" \
		'{bootTest: once}' vm-00001 vm-00002
	palletjack run --until "$1" m.yaml
}
grow() {
	sed -i 's/diskSize: 2Mi/diskSize: 4Mi/' m.yaml
}
digest() {
	palletjack plan m.yaml "$@" | sed -n 's/^digest: //p'
}
# how many times the first vm's disk was copied
copies() {
	fake_log | grep -c '^cutover/disk-0$'
}
words() {
	palletjack plan m.yaml | sed -n "/^vm-00001/,/^\$/s,^  $1   *,,p"
}

check 'plan prints the same digest twice, and another when work is done' '
	begin validate && one=$(digest) && test ${#one} -ge 12 &&
	test "$one" = "$(digest)" &&
	palletjack run --until pre-hook m.yaml && test "$one" != "$(digest)"
'
check 'the JSON has the whole of it, and one for each vm' '
	palletjack plan m.yaml -o json >json &&
	jq -e --arg d "$(digest)" "(.digest | startswith(\$d)) and
		([.vms[].digest | length] == [64, 64])" json
'
check_exit 3 'a run that expects something else does nothing' '
	fake_log >before &&
	palletjack run --expect 0123456789ab m.yaml 2>said
'
check 'and says both digests and what to do' '
	fake_log >after && cmp_ok before after && cat said &&
	grep -q "expect 0123456789ab, but its digest is $(digest)" said &&
	grep -q "palletjack plan" said
'
check 'with the digest of the plan it does it' '
	palletjack run --expect "$(digest)" --until cutover m.yaml &&
	test "$(copies)" -eq 1
'
check_exit 2 'a digest too short to mean anything is refused' '
	palletjack run --expect 0123 m.yaml
'
check_exit 2 'so is what is no digest' '
	palletjack run --accept everything m.yaml
'

check 'a disk that is another is named, and what waits for it' '
	begin verify && grow && test "$(words cutover/disk-0)" = \
		"run (changed: source disk disk-0); wants --accept" &&
	test "$(words verify/disk-0)" = "blocked by cutover/disk-0"
'
check_exit 3 'without a licence nothing is copied again' '
	palletjack run m.yaml 2>said
'
check 'and the run says which input, and how to accept' '
	cat said && test "$(copies)" -eq 1 &&
	grep -q "cutover/disk-0 would copy again what is copied already (changed: source disk disk-0)" said &&
	grep -q "^vm-00001: to accept: palletjack run m.yaml --vm vm-00001 --accept [0-9a-f]*$" said
'
check 'the command that it prints does it, for that vm alone' '
	command=$(sed -n "s/^vm-00001: to accept: //p" said) &&
	$command && test "$(fake_state)" = finished &&
	test "$(copies)" -eq 2 && test "$(fake_log vm-00002 | tail -1)" = verify/disk-0
'
check 'the digest of all is a licence for all' '
	palletjack run m.yaml --accept "$(digest)" &&
	test "$(fake_state vm-00002)" = finished
'
check_exit 3 'a licence is for one time: the same edit again wants another' '
	begin verify && grow && old=$(digest) &&
	palletjack run m.yaml --until verify --accept "$old" &&
	sed -i "s/diskSize: 4Mi/diskSize: 2Mi/" m.yaml &&
	palletjack run m.yaml --until verify --accept "$(digest)" && grow &&
	test "$(copies)" -eq 3 && palletjack run m.yaml --accept "$old" 2>said
'
check 'and that it fits nothing any more is said, with what to do' '
	cat said
	grep "^palletjack: --accept [0-9a-f]* fits nothing that this run would do: .*palletjack plan.* prints the digest" said
'
check 'it is no error: a vm that has gone on since goes on' '
	begin verify; grow; digest >old
	palletjack run m.yaml --until verify --accept "$(cat old)" 2>said
	cat said
	refute grep "fits nothing" said
	palletjack run m.yaml --accept "$(cat old)" 2>said
	cat said
	grep "^palletjack: --accept $(cat old) fits nothing" said
	test "$(fake_state)" = finished; test "$(copies)" -eq 2
'
check 'an edit before anything was copied wants none' '
	begin pre-hook && grow && palletjack run m.yaml &&
	test "$(fake_state)" = finished
'
check_exit 6 'a copy stops halfway' 'begin verify cutover/disk-0:half'
check 'plan says how far it is; going on wants no licence' '
	words cutover/disk-0 | grep "^resume (50 %; failed before: " &&
	grow && words cutover/disk-0 | grep "wants --accept$" &&
	sed -i "s/diskSize: 4Mi/diskSize: 2Mi/" m.yaml &&
	palletjack run m.yaml && test "$(fake_state)" = finished
'
check 'a source that ran meanwhile is copied again without one' '
	begin verify && sed -i "s/seed: \"1\"/seed: \"2\"/" m.yaml &&
	test "$(words cutover/disk-0)" = "run (changed: source epoch)" &&
	palletjack run m.yaml && test "$(copies)" -eq 2
'
check_exit 3 'unless something else changed with it' '
	begin verify && grow && sed -i "s/seed: \"1\"/seed: \"2\"/" m.yaml &&
	palletjack run m.yaml
'
check 'after the start a changed disk is refused, and no licence helps' '
	begin create-vm "start:die=mark@1 start:fail@2" && exits 6 palletjack run m.yaml && grow &&
	words cutover/disk-0 | grep "^refused (.*no longer the replica" &&
	exits 6 palletjack run m.yaml --accept "$(digest)" &&
	test "$(copies)" -eq 1
'
test_end
