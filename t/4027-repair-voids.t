#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What was made of blocks that had to be repaired is made again, whenever the
# repair came and however far it got.  The conversion itself is pretended.
. "${0%/*}/lib.sh"
. "${0%/*}/local.sh"
. "${0%/*}/bootsector.sh"
test_begin 'nothing stands on what was repaired'
requires jq
requires qemu-img --version
requires qemu-nbd --version
requires qemu-io --version
requires qemu-system-x86_64 --version
fault=$(dirname "$PALLETJACK")/t/fault.so
test -e "$fault" || skip_all "$fault is not built: run make units"

head -c 8388608 /dev/urandom >one.raw
pretend_conversion 'write -P 9 1M 64k'
# The rest of the block is the guest's own: it comes from the replica.
converted one.raw one.want
state=$PALLETJACK_STATE/t/p/web
disk=target/fast/web/disk-0.raw
settings='retry: {attempts: 1, first: 1ms, max: 1ms}'
local_manifest web=one.raw:fast 'targetPowerState: "off"' "$settings"
bend() {
	printf xyz | dd of=$disk bs=1 seek=5000000 conv=notrunc,fsync status=none
}
# damaged UNTIL: converted, or as far as that, of a replica that is bent
damaged() {
	rm -rf target conversions "$PALLETJACK_STATE"
	palletjack run m.yaml --until verify
	bend
	palletjack run m.yaml --until "$1"
}
# faulty NAME=VALUE... COMMAND: under that fault
faulty() {
	env LD_PRELOAD="$fault" ASAN_OPTIONS=verify_asan_link_order=0 "$@"
}
cut_before() { # TYPE STEP: the journal ends before the last of these
	n=$(grep -n "\"type\":\"$1\",\"step\":\"$2\"" "$state/journal" |
		tail -n 1 | cut -d: -f1)
	head -n $((n - 1)) "$state/journal" >cut
	cat cut >"$state/journal"
}
voids() {
	jq -r 'select(.key == "void").value' "$state/journal"
}
is_made_again() {
	palletjack run m.yaml
	test "$(wc -l <conversions)" -eq 2
	cmp one.want $disk
}

check 'what was converted is converted again' '
	damaged convert
	palletjack verify --repair m.yaml
	palletjack plan m.yaml >plan; cat plan
	grep "cutover/disk-0 *skip" plan
	grep "verify/disk-0 *skip" plan
	grep "convert *resume (verify/disk-0 found that it does not hold any more)" plan
	palletjack status m.yaml >status; cat status
	grep "convert *void " status
	is_made_again
'
check 'so is what nobody heard of' '
	damaged convert
	cut_before result convert
	palletjack verify --repair m.yaml
	is_made_again
'
check 'a conversion that is sound stays' '
	rm -rf target conversions "$PALLETJACK_STATE"
	palletjack run m.yaml --until convert
	palletjack verify --repair m.yaml
	test -z "$(voids)"
	palletjack run m.yaml
	test "$(wc -l <conversions)" -eq 1
	cmp one.want $disk
'
check 'it is void before the first write' '
	damaged convert
	cp $disk before
	exits 5 faulty FAULT_FILE=disk-0.raw FAULT_OPS=write FAULT_AT=1 \
		FAULT_WHEN=before palletjack verify --repair m.yaml
	cmp before $disk
	test "$(voids | xargs)" = "convert cutover/disk-0"
	is_made_again
'
check 'what it left half done is copied, and read back' '
	damaged convert
	exits 5 faulty FAULT_FILE=disk-0.raw FAULT_OPS=write FAULT_AT=1 \
		FAULT_WHEN=torn palletjack verify --repair m.yaml
	palletjack plan m.yaml >plan; cat plan
	grep "cutover/disk-0 *resume (.*verify/disk-0 found that it does not hold any more)" plan
	is_made_again
	jq -c "select(.type == \"result\" and .step == \"cutover/disk-0\").facts" "$state/journal"
	test "$(grep -c "\"type\":\"intent\",\"step\":\"verify/disk-0\"" "$state/journal")" -eq 2
'
check 'what cannot be put on record is not begun' '
	damaged convert
	cp $disk before
	exits 5 faulty FAULT_FILE=journal FAULT_OPS=fsync FAULT_AT=2 \
		FAULT_WHEN=EIO palletjack verify --repair m.yaml 2>err; cat err
	cmp before $disk
'
check 'begun again and killed at once it is not taken for done' '
	damaged convert
	palletjack verify --repair m.yaml
	for n in 1 2 3 4 5 6; do
		faulty FAULT_FILE=journal FAULT_OPS=fsync FAULT_AT=$n \
			FAULT_WHEN=after palletjack run m.yaml --until verify ||
			:
		test "$(wc -l <conversions)" -eq 1
		faulty FAULT_FILE=journal FAULT_OPS=fsync FAULT_AT=$n \
			FAULT_WHEN=after palletjack run m.yaml --until convert \
			2>err || :
		tail -n 1 "$state/journal" |
			jq -e "select(.type == \"intent\").step == \"convert\"" &&
			break
	done
	test "$n" -lt 6
	is_made_again
'
check 'a replica that is booted as it is, is booted again' '
	bootsector GUEST-UP | dd of=one.raw conv=notrunc status=none
	local_manifest web=one.raw:fast \
		"skipGuestConversion: true, targetPowerState: \"off\"" \
		"$settings, bootTest: once, bootProbe: {serial: GUEST-UP}"
	damaged boot-test
	palletjack verify --repair m.yaml
	test "$(voids | xargs)" = "boot-test cutover/disk-0"
	palletjack run m.yaml
	test "$(grep -c "\"type\":\"intent\",\"step\":\"boot-test\"" "$state/journal")" -eq 2
	cmp one.raw $disk
'
check 'a start that was killed before it did anything settles no doubt' '
	local_manifest web=one.raw:fast \
		"skipGuestConversion: true, targetPowerState: \"off\"" \
		"$settings, verify: none"
	rm -rf target "$PALLETJACK_STATE"
	palletjack run m.yaml --until create-vm
	bend
	exits 8 palletjack verify m.yaml
	exits 137 faulty FAULT_FILE=journal FAULT_OPS=write FAULT_WHEN=after \
		FAULT_MATCH="\"intent\",\"step\":\"start" palletjack run m.yaml
	tail -n 1 "$state/journal" | jq -e "select(.type == \"intent\").step == \"start\""
	exits 8 palletjack run m.yaml
	palletjack verify --repair m.yaml
	palletjack run m.yaml
	cmp one.raw $disk
'
test_end
