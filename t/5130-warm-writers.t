#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Guests that write, moved by the program on a clock that only sleeping moves
# (t/clock.c): it does to the millisecond what t/unit/runs does with the same
# seeds, of which that judges a thousand of each kind.
. "${0%/*}/lib.sh"
test_begin 'writers on a virtual clock: the program does as the simulation'
requires jq

clock=${PALLETJACK%/*}/t/clock.so
runs=${PALLETJACK%/*}/t/unit/runs
test -e "$clock" || skip_all 't/clock.so is not built: run make check'
test -x "$runs" || skip_all 't/unit/runs is not built: run make check'

# at MS COMMAND...: on a clock that shows that, or more, and goes on from there
at() {
	at_ms=$1
	shift
	env CLOCK_FILE="$PWD/clock" CLOCK_AT="$at_ms" LD_PRELOAD="$clock" \
		ASAN_OPTIONS=verify_asan_link_order=0 "$@"
}
# what it shows, or $1 when that is later
clock_ms() {
	clock_now=0
	test ! -e clock || clock_now=$(od -An -td8 clock | tr -d ' ')
	test "$clock_now" -gt "$1" || clock_now=$1
	echo "$clock_now"
}

# run_at MS CUTOVER: its exit status, 0 or 7
run_at() {
	run_status=0
	at "$1" palletjack run m.yaml --cutover "$2" 2>err || run_status=$?
	case $run_status in
	0 | 7) ;;
	*)
		cat err
		return "$run_status"
		;;
	esac
}

# go BEFORE LATEST INTERVAL BEGIN: runs that only copy, then such as may cut it
# over, until one does, each an interval behind the one before
go() {
	go_at=$4 go_n=0
	while test "$go_n" -lt $(($1 + $2)); do
		go_at=$(clock_ms "$go_at")
		go_when=now
		test "$go_n" -ge "$1" || go_when=never
		run_at "$go_at" "$go_when" || return 1
		test "$run_status" -ne 0 || return 0
		go_at=$((go_at + $3)) go_n=$((go_n + 1))
	done
}

outcome() {
	palletjack status -o json m.yaml | jq -r '.vms[0]
		| if .state == "finished" then "moved" else "waits" end'
	grep -c '"type":"intent","step":"precopy",' \
		"$PALLETJACK_STATE/t/p/vm-00001/journal"
	palletjack status -o json m.yaml | jq -r '.vms[0].downtime
		| select(.ms) | .predicted.lowMs, .predicted.highMs, .ms'
}

# moves KIND SEED
moves() {
	rm -rf clock "$PALLETJACK_STATE"
	"$runs" "$1" "$2" . >told
	cat told
	go $(sed -n "s/^before //p" told)
	sed -n 's/^outcome //p' told | tr ' ' '\n' >want
	outcome >got
	cmp_ok want got
}

check 'a writer that there is not is refused, and one of real content' '
	"$runs" burst 1 . >told
	sed "s/writer: burst/writer: bursts/" m.yaml >bad.yaml
	exits 2 palletjack run bad.yaml 2>err || { cat err; exit 1; }
	grep "settings.writer: .bursts. is none of constant, burst" err
	sed "s/content: none, //" m.yaml >bad.yaml
	exits 2 palletjack run bad.yaml 2>err || { cat err; exit 1; }
	grep "settings.writer: .* wants content: none" err
'

for kind in constant burst hot-set growing; do
	for seed in 1 2 3 4 5; do
		check "$kind, $seed" "moves $kind $seed; cp told told.$kind.$seed"
	done
done
check 'some of them were cut over, and some were not' '
	cat told.* | grep "^outcome" | sort
	grep -q "^outcome moved" told.*
	grep -q "^outcome waits" told.*
'
test_end
