#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The run is killed at every journal record in turn, before, within and after
# its write; the next run always ends in the same place.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'a run killed at any record goes on from there'
requires jq
fault=$(dirname "$PALLETJACK")/t/fault.so
test -e "$fault" || skip_all "$fault is not built: run make check"

fake_manifest 'vms: "1"' '{bootTest: once}'

# records of an undisturbed run
check 'undisturbed' '
	palletjack run m.yaml &&
	palletjack journal show "$PALLETJACK_STATE/t/p/vm-00001" | wc -l >n
'
nrecords=$(cat n)

# kill_at N WHEN: a run that dies there, then one that does not
kill_at() {
	rm -rf "$PALLETJACK_STATE"
	env LD_PRELOAD="$fault" FAULT_FILE=journal FAULT_AT="$1" \
		FAULT_WHEN="$2" ASAN_OPTIONS=verify_asan_link_order=0 \
		palletjack run m.yaml >killed 2>&1
	status=$?
	test $status -eq 137 || {
		echo "record $1 $2: not killed but $status"
		cat killed
		return 1
	}
	palletjack run m.yaml >resumed 2>&1 || {
		echo "record $1 $2: the next run ended with $?"
		cat resumed
		return 1
	}
	palletjack journal check "$PALLETJACK_STATE/t/p/vm-00001" || return 1
	test "$(fake_state)" = finished || return 1
	fake_steps | sort >want
	fake_log | sort -u >got
	cmp_ok want got || return 1
	# only the step whose result was being written can have run twice
	fake_log | sort | uniq -d >twice
	test "$(wc -l <twice)" -le 1
}

for when in before torn after; do
	check "killed $when each of $nrecords writes to the journal" "
		n=1
		while test \$n -le $nrecords; do
			kill_at \$n $when || exit 1
			n=\$((n + 1))
		done
	"
done

check 'what was confirmed is never done again' '
	# the record after the last result but one: all but cleanup is done
	rm -rf "$PALLETJACK_STATE" &&
	! env LD_PRELOAD="$fault" FAULT_FILE=journal \
		FAULT_AT=$((nrecords - 2)) FAULT_WHEN=after \
		ASAN_OPTIONS=verify_asan_link_order=0 \
		palletjack run m.yaml &&
	fake_log >before && palletjack run m.yaml && fake_log >after &&
	head -n "$(wc -l <before)" after | cmp_ok before - &&
	test $(($(wc -l <after) - $(wc -l <before))) -le 1
'
test_end
