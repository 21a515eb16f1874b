#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A run does every step once; a rerun does nothing, whatever became of the
# source.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'a run finishes, and a finished plan stays finished'
requires jq

fake_manifest 'vms: "3", disksPerVM: "2"' '{bootTest: once}' \
	vm-00001 vm-00002 vm-00003

check 'plan says what is new and writes nothing' '
	palletjack plan m.yaml >plan &&
	grep -q "cutover/disk-1  *run (new)" plan &&
	test ! -e "$PALLETJACK_STATE"
'
check_exit 10 'plan --detailed-exitcode says that there is work' '
	palletjack plan --detailed-exitcode m.yaml
'
check 'a run does it' 'palletjack run m.yaml'
check 'each step once, a disk at a time where a stage goes by disk' '
	fake_log vm-00002 | sort >got &&
	{ fake_steps; echo cutover/disk-1; echo verify/disk-1; } | sort >want &&
	cmp_ok want got
'
check 'a stage begins when all of the stage before it is done' '
	fake_log | grep -v / >got &&
	fake_steps | grep -v / >want &&
	cmp_ok want got
'
check 'status says finished, in text and in JSON' '
	palletjack status m.yaml | grep -q "^vm-00003: finished" &&
	test "$(fake_state)" = finished
'
check 'the journals hold' '
	palletjack journal check "$PALLETJACK_STATE"/t/p/*
'
check 'the state is for its owner alone' '
	test "$(stat -c %a "$PALLETJACK_STATE/t/p/vm-00001")" = 700
'
check 'a rerun writes nothing' '
	sha256sum "$PALLETJACK_STATE"/t/p/*/journal >before &&
	palletjack run m.yaml &&
	sha256sum "$PALLETJACK_STATE"/t/p/*/journal >after &&
	cmp_ok before after
'
check 'a rerun asks nobody: the source may be gone' '
	sed -i "s/vms: \"3\"/vms: \"none\"/" m.yaml &&
	palletjack run m.yaml &&
	palletjack plan m.yaml --detailed-exitcode
'
test_end
