#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A run is killed a thousand times at random moments, again and again until it
# is through.  SEED repeats one such history, KILLS sets their number.
. "${0%/*}/../lib.sh"
. "${0%/*}/../fake.sh"
test_begin 'a run killed at random moments always ends in the same place'
requires jq

seed=${SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
wanted=${KILLS:-1000}
echo "# SEED=$seed"

fake_manifest 'vms: "2", stepMillis: "20"' \
	'{bootTest: once, retry: {first: 1ms, max: 1ms}}' vm-00001 vm-00002
fake_steps | sort >steps
awk -v seed="$seed" -v n=$((wanted * 2)) 'BEGIN {
	srand(seed)
	while (n--)
		printf "%.3f\n", 0.01 + rand() * rand() * 0.5
}' >moments

# What is known to have been done at the moment of a kill.
confirmed() {
	jq -r 'select(.type == "result" and .facts).step' \
		"$PALLETJACK_STATE/t/p/$1/journal" | sort
}

# Each result is confirmed once: no step is begun after that.
once_each() {
	confirmed "$1" | cmp_ok steps - || return 1
	fake_log "$1" | sort -u | cmp_ok steps - || return 1
	# every repetition was an attempt whose result nobody had: the last
	# attempt's is the one confirmed
	jq -r 'select(.type == "result" and .facts)
		| .step + " " + (.facts.attempt | tostring)' \
		"$PALLETJACK_STATE/t/p/$1/journal" | sort >last
	sort -k1,1 -k2,2n "$PALLETJACK_STATE/t/p/$1/fake.log" |
		awk '{ n[$1] = $2 } END { for (s in n) print s, n[s] }' |
		sort | cmp_ok last - || return 1
	# and all under one key
	test "$(cut -d' ' -f3 "$PALLETJACK_STATE/t/p/$1/fake.log" | sort -u |
		wc -l)" -eq 1
}

# Runs until it is through; each run but the last is killed.
one_history() {
	rm -rf "$PALLETJACK_STATE"
	while read -r moment <&3; do
		status=0
		palletjack run m.yaml >out 2>&1 &
		run=$!
		sleep "$moment"
		kill -KILL $run || :
		wait $run || status=$?
		test $status -ne 0 || break
		test $status -eq 137 || {
			echo "a run ended with $status"
			cat out
			return 1
		}
		echo >>kills
	done
	palletjack run m.yaml && palletjack plan --detailed-exitcode m.yaml &&
		palletjack journal check "$PALLETJACK_STATE"/t/p/* &&
		once_each vm-00001 && once_each vm-00002
}

: >kills
check "after $wanted kills" '
	exec 3<moments
	while test "$(wc -l <kills)" -lt '"$wanted"'; do
		one_history >said 2>&1 || { cat said; exit 1; }
		echo >>histories
	done
'
echo "# $(wc -l <kills) kills in $(wc -l <histories) migrations of two vms"
test_end
