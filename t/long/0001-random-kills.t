#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A run is killed a thousand times at random moments, again and again until it
# is through: the target is then, byte for byte, what an undisturbed run leaves,
# nothing was switched twice, and hooks ran at least once under the same key.
# SEED repeats one such history, ROUNDS sets the number of kills.
. "${0%/*}/../lib.sh"
. "${0%/*}/../fake.sh"
test_begin 'a run killed at random moments always ends in the same place'
requires jq

seed=${SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
wanted=${ROUNDS:-1000}
echo "# SEED=$seed"

fake_manifest 'vms: "2", power: "on", diskSize: 4Mi, stepMillis: "20", seed: "'"$seed"'"' \
	'{bootTest: once, retry: {first: 1ms, max: 1ms}, checkpoint: {bytes: 1Mi}}' \
	vm-00001 vm-00002
sed -i 's/log(.here.)/log("key " .. key)/' m.yaml
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
	# a hook is told by its key that it was there before
	for hook in pre-hook post-hook; do
		sed -n "s,.*: key \(.*/$hook\)\$,\1,p" \
			"$PALLETJACK_STATE/t/p/$1/log/run.log" >keys
		test -s keys && test "$(sort -u keys | wc -l)" -eq 1 || return 1
		wc -l <keys >>hooks
	done
	# one copy, however often it was cut short
	jq -s -e '[.[] | select(.type == "result" and .step == "cutover/disk-0")
		| .facts.generation] | last == 1' \
		"$PALLETJACK_STATE/t/p/$1/journal" >/dev/null &&
		fake_target "$1" | cmp_ok "target.$1" -
}

# How many copies a kill cut short: an intent without its result.
halves() {
	cat "$@" 2>/dev/null |
		jq -R 'fromjson? | select(.step == "cutover/disk-0") | .type' |
		tail -n 1 | grep -c intent >>halves || :
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
		halves "$PALLETJACK_STATE"/t/p/*/journal
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

check 'undisturbed' '
	palletjack run m.yaml; fake_target vm-00001 >target.vm-00001
	fake_target vm-00002 >target.vm-00002; cat target.*
	printf "%s\n" "source off" "mark started" "target on" >want
	cmp_ok want "$PALLETJACK_STATE/t/p/vm-00001/fake.power"
'
: >kills
: >histories
check "after $wanted kills" '
	exec 3<moments
	while test "$(wc -l <kills)" -lt '"$wanted"'; do
		one_history >said 2>&1 || { cat said; exit 1; }
		echo >>histories
	done
'
sum() {
	awk '{ n += $1 } END { print n + 0 }' "$1"
}
echo "# SEED=$seed: $(wc -l <kills) kills in $(wc -l <histories) migrations of two vms"
echo "# $(sum halves) of them in the middle of a copy; hooks ran $(sum hooks) times for" \
	"$(($(wc -l <histories) * 4)) hooks"
test_end
