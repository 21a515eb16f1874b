#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A journal that was cut short or had a bit flipped, anywhere: what status and
# the next run make of it.  (t/unit/journal.c tries every byte; this shows some,
# from SEED on every STEP bytes, what then becomes of the vm; LONG=1: more.)
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'a damaged journal is believed as far as it holds, or not at all'
requires jq

step=${STEP:-$(test -n "$LONG" && echo 13 || echo 397)}
seed=${SEED:-$(($(od -An -N2 -tu2 /dev/urandom) % step))}
echo "# SEED=$seed STEP=$step"
state=$PALLETJACK_STATE/t/p/vm-00001
fake_manifest 'vms: "2", diskSize: 2Mi' \
	'{checkpoint: {bytes: 1Mi}, retry: {attempts: 1, first: 1ms, max: 1ms}}' vm-00001 vm-00002
palletjack run --until convert m.yaml >/dev/null 2>&1
cp -R "$PALLETJACK_STATE" whole
journal=whole/t/p/vm-00001/journal
size=$(wc -c <"$journal")
# Behind it is the last batch.  With it goes the end of the line before: of two
# lines that became one there is no telling which was torn.
last=$(jq -r .batch "$journal" | tail -n 1)
last=$(jq -c --argjson b "$last" 'select(.batch < $b)' "$journal" | wc -l)
last=$(head -n "$last" "$journal" | wc -c)
sha256sum "$state/fake.disk-0" "$state/fake.overlay" >disks

again() {
	rm -rf "$PALLETJACK_STATE"
	cp -R whole "$PALLETJACK_STATE"
}
# said_done: the steps of vm-00001 that status calls done
said_done() {
	palletjack status m.yaml -o json | jq -r '.vms[] |
		select(.vm == "vm-00001").steps[] | select(.state == "done").step' |
		sort
}
# finishes: a run does, and the disk is what it was
finishes() {
	palletjack run --until convert m.yaml >said 2>&1 || { cat said; return 1; }
	palletjack journal check "$PALLETJACK_STATE"/t/p/* >said 2>&1 &&
		sha256sum -c disks >said 2>&1 || { cat said; return 1; }
}
tries=0
cut_at() {
	again
	head -c "$1" "$journal" >"$state/journal"
	# whole lines count, and nothing else
	head -n "$(head -c "$1" "$journal" | wc -l)" "$journal" |
		jq -r 'select(.type == "result" and .facts).step' | sort >proved
	said_done | cmp_ok proved - && finishes || { echo "cut at $1"; return 1; }
}
check "cut at every ${step}th of $size bytes, or between records: status says what is proved, a run finishes" '
	{ seq '"$seed $step $size"'; grep -bo "^{" "$journal" |
		cut -d: -f1 | awk "NR % 5 == 0"; } >points
	while read -r at; do
		cut_at "$at" || exit 1
	done <points
'
echo "# $(wc -l <points) of them"

flip_at() {
	again
	at=$1
	byte=$(od -An -tu1 -j "$at" -N 1 "$journal" | tr -d ' ')
	printf "\\$(printf %o $((byte ^ 1)))" |
		dd of="$state/journal" bs=1 seek="$at" conv=notrunc status=none
}
check "a bit flipped before the last batch: the vm is refused, the other goes on, nothing is changed" '
	for at in $(seq '"$seed $((step * 2)) $((last - 2))"'); do
		flip_at "$at"
		sha256sum "$state"/fake.* "$state/journal" >before
		exits 6 palletjack run m.yaml 2>err || { echo "at $at"; cat err; exit 1; }
		grep -q "vm-00001 .*STOPPED: .*journal.* \(at byte [0-9]\|beginning is damaged\)" err || { echo "at $at"; cat err; exit 1; }
		sha256sum -c before >said && test "$(fake_state vm-00002)" = finished || exit 1
	done
'
check 'and how to go on is said' 'cat err; grep -qi "restore .* from a backup" err'
check 'in the last batch it is a torn tail: the run does that step again' '
	for at in $(seq '"$((last - 1))"' 61 '"$((size - 1))"'); do
		flip_at "$at" && finishes || { echo "at $at"; exit 1; }
	done
'
test_end
