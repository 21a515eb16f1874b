#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The source's record of a vm is damaged or gone; --until a stage that a vm
# does not have.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'a damaged record is no proof of anything'
requires jq

fake_manifest 'vms: "1", power: "on"'
record=$PALLETJACK_STATE/t/p/vm-00001/inventory.json
damage() {
	case $1 in
	gone) rm "$record" ;;
	empty) : >"$record" ;;
	cut) truncate -s 100 "$record" ;;
	other) echo '{"version": 1, "vms": []}' >"$record" ;;
	list) echo '[7]' >"$record" ;;
	zeroes) head -c 4096 /dev/zero >"$record" ;;
	esac
}
for how in gone empty cut other list zeroes; do
	check "$how: nothing is said to be given back, and it is said what to do" '
		rm -rf "$PALLETJACK_STATE"; palletjack run --until verify m.yaml
		damage '$how'
		exits 6 palletjack rollback m.yaml 2>err; cat err
		grep -q "inventory.json., its record of the source, is missing or damaged: restore it" err
		exits 6 palletjack gc m.yaml && exits 6 palletjack gc --disks m.yaml
	'
	check "$how: a run asks again and writes it anew" '
		palletjack run --until validate m.yaml && jq -e ".vms | length == 1" "$record" &&
		exits 9 palletjack rollback m.yaml && fake_log | grep -q undo/cutover
	'
	check "$how: one that is finished is not asked about" '
		rm -rf "$PALLETJACK_STATE"; palletjack run m.yaml && damage '$how' &&
		fake_log >before && palletjack run m.yaml && fake_log | cmp_ok before -
	'
done

rm -rf "$PALLETJACK_STATE"
fake_manifest 'vms: "1"'
sed -i 's/^  targetNamespace: t$/&\n  skipGuestConversion: true/' m.yaml
check '--until a stage this vm does not have stops where that would be' '
	palletjack run --until convert m.yaml 2>err; cat err
	fake_log | tail -n 1 | grep -qx verify/disk-0 && grep -q "stopped where --until says" err
'
check 'one further on likewise' '
	palletjack run --until commit m.yaml 2>err && fake_log | tail -n 1 | grep -qx verify/disk-0
'
check 'one that no vm has is refused' '
	exits 2 palletjack run --until conver m.yaml 2>err; cat err
	grep -q "there is no stage .conver." err
'
check 'then it finishes' 'palletjack run m.yaml && test "$(fake_state)" = finished'
test_end
