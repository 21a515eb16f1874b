#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What an edit of the manifest, or a source that ran meanwhile, makes a run do
# again, and what it does not.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'only what changed is done again'
requires jq

begin() {
	rm -rf "$PALLETJACK_STATE"
	fake_manifest 'vms: "2", diskSize: 1Mi, seed: "1"' '{bootTest: once}'
	palletjack run --until "$1" m.yaml
}
# decision STEP: what plan says of it
decision() {
	palletjack plan m.yaml -o json |
		jq -r --arg step "$1" '.vms[] | select(.vm == "vm-00001")
			| .steps[] | select(.step == $step)
			| .decision + " " + .why'
}

check 'a policy that changes repeats nothing' '
	begin verify &&
	sed -i "s/{bootTest: once}/{bootTest: once, proof: xxh3, limits: {inFlight: 3}, deadlines: {conversion: 3h}, checkpoint: {every: 1s}, retry: {attempts: 2}}/" m.yaml &&
	decision cutover/disk-0 | grep "^skip done" &&
	decision verify/disk-0 | grep "^skip done"
'
check 'a script that changes is not run again' '
	begin verify && sed -i "s/log(.here.)/log(\"there\")/" m.yaml &&
	decision pre-hook | grep "^skip done"
'
check 'another vm before it in the list changes nothing' '
	begin verify &&
	sed -i "s/^    - name: vm-00001/    - name: vm-00002\n&/" m.yaml &&
	decision cutover/disk-0 | grep "^skip done" &&
	decision validate | grep "^skip done"
'
check 'a disk that grew is copied again, and plan says that it grew' '
	begin verify && sed -i "s/diskSize: 1Mi/diskSize: 2Mi/" m.yaml &&
	decision cutover/disk-0 | grep "^changed changed: source disk disk-0"
'
check 'a source that ran meanwhile is copied again, the hook not repeated' '
	begin verify && sed -i "s/seed: \"1\"/seed: \"2\"/" m.yaml &&
	decision cutover | grep "^changed changed: source epoch" &&
	palletjack run m.yaml &&
	test "$(fake_log | grep -c "^cutover/disk-0\$")" -eq 2 &&
	test "$(fake_log | grep -c "^pre-hook\$")" -eq 1 &&
	test "$(fake_state)" = finished
'
check 'once committed, only with a licence: the disk is no replica any more' '
	begin commit && sed -i "s/seed: \"1\"/seed: \"2\"/" m.yaml &&
	palletjack plan m.yaml | grep "^  set-aside .*; wants --accept$" &&
	exits 3 palletjack run m.yaml
'
check 'and nothing was begun' '
	test "$(fake_log | tail -1)" = commit
'
check 'a check asked for too late is not made, and plan says so' '
	begin commit &&
	sed -i "s/{bootTest: once}/{verify: none}/" m.yaml &&
	palletjack run m.yaml && test "$(fake_state)" = finished &&
	rm -rf "$PALLETJACK_STATE" &&
	fake_manifest "vms: \"1\"" "{}" &&
	palletjack run --until commit m.yaml &&
	sed -i "s/^spec: {}/spec: {bootTest: once}/" m.yaml &&
	decision boot-test | grep "^skip too late"
'
check 'a finished vm is finished, whatever is edited' '
	rm -rf "$PALLETJACK_STATE" && fake_manifest "vms: \"1\"" "{}" &&
	palletjack run m.yaml &&
	sed -i "s/^    - name: vm-00001/&\n      targetName: other/" m.yaml &&
	palletjack plan --detailed-exitcode m.yaml && palletjack run m.yaml &&
	test "$(fake_log | wc -l)" -eq "$(fake_log | sort -u | wc -l)"
'
check_exit 6 'a state directory belongs to one source vm' '
	rm -rf "$PALLETJACK_STATE" && fake_manifest "vms: \"2\"" "{}" &&
	palletjack run --until verify m.yaml &&
	sed -i "s/^    - name: vm-00001/&\n      id: vm-00002/" m.yaml &&
	palletjack run m.yaml
'
test_end
