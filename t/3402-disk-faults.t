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
	palletjack run --until verify m.yaml
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
	palletjack run m.yaml
	test "$(fake_state)" = finished; fake_log | sort | cmp_ok steps -
	palletjack plan --detailed-exitcode m.yaml
	palletjack journal check "$state"/*
'

check 'one of another plan proves nothing' '
	sed "s/name: p,/name: q,/" m.yaml >q.yaml
	cp -R "$state" "$PALLETJACK_STATE/t/q"
	exits 6 palletjack run q.yaml 2>err; cat err
	grep -q "its state was made by plan t/p, and this is plan t/q" err
	palletjack plan q.yaml | grep "made by plan t/p"
'
check 'a journal that is no file' '
	rm -rf "$PALLETJACK_STATE"; mkdir -p "$state/vm-00001/journal"
	exits 6 palletjack run m.yaml 2>err; cat err
	grep -q "journal.*is a directory" err
'
check 'bytes that never were a journal are no torn tail' '
	rm -rf "$PALLETJACK_STATE"; palletjack run --until verify m.yaml
	head -c 100000 /dev/zero >"$state/vm-00001/journal"
	exits 6 palletjack run m.yaml 2>err; cat err
	grep -q "is no journal" err
'

# From here on what the endpoints have is not in the state directory.
fake_world=$PWD/world
fake_manifest 'vms: "1", power: "on"' '{onFailure: hold}'
state=$PALLETJACK_STATE
vm=$fake_world/target/t/vm-00001
source=$fake_world/source/vm-00001
# begin UNTIL: such a world, and a copy of the state as it was then
begin() {
	rm -rf "$state" "$fake_world" copy
	palletjack run --until "$1" m.yaml && cp -R "$state" copy
}
older() { rm -rf "$state" && mv copy "$state"; }
# all but what was said there
world() {
	find "$fake_world" -type f ! -name "*.lock" ! -name fake.log -exec sha256sum {} + | sort
}
accepted() {
	said=$(sed -n "s/^vm-00001: to accept: //p" err)
	test -n "$said" && eval "$said"
}
log() { grep -c "^$1 " "$vm/fake.log"; }
settled() {
	test "$(fake_state)" = finished && grep -qx "target on" "$vm/fake.power" &&
		test "$(tail -n 1 "$source/fake.power")" = "source off"
}

check 'a state that is deleted before the hand-over: what it made is held, exit 4' '
	begin verify; rm -rf "$state"; world >before
	exits 4 palletjack run m.yaml 2>err; cat err
	grep -q "belongs to plan .t/p., vm .vm-00001., claimed by state" err
	world | cmp_ok before -
'
check 'is taken over by who accepts that, and all of it made anew' '
	id=$(cat "$vm/fake.disk-0.id")
	accepted && settled && test "$(cat "$vm/fake.disk-0.id")" != "$id" &&
	test "$(log cutover/disk-0)" -eq 2 && test "$(log convert)" -eq 1
'
check 'also when its disks were committed' '
	begin commit; rm -rf "$state"
	exits 4 palletjack run m.yaml 2>err; accepted && settled &&
	test "$(log commit)" -eq 2 && refute grep -q committed copy/t/p/vm-00001/journal
'
check 'who takes over knows from the claim that the source ran, and gives it back so' '
	begin cutover; rm -rf "$state"; test "$(tail -n 1 "$source/fake.power")" = "source off"
	exits 4 palletjack run m.yaml 2>err; said=$(sed -n "s/^vm-00001: to accept: //p" err)
	eval "$said --until verify" && claim=$fake_world/claims/t/vm-00001/palletjack.json &&
	test "$(jq -r .sourcePower "$claim")" = on && exits 9 palletjack rollback m.yaml &&
	test "$(tail -n 1 "$source/fake.power")" = "source on" &&
	test "$(jq -r .sourcePower "$claim")" = null
'
check 'not while somebody works on it' '
	begin verify; rm -rf "$state"
	lock=$fake_world/claims/t/vm-00001/palletjack.json.lock
	flock -F -x "$lock" sh -c ": >held; exec sleep 600" &
	holder=$!
	at_end "kill $holder"
	within 30 test -e held
	exits 4 palletjack run m.yaml 2>err || { kill $holder; exit 1; }
	kill $holder; cat err; grep -q "is being worked on by" err && refute grep -q "to accept" err
'
check 'one that is deleted after the hand-over: exit 6, and no licence helps' '
	begin cleanup; rm -rf "$state"; world >before
	exits 6 palletjack run m.yaml 2>err; cat err
	grep -q "has been handed over" err; refute grep -q "to accept" err
	exits 6 palletjack run --redo cutover m.yaml
	world | cmp_ok before -
'
check 'every command says that only that state can give the source back' '
	grep "claimed by state $(cat copy/t/p/vm-00001/uuid) .*only .palletjack rollback. with that state directory (--state) gives the source back" err
	palletjack plan m.yaml >plan; cat plan; grep "with that state directory (--state) gives the source back" plan
	for command in "rollback" "rollback --discard-target-writes" "gc --disks"; do
		exits 4 palletjack $command m.yaml 2>err; cat err
		grep "with that state directory (--state) gives the source back" err
		refute grep "how to take it over" err
	done
	world | cmp_ok before -
'
check 'and with that it is given back' '
	exits 9 palletjack --state "$PWD/copy" rollback --discard-target-writes m.yaml
	test "$(tail -n 1 "$source/fake.power")" = "source on"
	exits 6 palletjack run m.yaml 2>err; cat err
	grep "was handed over and rolled back, and it belongs to .*only .palletjack gc --disks. with that state directory" err
	palletjack --state "$PWD/copy" gc --disks m.yaml && palletjack run m.yaml && settled
'
check 'an older copy, from before the commit, goes on with nothing it does not know' '
	begin verify; palletjack run --until commit m.yaml; older; world >before
	exits 3 palletjack run m.yaml 2>err; cat err
	grep -q "older than the target" err && world | cmp_ok before -
'
check 'sets the committed disks aside for who accepts that, and finishes' '
	cp "$vm/fake.disk-0" first && accepted && settled &&
	cmp first "$vm/fake.disk-0.aside-1" && cmp first "$vm/fake.disk-0"
'
check 'an older copy, from before commit and hand-over: exit 6' '
	begin verify; palletjack run m.yaml; older; world >before
	exits 6 palletjack run m.yaml 2>err; cat err; grep -q "has been handed over" err
	world | cmp_ok before -
'
check 'one that has only the hand-over to go finds it done, and starts nothing twice' '
	begin commit; palletjack run m.yaml; older
	sha256sum "$vm"/fake.disk-0 "$vm"/fake.power "$source"/fake.power >before
	palletjack run m.yaml && settled && sha256sum -c before
'
check 'an older copy that lacks nothing the target has goes on' '
	begin convert && older && palletjack run m.yaml && settled &&
	test "$(log convert)" -eq 1
'
check 'two copies: the second does not undo what the first handed over' '
	begin verify; palletjack run m.yaml; older
	exits 6 palletjack rollback m.yaml 2>err; cat err
	grep -q "discard-target-writes" err &&
		test "$(tail -n 1 "$vm/fake.power")" = "target on"
'
check 'another state finds nothing of its own to give back or to remove' '
	begin verify; rm -rf "$state"; world >before
	palletjack rollback m.yaml; palletjack gc --disks m.yaml
	world | cmp_ok before -
'
check 'gc --disks clears the claim with the rest: anybody may begin' '
	begin verify && exits 9 palletjack rollback m.yaml && palletjack gc --disks m.yaml &&
	rm -rf "$state" && palletjack run m.yaml && settled
'
test_end
