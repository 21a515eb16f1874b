#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copies, ledgers and volumes that no longer belong together: what is not
# proven is copied again, and never passed off as copied.
. "${0%/*}/lib.sh"
. "${0%/*}/local.sh"
test_begin 'what is not proven is copied again'
requires jq
requires qemu-img --version
requires qemu-nbd --version
requires nbdkit --version

# fill SEED: another state of the one disk
fill() {
	head -c 3000000 /dev/zero | tr '\0' "$1" >web.raw
	truncate -s 5242880 web.raw
}

# manifest FORMAT [POLICY]
manifest() {
	local_manifest web=web.raw:fast "$local_raw" \
		"retry: {attempts: 1}, ${2:-verify: full}" "$1"
}
state=$PALLETJACK_STATE/t/p/web
ledger=$state/ledger/disk-0.ledger
disk_is_right() {
	qemu-img compare -f raw -F "$1" web.raw target/fast/web/disk-0."$1"
}
anew() {
	rm -rf target "$PALLETJACK_STATE"
	fill a
	manifest "$@"
}

# accepted ARG...: a run that may copy again what is copied
accepted() {
	palletjack plan m.yaml -o json >plan.json || :
	palletjack run --accept "$(jq -r .digest plan.json)" "$@" m.yaml
}
check 'a volume of another format has an id and a ledger of its own' '
	anew raw "verify: none" && palletjack run --until cutover m.yaml &&
	fill b && manifest qcow2 "verify: none" &&
	accepted --until cutover && disk_is_right qcow2 &&
	manifest raw "verify: none" &&
	accepted && disk_is_right raw
'

# damage FILE OFFSET: a page of it holds something else from now on
damage() {
	dd if=/dev/urandom of="$1" bs=4096 seek="$2" count=1 conv=notrunc status=none
}
# mends: the next run copies again what is missing, the one before says so
mends() {
	exits 5 palletjack run m.yaml 2>err; cat err
	grep -q 'the next run copies' err &&
		palletjack plan m.yaml >plan && cat plan &&
		grep -q 'disk-0.*resume\|resume.*disk-0' plan &&
		palletjack run m.yaml && disk_is_right raw
}
check 'a damaged page of the ledger makes its blocks unknown, nothing worse' '
	anew raw && palletjack run --until cutover m.yaml &&
	damage "$ledger" 2 && mends
'
check 'both headers damaged: the disk is copied again' '
	anew raw && palletjack run --until cutover m.yaml &&
	damage "$ledger" 0 && damage "$ledger" 1 && mends
'
check 'no ledger: the disk is copied again' '
	anew raw && palletjack run --until cutover m.yaml &&
	rm "$ledger" && mends
'
check 'no volume: it is made and copied again' '
	anew raw && palletjack run --until cutover m.yaml &&
	rm target/fast/web/disk-0.raw && mends
'
check 'neither volume nor id' '
	anew raw && palletjack run --until cutover m.yaml &&
	rm target/fast/web/disk-0.raw* && mends
'
check 'damage found at once is not tried again by the same run' '
	anew raw "verify: full" && palletjack run --until cutover m.yaml &&
	sed -i "s/attempts: 1/attempts: 3/" m.yaml && rm "$ledger" &&
	exits 5 palletjack run m.yaml &&
	test "$(palletjack journal show "$state" |
		grep -c "intent.*verify/disk-0")" -eq 1
'
check 'copied without a proof under a policy that now wants one' '
	anew raw "verify: none, proof: none" &&
	palletjack run --until cutover m.yaml &&
	manifest raw "verify: full, proof: sha256" && mends
'
check 'what is finished is not copied again, ledger or not' '
	anew raw && palletjack run m.yaml && rm "$ledger" &&
	palletjack run m.yaml && disk_is_right raw
'

check 'the copy command writes to no disk of a plan, before hand-over or after' '
	anew raw
	palletjack run --until verify m.yaml
	head -c 5242880 /dev/urandom >other
	exits 4 palletjack copy other target/fast/web/disk-0.raw 2>err; cat err
	grep -q "a plan moves (.*palletjack.json" err; disk_is_right raw
	palletjack run m.yaml; ln -s target/fast/web/disk-0.raw other-name
	for name in target/fast/web/disk-0.raw other-name; do
		exits 6 palletjack copy --ledger l other $name 2>err; cat err
		grep -q "rolled back (.*handover.json" err; disk_is_right raw
	done
'
test_end
