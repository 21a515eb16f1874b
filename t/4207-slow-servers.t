#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Servers whose bytes come and come, and hardly get anywhere: every wait ends,
# and who is asked to stop does.
. "${0%/*}/lib.sh"
test_begin 'a server that trickles keeps nobody for ever'
requires jq
requires nbdkit --version
requires perl -MIO::Socket::UNIX -e 1
says=${PALLETJACK%/*}/t/ledger_says
test -x "$says" || skip_all "$says is not built: run make units"

size=9437184
head -c $size /dev/urandom >src
nbdkit -f -U "$PWD/server.sock" file src 2>server.log &
at_end "end_process $!"
within 20 test -S server.sock
# trickles NAME BYTES SECONDS: from then on NAME.sock is the server, slow while
# there is NAME.slow
trickles() {
	perl "$TOP/t/trickle.pl" "$PWD/$1.sock" "$PWD/server.sock" "$2" "$3" \
		"$PWD/$1.slow" &
	at_end "end_process $!"
	within 20 test -S "$1.sock"
}
uri() {
	echo "nbd+unix:///?socket=$PWD/$1.sock"
}
durable_blocks() {
	test -e "$1" || return 1
	"$says" "$1" "$2" src >said || return 1
	test "$(tail -n 1 said | cut -d' ' -f2)" -ge "$3"
}
# ends_within MS COMMAND...: its status; a wait that has no end is no hang here
ends_within() {
	limit=$1
	shift
	began=$(date +%s%N)
	ended=0
	timeout -k 1 60 "$@" || ended=$?
	took=$((($(date +%s%N) - began) / 1000000))
	echo "ended with $ended after $took ms"
	test $took -lt "$limit"
}

check 'one that goes on sending and never ends a request is given up' '
	trickles drip 1 0.02
	palletjack copy --quiet "$(uri drip)" fast.raw
	cmp src fast.raw
	{ within 20 durable_blocks l.drip drip.raw 1; : >drip.slow; } &
	ends_within 40000 palletjack copy --quiet --deadline 2s \
		--bandwidth 1Mi --checkpoint 1Mi --ledger l.drip \
		"$(uri drip)" drip.raw 2>err
	cat err
	test $ended -eq 5
	grep -q "drip.sock.* comes to no end: bytes move, but in [0-9.]* s no request was answered" err
	"$says" l.drip drip.raw src
'
check 'what it gave before is gone on with' '
	rm -f drip.slow
	palletjack copy --quiet -o json --ledger l.drip "$(uri drip)" drip.raw >out
	cmp src drip.raw
	test "$(jq .skipped out)" -gt 0
'
check 'a slow one is not waited for by a copy that is asked to stop' '
	trickles slow 8192 0.09
	palletjack copy --quiet --bandwidth 1Mi --checkpoint 1Mi \
		--ledger l.slow "$(uri slow)" slow.raw 2>err &
	pid=$!
	within 20 durable_blocks l.slow slow.raw 1
	: >slow.slow
	began=$(date +%s%N)
	kill $pid
	status=0
	wait $pid || status=$?
	took=$((($(date +%s%N) - began) / 1000000))
	cat err
	echo "ended with $status after $took ms"
	test $took -lt 3000
	refute grep -q "did not finish its last checkpoint" err
	"$says" l.slow slow.raw src
'
check 'one that is slow, and no more, is heard to its end' '
	rm -f drip.slow
	trickles lazy 131072 0.09
	: >lazy.slow
	timeout 120 palletjack copy --quiet --deadline 500ms "$(uri lazy)" lazy.raw
	cmp src lazy.raw
'
test_end
