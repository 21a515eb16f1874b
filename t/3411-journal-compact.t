#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A journal that grows is compacted by the run that writes it: killed at any
# moment of that, or without the room for it, the run goes on as if it had not.
# With LONG=1 also killed while it compacts in the middle of a run.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'a journal does not grow for ever'
requires jq
requires_fault

# manifest [FAULTS [ATTEMPTS]]: a vm whose step is tried so often; 1700 times are
# some 1.2 MiB of records
manifest() {
	fake_manifest "vms: \"1\", faults: \"$1\"" "{bootTest: once,
		retry: {attempts: ${2:-500}, first: 0s, max: 0s, total: 0s}}"
}
vm=$PALLETJACK_STATE/t/p/vm-00001
size() {
	stat -c %s "$vm/journal"
}
# What is remembered of each step, with how often it was tried, but for whether
# it has retries left: a run that begins gives it fresh ones.
remembered() {
	palletjack status m.yaml -o json | jq -S '[.vms[].steps[] | del(.retriesUsedUp)]'
}
fake_steps | sort >steps

manifest commit:retry 1200
check 'a journal that is not long yet stays as it is' '
	exits 5 palletjack run m.yaml && test "$(size)" -gt 700000 &&
	palletjack journal check "$vm" >said && refute grep compacted said &&
	cp -R "$PALLETJACK_STATE" short
'
manifest commit:retry
check 'a step that is tried again and again fills no disk' '
	exits 5 palletjack run --events events m.yaml; palletjack journal check "$vm" >said
	cat said; size; grep -q "older records are compacted into the first two" said &&
	test "$(size)" -lt 1048576
'
check 'all attempts are remembered' '
	remembered >now && test "$(jq ".[] | select(.step == \"commit\").attempts" now)" -eq 1700
'
check 'the event stream has the records in their order, numbered throughout' '
	jq .seq events | sort -n -c && jq -r .type events | grep -c "^state$" | grep -qx 1 &&
	jq .seq events | sort -n -u | wc -l >distinct &&
	test "$(cat distinct)" -eq "$(wc -l <events)" &&
	test "$(tail -n 1 events | jq .seq)" -eq "$(palletjack journal show "$vm" | tail -n 1 | jq .seq)"
'
check 'it finishes as ever' '
	manifest && palletjack run m.yaml && test "$(fake_state)" = finished &&
	fake_log | sort | cmp_ok steps -
'
check 'once finished it is only looked at' '
	sha256sum "$vm/journal" >before && palletjack run m.yaml && sha256sum -c before
'

manifest commit:retry
rm -rf "$PALLETJACK_STATE"
cp -R short "$PALLETJACK_STATE"
check 'where it cannot be compacted, it stays as it is, and the run goes on' '
	exits 5 with_fault FAULT_OPS=write FAULT_FILE=journal.new FAULT_WHEN=ENOSPC \
		FAULT_LASTS=yes palletjack run m.yaml 2>err
	grep "its journal stays as long as it is: .*No space left" err | tee warned
	test "$(wc -l <warned)" -eq 1 && test "$(size)" -gt 1048576 &&
	palletjack journal check "$vm" && test ! -e "$vm/journal.new"
'
manifest
remembered >grown
cp -R "$PALLETJACK_STATE" long
again() {
	rm -rf "$PALLETJACK_STATE"
	cp -R long "$PALLETJACK_STATE"
}

# faulty NAME=VALUE...: a run that begins with compacting
faulty() {
	again
	with_fault FAULT_OPS='open write fsync rename ftruncate unlink' FAULT_DIR="$vm" \
		"$@" palletjack run --until validate m.yaml
}
check 'a run that finds a long one begins with compacting it' '
	faulty FAULT_LOG="$PWD/points" && test "$(size)" -lt 20000 && remembered | cmp_ok grown -
'
# all from the file aside to the second record behind it
first=$(grep -n '^open.*/journal\.new$' points | head -n 1 | cut -d: -f1)
last=$(grep -n '^write.*/journal$' points | sed -n 2p | cut -d: -f1)
cat points | head -n $((last + 1)) | sed 's/^/# /'

# resumes WHEN: killed there, all is remembered, and the next run finishes
resumes() {
	for n in $(seq "$first" $((last + 1))); do
		exits 137 faulty FAULT_AT="$n" FAULT_WHEN="$1" || return 1
		palletjack journal check "$vm" && remembered | cmp_ok grown - &&
			palletjack run m.yaml 2>err && palletjack journal check "$vm" &&
			test "$(fake_state)" = finished && test "$(size)" -lt 30000 &&
			fake_log | sort | cmp_ok steps - || {
			echo "point $n $1: $(sed -n "${n}p" points)"
			cat err
			return 1
		}
	done
}
check 'killed before any step of it' 'resumes before'
check 'killed behind any step of it' 'resumes after'
check 'killed in the middle of writing aside' '
	n=$(grep -n "^write.*/journal\.new$" points | cut -d: -f1)
	exits 137 faulty FAULT_AT="$n" FAULT_WHEN=torn && test -s "$vm/journal.new" &&
	remembered | cmp_ok grown - && palletjack run m.yaml && test ! -e "$vm/journal.new"
'
echo "# $((2 * (last + 2 - first) + 1)) points tried"

check 'a new name that cannot be synced ends the run: nobody knows what is there' '
	n=$(grep -n "^fsync.*/vm-00001$" points | cut -d: -f1 | while read -r n; do
		test "$n" -lt "$first" || { echo "$n"; break; }; done)
	exits 5 faulty FAULT_AT="$n" FAULT_WHEN=EIO 2>err; cat err
	remembered | cmp_ok grown - && palletjack run m.yaml
'
for op in open fsync rename; do
	check "$op fails: it stays as it was, and costs nothing" '
		again; file=journal.new
		test $op != rename || file=journal
		with_fault FAULT_OPS=$op FAULT_FILE=$file FAULT_LASTS=yes FAULT_WHEN=EIO \
			palletjack run --until validate m.yaml && remembered | cmp_ok grown - &&
		test "$(size)" -gt 1048576 && palletjack run m.yaml && test "$(fake_state)" = finished
	'
done

if test -n "$LONG"; then
	manifest commit:retry 1700
	for fault in open:before write:torn fsync:before fsync:after rename:before rename:after; do
		check "killed in the middle of a run: $fault" '
			rm -rf "$PALLETJACK_STATE"; file=journal.new
			test "${fault%:*}" != rename || file=journal
			exits 137 with_fault FAULT_OPS=${fault%:*} FAULT_FILE=$file \
				FAULT_WHEN=${fault#*:} palletjack run m.yaml
			palletjack journal check "$vm"; remembered >then
			manifest; palletjack run m.yaml; fake_log | sort | cmp_ok steps -
			manifest commit:retry 1700
		'
	done
fi
test_end
