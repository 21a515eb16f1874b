#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Who else wrote to a copy's target, or to its source, where no name and no time
# says so: before a copy passes over what its ledger has, it looks.
. "${0%/*}/lib.sh"
test_begin 'a ledger is not believed of a disk that another has written to'
requires jq
requires qemu-img --version
requires nbdkit --version

# Forty blocks; s2 is another clone of the same template.
size=41943040
head -c $size /dev/urandom >s1
fallocate -p -o 20971520 -l 4194304 s1
cp s1 s2
dd if=/dev/urandom of=s2 bs=4096 count=1 seek=$((7 * 256)) conv=notrunc status=none

serve() {
	serve_name=$1
	shift
	nbdkit -f -U "$PWD/$serve_name.sock" "$@" 2>"$serve_name.log" &
	at_end "end_process $!"
	within 20 test -S "$serve_name.sock"
}
uri() {
	echo "nbd+unix:///?socket=$PWD/$1.sock"
}
got() {
	jq -r ".$1" out
}
copies() {
	palletjack copy --quiet -o json "$@" >out
}
# refused STATUS WHAT... [COPY ARGUMENT...]
refused() {
	refused_status=$1 refused_what=$2
	shift 2
	exits "$refused_status" copies "$@" 2>err
	cat err
	grep -q "$refused_what" err
}

truncate -s $size nbd.raw
serve to file "$PWD/nbd.raw"
targets="$(uri to)"
truncate -s $size disk.img
if test "$(id -u)" -eq 0 && dev=$(losetup -f --show disk.img 2>/dev/null); then
	at_end "losetup -d $dev"
	targets="$targets $dev"
fi
for target in $targets; do
	name=${target%%:*} name=${name##*/}
	holds=nbd.raw
	test "$target" = "$(uri to)" || holds=$dev
	for proof in sha256 xxh3; do
		check "$name, $proof: another copy went over it" '
			rm -f l1 l2
			copies --proof '$proof' --ledger l1 s1 "'"$target"'"
			copies --proof '$proof' --ledger l1 s1 "'"$target"'"
			test "$(got skipped)" -eq $size; test "$(got read)" -eq 0
			test "$(got checked)" -eq $size
			copies --proof '$proof' --ledger l2 s2 "'"$target"'"
			refused 8 "was written to since .* the first is block 7 at byte 7340032" \
				--proof '$proof' --ledger l1 s1 "'"$target"'"
			grep -q "1 differ.* --recheck, .*remove the ledger" err; cmp s2 '$holds'
		'
		check "$name, $proof: --recheck copies what differs" '
			copies --proof '$proof' --recheck --ledger l1 s1 "'"$target"'"
			cat out; cmp s1 '$holds'; test "$(got read)" -eq 1048576
			test "$(got checked)" -eq $size
			copies --proof '$proof' --ledger l1 s1 "'"$target"'"
		'
	done
	check "$name: and the other ledger is refused in turn" '
		refused 8 "was written to since" --proof xxh3 --ledger l2 s2 "'"$target"'"
	'
	check "$name: brought up to date is only what is what it was" '
		cp s1 s3; printf changed | dd of=s3 bs=1 seek=9000000 conv=notrunc status=none
		echo "8388608 1048576" >list
		dd if=/dev/urandom of='$holds' bs=1M seek=30 count=1 conv=notrunc,fsync status=none
		refused 8 "was written to since" --changed list --proof xxh3 --ledger l1 s3 "'"$target"'"
		refused 8 "was written to since" --compare --proof xxh3 --ledger l1 s3 "'"$target"'"
		copies --recheck --changed list --proof xxh3 --ledger l1 s3 "'"$target"'"
		cmp s3 '$holds'
	'
	check "$name: without a proof nothing can be looked at" '
		rm -f l1; copies --proof none --ledger l1 s1 "'"$target"'"
		copies --proof none --ledger l1 s1 "'"$target"'"
		test "$(got skipped)" -eq $size; test "$(got checked)" -eq 0
		refused 2 "no digests" --recheck --proof none --ledger l1 s1 "'"$target"'"
	'
done
for format in raw qcow2; do
	check "a file, $format, that a vm wrote to meanwhile" '
		rm -f l1; copies --format '$format' --ledger l1 s1 f.'$format'
		qemu-io -f '$format' -c "write -P 7 7340032 512" f.'$format'
		refused 8 "f.'$format'. was written to since .* block 7 " \
			--format '$format' --ledger l1 s1 f.'$format'
		copies --recheck --format '$format' --ledger l1 s1 f.'$format'
		qemu-img compare -f raw -F '$format' s1 f.'$format'
		test "$(got read)" -eq 1048576
	'
done

# A resume: half of it is there.
check 'a copy that was cut short looks, too, before it goes on' '
	rm -f l1; head -c $size /dev/zero >nbd.raw
	palletjack copy --quiet --checkpoint 1Mi --bandwidth 40Mi --ledger l1 s1 "$(uri to)" &
	pid=$!
	begun() { tr -d "\000" <nbd.raw | head -c 4194304 | wc -c | grep -q 4194304; }
	within 20 begun; kill -TERM $pid; wait $pid || :
	dd if=/dev/urandom of=nbd.raw bs=4096 count=1 seek=256 conv=notrunc status=none
	refused 8 "was written to since .* block 1 " --ledger l1 s1 "$(uri to)"
	copies --recheck --ledger l1 s1 "$(uri to)"; cat out; cmp s1 nbd.raw
	test "$(got skipped)" -gt 0
'

# Sources.
cp s1 source
serve from file "$PWD/source"
sources="$(uri from)"
if test -n "$dev"; then
	truncate -s $size source.img
	sdev=$(losetup -f --show source.img)
	at_end "losetup -d $sdev"
	sources="$sources $sdev"
fi
for source in $sources; do
	name=${source%%:*} name=${name##*/}
	is=source
	test "$source" = "$(uri from)" || is=$sdev
	check "a source, $name, that was written to in place" '
		dd if=s1 of='$is' bs=1M conv=notrunc,fsync status=none; rm -f l1 t.raw*
		copies --ledger l1 "'"$source"'" t.raw; copies --ledger l1 "'"$source"'" t.raw
		test "$(got read)" -eq 0; test "$(got checked)" -eq $((2 * size))
		dd if=s2 of='$is' bs=1M conv=notrunc,fsync status=none
		refused 6 "source .* was written to, or is another one, .* the first is block 7 " \
			--ledger l1 "'"$source"'" t.raw
		grep -q -- "--compare" err; cmp s1 t.raw
	'
	check "$name: by --compare it is brought up to date" '
		copies --compare --ledger l1 "'"$source"'" t.raw; cmp s2 t.raw
	'
done
truncate -s 2G large large.raw
serve large file "$PWD/large.raw"
# of what is nearly all zeroes; that the digest is the cheap one is no matter
copies_large() {
	copies --proof xxh3 --ledger l.large "$@" large "$(uri large)"
}
check 'what was copied first, and last, is looked at whatever is drawn' '
	for at in 0 2047; do
		head -c 1048576 /dev/urandom | dd of=large bs=1M seek=$at conv=notrunc status=none
	done
	copies_large
	copies_large
	test "$(got checked)" -lt 1000000000; cat out
	for at in 0 2047; do
		printf x | dd of=large.raw bs=1 seek=$((at * 1048576 + 5000)) conv=notrunc status=none
		refused 8 "the first is block $at " --proof xxh3 --ledger l.large \
			large "$(uri large)"
		copies_large --recheck
		test "$(got read)" -eq 1048576
	done
'
check 'a disk of which one block in a hundred is another is found out' '
	for at in $(seq 50 100 2047); do
		printf x | dd of=large.raw bs=1 seek=$((at * 1048576)) conv=notrunc status=none
	done
	found=0
	for try in 1 2 3; do
		status=0; copies_large 2>err || status=$?
		test $status -ne 8 || found=$((found + 1))
	done
	echo "found $found times"; test $found -gt 0
'

# What an attempt wrote and did not make durable is of the source as it was.
fault=${PALLETJACK%/*}/t/fault.so
killed() {
	exits 137 env LD_PRELOAD="$fault" ASAN_OPTIONS=verify_asan_link_order=0 \
		FAULT_PROGRAM=palletjack "$@"
}
cp s1 now.raw
serve now file "$PWD/now.raw"
for format in raw qcow2; do
	check "a source that has holes by now where it had data: $format" '
		rm -f t.hole t.hole.id l.hole; cp s1 now.raw
		killed FAULT_OPS="fsync nbd-flush" FAULT_FILE=t.hole \
			FAULT_WHEN=before palletjack copy --quiet --format '$format' \
			--ledger l.hole "$(uri now)" t.hole
		test "$(stat -c %b t.hole)" -gt 2000
		fallocate -p -o 0 -l 8388608 now.raw
		copies --format '$format' --ledger l.hole "$(uri now)" t.hole
		cat out; qemu-img compare -f raw -F '$format' now.raw t.hole
	'
done
check 'a copy that was half brought up to date does not go on as the old one' '
	rm -f t.half t.half.id l.half; cp s1 now.raw
	copies --ledger l.half "$(uri now)" t.half
	for at in 2 38; do
		dd if=/dev/urandom of=now.raw bs=1M count=1 seek=$at conv=notrunc \
			status=none
	done
	killed FAULT_OPS=nbd-read FAULT_AT=36 FAULT_WHEN=before palletjack copy \
		--quiet --checkpoint 1Mi --compare --ledger l.half "$(uri now)" t.half
	refused 6 "brought up to date, or begun to be" --ledger l.half "$(uri now)" t.half
	copies --compare --ledger l.half "$(uri now)" t.half; cmp now.raw t.half
'
check 'a file that is written to while it is copied' '
	cp s1 busy.raw; rm -f l.busy
	palletjack copy --quiet --bandwidth 20Mi --ledger l.busy busy.raw t.busy 2>err &
	within 20 test -s l.busy; printf x | dd of=busy.raw bs=1 seek=30 conv=notrunc status=none
	exits 6 wait $!; cat err
	grep -q "was written to while it was copied: .* --compare" err
	copies --compare --ledger l.busy busy.raw t.busy; cmp busy.raw t.busy
'

# All of a large disk is another: what its ledger forgets is not kept in memory
# until the end.
faulty() {
	env LD_PRELOAD="$fault" ASAN_OPTIONS=verify_asan_link_order=0 \
		FAULT_OPS=fsync FAULT_FILE=l.mid "$@"
}
if test -e "$fault"; then
	truncate -s 2100M mid
	check 'a ledger of which nothing holds any more is synced on the way' '
		copies --proof xxh3 --ledger l.mid mid mid.raw
		perl -e "open(F, qq(+<), qq(mid.raw)) or die;
			for (0 .. 2099) { seek(F, \$_ << 20, 0); print F 1 } close F"
		status=0; faulty FAULT_LOG="$PWD/log" FAULT_AT=2 FAULT_WHEN=EIO \
			palletjack copy --quiet -o json --proof xxh3 --recheck \
			--ledger l.mid mid mid.raw >out 2>err || status=$?
		cat err out; test $status -eq 5; grep -q "cannot sync ledger" err
		test "$(got written)" -eq 0; test "$(got read)" -eq 0
		rm log; faulty FAULT_LOG="$PWD/log" \
			palletjack copy --quiet -o json --proof xxh3 --recheck \
			--ledger l.mid mid mid.raw >out
		cat out; wc -l log; cmp mid mid.raw
		test "$(wc -l <log)" -ge 6
	'
else
	skip "$fault is not built" 'a ledger of which nothing holds any more'
fi
test_end
