#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A real ledger cut short, and kills around the moment when a local target is
# handed over.
. "${0%/*}/lib.sh"
. "${0%/*}/local.sh"
test_begin 'half a copy is counted, and half a hand-over is one'
requires jq
requires qemu-system-x86_64 --version
requires nbdkit --version
fault=$(dirname "$PALLETJACK")/t/fault.so
test -e "$fault" || skip_all "$fault is not built: run make units"

head -c 52428800 /dev/urandom >one.raw
local_manifest web=one.raw:fast \
	'skipGuestConversion: true, targetPowerState: "on"' \
	'retry: {attempts: 1, first: 1ms, max: 1ms}, checkpoint: {bytes: 1Mi}'
state=$PALLETJACK_STATE/t/p/web
anew() {
	rm -rf target "$PALLETJACK_STATE"
}
# faulty NAME=VALUE...: a run under that fault
faulty() {
	env LD_PRELOAD="$fault" ASAN_OPTIONS=verify_asan_link_order=0 "$@" \
		palletjack run m.yaml
}
fact() {
	palletjack status m.yaml -o json |
		jq -r --arg s "$1" '.vms[0].steps[] | select(.step == $s).facts'"$2"
}
mark() {
	jq -r .state "target/$1/handover.json"
}
# Nobody holds the lock that QEMU inherits.
is_off() {
	flock -n target/web/running.lock true
}
at_end 'test ! -e target/web/qemu.pid || kill -KILL "$(cat target/web/qemu.pid)"'

for n in 3 4; do
	check "a copy killed behind sync $n of its ledger: plan shows what holds, and that is kept" '
		anew; exits 5 faulty FAULT_FILE=disk-0.ledger FAULT_OPS=fsync \
			FAULT_AT='$n' FAULT_WHEN=after
		palletjack plan m.yaml >plan; cat plan
		percent=$(sed -n "s,.*cutover/disk-0 *resume (\([0-9]*\) %.*,\1,p" plan)
		test "$percent" -gt 0 && test "$percent" -lt 100 &&
		palletjack run --until cutover m.yaml &&
		test "$(fact cutover/disk-0 .kept)" -eq $((percent * 50 / 100 * 1048576)) &&
		cmp one.raw target/fast/web/disk-0.raw
	'
done

check 'killed between the marks and the start: what the marks say counts' '
	for n in 1 2; do
		anew && exits 5 faulty FAULT_FILE=handover.json \
			FAULT_OPS=rename FAULT_AT=$n FAULT_WHEN=after || exit 1
		test ! -e target/web/qemu.pid && is_off || exit 1
		cat target/web/handover.json target/fast/web/handover.json || :
		grep -qs started target/web/handover.json target/fast/web/handover.json || exit 1
		# no writer comes any more, and no automatic way back
		exits 6 palletjack rollback m.yaml || exit 1
		cmp one.raw target/fast/web/disk-0.raw || exit 1
	done
'
check 'the next run starts it' '
	palletjack run m.yaml && refute is_off && test "$(mark web)" = started &&
	test "$(mark fast/web)" = started
'
check 'a state directory from before the hand-over writes nothing' '
	exits 9 palletjack rollback --discard-target-writes m.yaml
	palletjack gc --disks m.yaml; anew
	palletjack run --until verify m.yaml; cp -R "$PALLETJACK_STATE" older
	palletjack run m.yaml; rm -rf "$PALLETJACK_STATE"
	mv older "$PALLETJACK_STATE"
	exits 6 palletjack run m.yaml 2>err; cat err
	grep -q "handed over" err && refute is_off &&
	palletjack plan --redo cutover m.yaml -o json >plan || :
	exits 6 palletjack run --redo cutover --accept "$(jq -r .digest plan)" m.yaml 2>err
	cat err; grep -q "handed over" err && cmp one.raw target/fast/web/disk-0.raw
'
check 'and gives the target up only if that is asked for' '
	exits 6 palletjack rollback m.yaml && refute is_off &&
	exits 9 palletjack rollback --discard-target-writes m.yaml && is_off
'
test_end
