#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Two runs started at the same moment, many times (ROUNDS): no step is done
# twice, whoever gets the vm.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'two runs started at once never do a step twice'
requires jq

fake_manifest 'vms: "1"'
fake_steps | grep -v boot-test | sort >steps

# One of them does it; the other is refused, or finds it done.
both() {
	rm -rf "$PALLETJACK_STATE"
	palletjack run m.yaml >first 2>&1 &
	first=$!
	palletjack run m.yaml >second 2>&1 &
	second=$!
	status=0
	wait $first || status=$?
	wait $second || status=$status$?
	# 4: the vm was in the other's hands at that moment
	echo $status >>statuses
	case $status in
	0 | 4 | 04) ;;
	*)
		echo "status $status"
		cat first second
		return 1
		;;
	esac
	fake_log | sort | cmp_ok steps - &&
		test "$(fake_state)" = finished &&
		palletjack journal check "$PALLETJACK_STATE"/t/p/*
}

check "$(rounds 20) times" '
	n=0
	while test $n -lt "$(rounds 20)"; do
		both || exit 1
		n=$((n + 1))
	done
'
check 'in some of them both were at it' '
	sort statuses | uniq -c; grep -q 4 statuses
'
test_end
