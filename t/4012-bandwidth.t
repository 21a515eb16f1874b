#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Bandwidth limits: of a copy, and of all steps of a run together.  What a limit
# allows takes at least so long; that is all that is clocked.
. "${0%/*}/lib.sh"
. "${0%/*}/local.sh"
test_begin 'no more bytes a second than the policy says, whoever copies them'
requires jq
requires nbdkit --version

# at_least MS COMMAND...: it takes that long, or longer.
at_least() {
	at_least_ms=$1
	shift
	began=$(date +%s%N)
	"$@" || return
	took=$((($(date +%s%N) - began) / 1000000))
	echo "took $took ms: $*"
	test "$took" -ge "$at_least_ms"
}

head -c 3145728 /dev/urandom >src
truncate -s 40M src
check 'a copy takes its time for data, and none for holes' '
	at_least 740 palletjack copy --bandwidth 4Mi --ledger l.a src a.raw &&
	cmp src a.raw
'
check 'also one that the kernel makes' '
	at_least 740 palletjack copy --bandwidth 4Mi --proof none src b.raw &&
	cmp src b.raw
'
nbdkit -f -U "$PWD/src.sock" file src &
at_end "end_process $!"
within 20 test -S src.sock
check 'and one from a server' '
	at_least 740 palletjack copy --bandwidth 4Mi \
		"nbd+unix:///?socket=$PWD/src.sock" c.raw && cmp src c.raw
'
check_exit 2 'what is no rate is refused' '
	palletjack copy --bandwidth 10 src d.raw
'
check 'a copy that waits for its turn stops at once' '
	palletjack copy --bandwidth 64Ki --ledger l.e src e.raw &
	pid=$!
	within 20 test -e l.e
	kill -TERM $pid
	exits 143 at_least 0 wait $pid
'

# manifest POLICY: two vms with two disks each, 2 MiB of data a disk.
for disk in 1 2 3 4; do
	head -c 2097152 /dev/urandom >$disk.raw
	truncate -s 8M $disk.raw
done
manifest() {
	local_manifest 'a=1.raw:s,2.raw:s b=3.raw:s,4.raw:s' "$local_raw" \
		"$1, retry: {attempts: 3, first: 1ms, max: 1ms}"
}
disks_are_right() {
	cmp 1.raw target/s/a/disk-0.raw && cmp 2.raw target/s/a/disk-1.raw &&
		cmp 3.raw target/s/b/disk-0.raw &&
		cmp 4.raw target/s/b/disk-1.raw
}
# journals TYPE: the records of copies, of both vms, in a list.
journals() {
	cat "$PALLETJACK_STATE"/t/p/*/journal | jq -s --arg type "$1" \
		'[.[] | select(.type == $type and (.step | startswith("cutover/")))]'
}
# copies_ms: from the first copy's begin to the last one's end.
seconds='(.time[0:19] + "Z" | fromdate) * 1000 + (.time[20:23] | tonumber)'
copies_ms() {
	echo $(($(journals result | jq "map($seconds) | max") - \
		$(journals intent | jq "map($seconds) | min")))
}
again() {
	rm -rf "$PALLETJACK_STATE" target
	manifest "$1"
}
again 'limits: {bandwidth: 8Mi}'
check 'four copies of two vms keep to one limit of the run' '
	palletjack run m.yaml && disks_are_right && echo "took $(copies_ms)" &&
	test "$(copies_ms)" -ge 990
'
again 'limits: {bandwidthPerEndpoint: 8Mi}, verify: none'
check 'and to one of an endpoint' '
	palletjack run m.yaml && disks_are_right && echo "took $(copies_ms)" &&
	test "$(copies_ms)" -ge 990
'
again 'limits: {bandwidth: 1Gi, bandwidthByTime: [{days: [sun, mon, tue, wed, thu, fri, sat], bandwidth: 8Mi}]}'
check 'and to one of the time of the day' '
	palletjack run m.yaml && disks_are_right && echo "took $(copies_ms)" &&
	test "$(copies_ms)" -ge 990
'

# Disks of 32 MiB in all, compared any time later.
again 'checkpoint: {every: 5s}'
check 'verify keeps to the target endpoint, as the step does' '
	palletjack run --until verify m.yaml &&
	manifest "limits: {bandwidthPerEndpoint: 32Mi}" &&
	at_least 740 palletjack verify m.yaml
'
check 'to the run where the source is read' '
	manifest "limits: {bandwidth: 32Mi}" &&
	at_least 740 palletjack verify --against source m.yaml
'
check 'and to both where it repairs' '
	manifest "limits: {bandwidth: 4Mi}" &&
	dd if=/dev/urandom of=target/s/a/disk-0.raw bs=1M count=2 conv=notrunc status=none &&
	at_least 740 palletjack verify --repair m.yaml && disks_are_right
'

# all_copy: four of them have begun, with nice 10.
all_copy() {
	journals intent | jq ".[].process.pid" >pids
	test "$(wc -l <pids)" -ge 4 || return
	while read -r pid; do
		sed "s/.*) //" "/proc/$pid/stat"
	done <pids | cut -d " " -f 17 | sort -u >nice
	test "$(cat nice)" = 10
}
again 'limits: {bandwidth: 1Mi, priority: low}'
check 'with low priority the scheduler sees it, and the disk scheduler' '
	palletjack run --events events m.yaml 2>err &
	echo $! >run
	within 30 all_copy
	test -z "$(command -v ionice)" ||
		test "$(ionice -p "$(head -n 1 pids)")" = "best-effort: prio 7"
'
check 'a step that is killed while it waits takes nothing with it' '
	kill -KILL "$(head -n 1 pids)"
	within 60 test_is_gone "$(cat run)" && disks_are_right &&
	test "$(journals intent | jq length)" -eq 5
'
check 'whoever reads the events sees how far it is' '
	grep "\"progress\"" events >told; cat told
	jq -se "all(.[]; .type == \"progress\" and (.step | startswith(\"cutover/\"))
		and .total == 8388608 and .done <= .total and .read <= 2097152
		and .written <= .read and .skipped == 0 and .heldMs > 0
		and .rate >= 0 and .rate < 4194304) and length > 0" told
'
check 'which no journal keeps' '
	refute grep "\"progress\"" "$PALLETJACK_STATE"/t/p/*/journal
'
if command -v script >/dev/null; then
	check 'on a terminal a copy says how fast it is, and how long it takes' '
		script -qec "$(command -v palletjack || echo "$PALLETJACK") copy --ledger l.t --bandwidth 2Mi src t.raw" \
			/dev/null </dev/null >typed; tr "\r" "\n" <typed | tail -n 20
		grep -q " % .* of 40 MiB .*/s .* left" typed
	'
else
	skip 'there is no script(1)' 'progress on a terminal'
fi
test_end
