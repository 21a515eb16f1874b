#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# rollback and gc at a real target: QEMU is stopped, the disks stay until they
# are to go, and nothing that is not ours is touched.
. "${0%/*}/lib.sh"
. "${0%/*}/local.sh"
test_begin 'a local target is given up, and nothing else'
requires jq
requires qemu-system-x86_64 --version
requires nbdkit --version
fault=$(dirname "$PALLETJACK")/t/fault.so

head -c 300000 /dev/urandom >one.raw
truncate -s 2M one.raw
cp one.raw two.raw

state=$PALLETJACK_STATE/t/p/web
mark() {
	jq -r .state "target/$1/handover.json"
}
# begin POWER [POLICY]
begin() {
	rm -rf target "$PALLETJACK_STATE"
	local_manifest web=one.raw:fast,two.raw:bulk \
		"skipGuestConversion: true, targetPowerState: \"$1\"" \
		"retry: {attempts: 1}, ${2:-onFailure: hold}"
}
# Nobody holds the lock that QEMU inherits.
is_off() {
	flock -n target/web/running.lock true
}
at_end 'test ! -e target/web/qemu.pid || kill -KILL "$(cat target/web/qemu.pid)"'

begin off
check 'status says where it is as long as it is there' '
	palletjack run --until verify m.yaml
	palletjack status m.yaml >text
	refute grep "at the target" text
	palletjack run --until create-vm m.yaml
	palletjack status m.yaml >text; cat text
	grep -x "  at the target: $PWD/target/web" text
	palletjack status -o json m.yaml >json; cat json
	jq -e --arg home "$PWD/target/web" ".vms[0].place == {home: \$home}" json
	exits 9 palletjack rollback m.yaml
	palletjack status m.yaml >text; cat text
	refute grep "at the target" text
'
begin off
check 'what to do next names the state that it is about' '
	palletjack --state "$PWD/a state" run --until create-vm m.yaml
	exits 9 palletjack --state "$PWD/a state" rollback m.yaml 2>err
	cat err
	eval "$(sed -n "s/.*to start afresh: //p" err)"
	test ! -e target/web
'
check 'before the hand-over: marked, undefined, the disks kept' '
	palletjack run --until create-vm m.yaml && test -x target/web/start &&
	exits 9 palletjack rollback m.yaml &&
	test "$(mark web)" = rolled-back && test "$(mark fast/web)" = rolled-back &&
	test ! -e target/web/start && test ! -e target/web/domain.xml &&
	cmp one.raw target/fast/web/disk-0.raw
'
check 'no run writes them, not even without its state directory' '
	exits 9 palletjack run m.yaml
	exits 6 palletjack --state "$PWD/other" run m.yaml 2>err; cat err;
	grep -q "gc --disks" err
'
check 'gc --disks removes them, and what is not ours stays' '
	echo mine >target/fast/web/notes && palletjack gc --disks m.yaml &&
	find target -type f >left && cat left && echo target/fast/web/notes >want &&
	cmp_ok want left && test ! -e target/web && test ! -e target/bulk/web
'
check 'then a run starts afresh' '
	rm -r target/fast/web && palletjack run m.yaml &&
	cmp one.raw target/fast/web/disk-0.raw && test "$(mark web)" = left-off
'
check 'handed over and off counts as one that may have run' '
	exits 6 palletjack rollback m.yaml && test "$(mark web)" = left-off &&
	exits 6 palletjack gc --disks m.yaml && test -x target/web/start
'
check 'a target that is away is named, and what to do where it is lost' '
	mv target away
	exits 4 palletjack rollback --discard-target-writes m.yaml 2>err
	cat err
	grep "target/web. bears no claim of this vm: its file system is not mounted, .* start the source by hand if it is off, and remove the vm.s state directory to begin anew" err
	refute test -e target
	cp -r "$PALLETJACK_STATE" kept
	rm -r "$PALLETJACK_STATE/t/p/web"
	palletjack run m.yaml
	rm -r target "$PALLETJACK_STATE"
	mv away target
	mv kept "$PALLETJACK_STATE"
	exits 9 palletjack rollback --discard-target-writes m.yaml
	exits 9 palletjack run m.yaml
'
begin off
palletjack run m.yaml 2>/dev/null
check 'a foreign claim is left alone, whatever is asked' '
	cp -r "$PALLETJACK_STATE" kept
	sed -i "s/\"uuid\": \".*\"/\"uuid\": \"another\"/" target/fast/web/palletjack.json
	find target -type f ! -name "*.lock" -exec sha256sum {} + >before
	exits 4 palletjack rollback --discard-target-writes m.yaml
	exits 6 palletjack gc --disks m.yaml
	exits 4 palletjack gc m.yaml 2>err; cat err;
	find target -type f ! -name "*.lock" -exec sha256sum {} + | cmp_ok before - &&
	grep -q "belongs to plan" err
'

begin on
check 'a target that runs is refused, and runs on' '
	palletjack run m.yaml && refute is_off &&
	jq "select(.key == \"target\").value.process.pid" "$state/journal" | grep -q . &&
	exits 6 palletjack rollback m.yaml && refute is_off && test "$(mark web)" = started
'
check 'asked for, it is stopped, and cannot be started again' '
	cp target/web/start start && exits 9 palletjack rollback --discard-target-writes m.yaml &&
	is_off && test "$(mark web)" = rolled-back && test ! -e target/web/start &&
	refute sh ./start && is_off
'
check 'gc --disks leaves nothing' '
	palletjack gc --disks m.yaml && find target -type f >left && cat left &&
	test ! -s left && test ! -e "$state/ledger/disk-0.ledger"
'
check 'onFailure: rollback at a real target' '
	begin on "onFailure: rollback"; palletjack run --until cutover m.yaml
	dd if=/dev/urandom of=target/fast/web/disk-0.raw bs=1 seek=1048576 \
		count=7 conv=notrunc status=none
	exits 8 palletjack run m.yaml 2>err; cat err;
	test "$(mark fast/web)" = rolled-back &&
	grep -q "to start afresh: palletjack gc --disks m.yaml --vm web" err &&
	palletjack gc --disks m.yaml && palletjack run --until create-vm m.yaml &&
	cmp one.raw target/fast/web/disk-0.raw
'
check 'gc keeps what a vm needs, removes what a boot test left' '
	mkdir -p target/web/overlays/bt.1 && : >target/web/overlays/bt.1/disk-0.qcow2 &&
	mkdir target/web/overlays/mine && palletjack gc m.yaml &&
	test ! -e target/web/overlays/bt.1 && test -d target/web/overlays/mine &&
	cmp one.raw target/fast/web/disk-0.raw && rmdir target/web/overlays/mine &&
	palletjack gc m.yaml 2>err && grep "web .*CLEANED UP" err &&
	test ! -e target/web/overlays
'
check 'where nothing is to be removed gc says so, and not that it was' '
	palletjack gc m.yaml 2>err; cat err
	refute grep "CLEANED UP" err; grep "web .*skipped: nothing was to be removed" err
'
check 'gc --disks where nothing came to the target says so, too' '
	rm -rf target "$PALLETJACK_STATE"; palletjack run --until validate m.yaml
	palletjack gc --disks m.yaml 2>err; cat err
	refute grep "CLEANED UP" err; grep "web .*skipped: nothing was to be removed" err
'

test -e "$fault" || { skip "$fault is not built" 'kills'; test_end; }
# killed N COMMAND...: that command, killed behind its Nth record
killed() {
	n=$1
	shift
	exits 137 env LD_PRELOAD="$fault" FAULT_FILE=journal FAULT_AT="$n" \
		FAULT_WHEN=after ASAN_OPTIONS=verify_asan_link_order=0 \
		palletjack "$@"
}
check 'killed at each record, a rollback and a gc end in the same place' '
	for n in 1 2 3 4 5 6 7 8; do
		begin off && palletjack run m.yaml &&
		killed $n rollback --discard-target-writes m.yaml &&
		exits 9 palletjack rollback m.yaml &&
		test "$(mark bulk/web)" = rolled-back && test ! -e target/web/start || exit 1
	done
	for n in 1 2 3 4; do
		cp -r target target.kept; cp -r "$PALLETJACK_STATE" state.kept
		killed $n gc --disks m.yaml && palletjack gc --disks m.yaml &&
		find target -type f >left && test ! -s left || exit 1
		rm -rf target "$PALLETJACK_STATE"
		mv target.kept target; mv state.kept "$PALLETJACK_STATE"
	done
'
test_end
