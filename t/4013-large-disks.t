#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A disk's size costs neither memory nor much of a ledger.
. "${0%/*}/lib.sh"
test_begin 'a disk of any size takes the memory of a small one'
requires jq
requires qemu-img --version
requires /usr/bin/time --version
is_sanitized && skip_all 'the sanitizers take memory of their own'

gib=$((4 * 1024))
truncate -s "${gib}G" src 2>/dev/null ||
	skip_all "no files of $gib GiB in ${HOME%/*}"
for at in 0 1 2 3 4 5 6 7; do
	head -c 1048576 /dev/urandom |
		dd of=src bs=1M seek=$((at * gib * 128)) conv=notrunc status=none
done
truncate -s "${gib}G" src

# What is mapped counts, too, as it does where a container is limited.
copy() {
	/usr/bin/time -q -o time -f %M "$PALLETJACK" copy -o json \
		--ledger ledger src target >out && cat out time &&
	test "$(cat time)" -lt $((100 * 1024))
}

check '4 TiB, nearly all of it holes, in less than 100 MiB of memory' '
	copy && test "$(jq .written out)" -eq $((8 * 1048576)) &&
	qemu-img compare -f raw -F raw src target
'
check 'its ledger has at most 48 bytes for each MiB' '
	test "$(stat -c %s ledger)" -le $((gib * 1024 * 48))
'
check 'and so when there is nothing to do any more' '
	copy && test "$(jq .skipped out)" -eq "$(jq .size out)"
'
# Read until its last entry, which is wrong: nothing is copied by such a list.
awk 'BEGIN { for (i = 0; i < 3000000; i++) printf "%d 4096\n", i * 262144
	print 4398046511104 * 2 " 5" }' >long
awk 'NR > 1 { print "," } { printf "{\"offset\":%s,\"length\":%s}", $1, $2 }
	BEGIN { print "[" } END { print "]" }' long >long.json
for long in long long.json; do
	check "and so with a list of three million changes, $long" '
		exits 2 /usr/bin/time -q -o time -f %M "$PALLETJACK" copy \
			--changed $long --ledger ledger src target 2>err
		cat err time; grep -q "entry 300000[01] begins at byte" err
		test "$(tail -n 1 time)" -lt $((100 * 1024))
	'
done
rm long long.json
check 'and so with a ledger of which nothing but its header is left' '
	truncate -s 8192 ledger
	copy
	test "$(jq .skipped out)" -eq 0
	qemu-img compare -f raw -F raw src target
	test "$(stat -c %s ledger)" -gt $((gib * 1024 * 40))
'
test_end
