#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The cost of planning grows with the number of vms, and no faster: counted in
# instructions, which no other work on the machine changes.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'twice the vms cost twice as much'
requires valgrind

growth=${PALLETJACK%/*}/t/unit/growth
test -x "$growth" || skip_all 'it counts the unit test growth: make units'
is_sanitized && skip_all 'valgrind runs no sanitized program'

# count VMS [refused]: the instructions of planning them, what every start costs
# apart
count() {
	valgrind --tool=callgrind --callgrind-out-file=/dev/null \
		"$growth" "$@" 2>&1 >out |
		sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
	if grep '^not ok' out >&2; then return 1; fi
}

# Ten times as many cost ten times as much, to one in a hundred: one comparison
# of words for each pair of vms would be seen.
grows_evenly() {
	count 1 "$@" >none
	count 101 "$@" >few
	count 1001 "$@" >many
	none=$(cat none) few=$(cat few) many=$(cat many)
	echo "1: $none, 101: $few, 1001: $many instructions"
	echo "a vm: $(((few - none) / 100)) and $(((many - none) / 1000))"
	test "$few" -gt "$none" &&
		test $((many - none)) -lt $(((few - none) * 103 / 10))
}

check 'ten times the vms are planned for ten times the price' '
	grows_evenly
'
check 'and are refused, each for a reason of its own, for ten times that' '
	grows_evenly refused
'
test_end
