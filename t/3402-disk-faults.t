#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The state directory is full, broken, read-only, copied, deleted or another
# plan's; the clock is wrong.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'bad disks and bad state stop a run, and lose nothing'
requires jq
requires_fault

fake_manifest 'vms: "2"' '{bootTest: once, retry: {first: 1ms, max: 1ms}}' \
	vm-00001 vm-00002
state=$PALLETJACK_STATE/t/p
fake_steps | sort >steps

# broken OP ERROR: from each of some journal operations on, they fail; the
# next run, with a disk that works, finishes
broken() {
	for n in 1 2 4 5 6 13 34; do
		rm -rf "$PALLETJACK_STATE"
		exits 5 with_fault FAULT_OPS="$1" FAULT_FILE=journal \
			FAULT_AT="$n" FAULT_LASTS=yes FAULT_WHEN="$2" \
			palletjack run m.yaml 2>err || return 1
		grep -q "journal '.*': cannot .*: $3" err || {
			cat err
			return 1
		}
		palletjack run m.yaml 2>err || {
			cat err
			return 1
		}
		palletjack journal check "$state"/* &&
			test "$(fake_state)" = finished &&
			fake_log | sort -u | cmp_ok steps - || return 1
	done
}

check 'a full disk' 'broken write ENOSPC "No space left on device"'
check 'a write that fails' 'broken write EIO "Input/output error"'
check 'a sync that fails' 'broken fsync EIO "Input/output error"'
check 'what a failed sync was about is not believed later' '
	rm -rf "$PALLETJACK_STATE"
	exits 5 with_fault FAULT_OPS=fsync FAULT_FILE=journal FAULT_AT=7 \
		FAULT_WHEN=EIO palletjack run --vm vm-00001 m.yaml
	palletjack journal show "$state/vm-00001" | wc -l >n
	test "$(cat n)" -eq 6
'
check 'the children of a run that stops are ended' '
	rm -rf "$PALLETJACK_STATE"
	fake_manifest "vms: \"2\", faults: \"vm-00002:validate:hang\"" "{}" \
		vm-00001 vm-00002
	exits 5 with_fault FAULT_FILE=journal FAULT_WHEN=ENOSPC \
		FAULT_MATCH="\"type\":\"intent\",\"step\":\"convert\"" \
		palletjack run m.yaml
	journal=$state/vm-00002/journal
	child=$(jq -r "select(.type == \"intent\").process.pid" "$journal")
	test "$child" -gt 1 && refute kill -0 "$child"
'

fake_manifest 'vms: "2"' '{bootTest: once}'
check 'a file system that became read-only' '
	rm -rf "$PALLETJACK_STATE"
	palletjack run --until verify m.yaml &&
	sha256sum "$state"/*/journal >before
	exits 6 with_fault FAULT_OPS=open FAULT_DIR="$PALLETJACK_STATE" \
		FAULT_LASTS=yes FAULT_WHEN=EROFS palletjack run m.yaml 2>err
	cat err
	grep -q "cannot open lock .*: Read-only file system" err
	with_fault FAULT_OPS=open FAULT_DIR="$PALLETJACK_STATE" \
		FAULT_LASTS=yes FAULT_WHEN=EROFS palletjack status m.yaml
	with_fault FAULT_OPS=open FAULT_DIR="$PALLETJACK_STATE" \
		FAULT_LASTS=yes FAULT_WHEN=EROFS palletjack plan m.yaml
	sha256sum -c before
'
check 'and works again' 'palletjack run m.yaml'

check 'the clock is set back between runs, and forward' '
	rm -rf "$PALLETJACK_STATE"
	palletjack run --until cutover m.yaml
	FAULT_CLOCK=-99999999 with_fault palletjack run --until convert m.yaml
	jq -r .time "$state/vm-00001/journal" | sort -c 2>/dev/null &&
		exit 1
	FAULT_CLOCK=99999999 with_fault palletjack run --until commit m.yaml
	palletjack run m.yaml &&
	test "$(fake_state)" = finished && fake_log | sort | cmp_ok steps -
	palletjack plan --detailed-exitcode m.yaml
	palletjack journal check "$state"/*
'

check 'an older copy of the state goes on from where it was taken' '
	rm -rf "$PALLETJACK_STATE"
	palletjack run --until convert m.yaml &&
	cp -R "$PALLETJACK_STATE" copy && palletjack run m.yaml &&
	rm -rf "$PALLETJACK_STATE" && mv copy "$PALLETJACK_STATE" &&
	palletjack run m.yaml && test "$(fake_state)" = finished &&
	fake_log | sort | cmp_ok steps -
'
check 'a deleted one begins anew' '
	rm -rf "$PALLETJACK_STATE" && palletjack run m.yaml &&
	test "$(fake_state)" = finished
'
check 'one of another plan proves nothing' '
	sed "s/name: p,/name: q,/" m.yaml >q.yaml
	cp -R "$state" "$PALLETJACK_STATE/t/q"
	exits 6 palletjack run q.yaml 2>err; cat err
	grep -q "its state was made by plan t/p, and this is plan t/q" err
	palletjack plan q.yaml | grep "made by plan t/p"
'
check 'a journal that is no file' '
	rm -rf "$PALLETJACK_STATE" && mkdir -p "$state/vm-00001/journal"
	exits 6 palletjack run m.yaml 2>err; cat err
	grep -q "journal.*is a directory" err
'
check 'bytes that never were a journal are no torn tail' '
	rm -rf "$PALLETJACK_STATE" && palletjack run --until verify m.yaml
	head -c 100000 /dev/zero >"$state/vm-00001/journal"
	exits 6 palletjack run m.yaml 2>err; cat err
	grep -q "is no journal" err
'
test_end
