#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A server that says that a read went well, and has not sent all of it: what the
# buffer held before is not what the disk has.
. "${0%/*}/lib.sh"
test_begin 'an answer that has too little is none'
requires perl -MIO::Socket::UNIX -e 1
says=${PALLETJACK%/*}/t/ledger_says
test -x "$says" || skip_all "$says is not built: run make units"

head -c 8388608 /dev/urandom >src
cp src before
printf before | dd of=before bs=1 seek=2621440 conv=notrunc status=none
for which in all half none; do
	perl "$TOP/t/scant.pl" "$PWD/$which.sock" src 2097152 $which &
	at_end "end_process $!"
	within 20 test -S $which.sock
done
uri() {
	echo "nbd+unix:///?socket=$PWD/$1.sock"
}

check 'one in parts, and not in their order, is whole' '
	palletjack copy --quiet --ledger l.all "$(uri all)" all.raw
	cmp src all.raw
'
# is_noticed N COMMAND...: that the answer has N bytes
is_noticed() {
	scant=$1
	shift
	exits 5 "$@" 2>err
	cat err
	grep -q "read 1048576 bytes at byte 2097152, and answered with $scant of them" err
}
for which in half none; do
	n=524288
	test $which = half || n=0
	for proof in sha256 none; do
		check "$which of it, proof $proof" '
			rm -f l *.raw*
			is_noticed $n palletjack copy --quiet --proof '$proof' \
				--ledger l "$(uri '$which')" some.raw
			"$says" l some.raw src
		'
	done
	check "$which of it, in what is compared" '
		rm -f l *.raw*
		palletjack copy --quiet --ledger l before some.raw
		is_noticed $n palletjack copy --quiet --compare \
			--ledger l "$(uri '$which')" some.raw
		palletjack copy --quiet --compare --ledger l src some.raw
		cmp src some.raw
	'
done
test_end
