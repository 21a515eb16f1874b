#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The copy command between files and servers of every kind; what arrived is
# compared by cmp and qemu-img, never by ourselves.
. "${0%/*}/lib.sh"
test_begin 'one disk goes from anywhere to anywhere, and is the same there'
requires jq
requires qemu-img --version
requires qemu-nbd --version
requires nbdkit --version

# 9 MiB and a bit: data, holes, written zeroes, an odd end.
head -c 3000000 /dev/urandom >src
dd if=/dev/zero of=src bs=1M seek=4 count=1 conv=notrunc status=none
dd if=/dev/urandom of=src bs=1M seek=6 count=2 conv=notrunc status=none
truncate -s 9437696 src

# serve NAME ARG...: nbdkit on the socket NAME.sock until the test is over.
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
# got KEY: of the JSON that the last copy left in `out`.
got() {
	jq -r ".$1" out
}

check 'a file to a new file, with a ledger, sparse as it was' '
	palletjack copy -o json --ledger l.a src a.raw >out && cat out && cmp src a.raw &&
	test "$(stat -c %b a.raw)" -lt 12000
'
check 'the bytes are counted' '
	test "$(got size)" -eq 9437696 && test "$(got read)" -lt 7340032 &&
	test "$(got written)" -gt 5000000 && test "$(got zeroed)" -eq 0 &&
	test "$(got skipped)" -eq 0 && test "$(got redone)" -eq 0 &&
	test "$(got proof)" = sha256
'
check 'for people, too' '
	palletjack copy src b.raw | tee text && grep -q "^size *9.0 MiB" text &&
	grep -q "^proof *none" text
'
check 'of a copy that was not begun, too, but not of a wrong command line' '
	exits 6 palletjack copy -o json nowhere c.raw >out 2>err
	test "$(got class)" = fail; test "$(got written)" -eq 0
	exits 2 palletjack copy -o json --proof md5 src c.raw >out 2>err; test ! -s out
'
check_exit 2 'an output of no known kind is refused' '
	palletjack copy -o xml src c.raw
'
check 'over a copy that was there all is made zero that is' '
	head -c 9437696 /dev/urandom >b.raw && palletjack copy -o json src b.raw >out &&
	cmp src b.raw && test "$(got zeroed)" -gt 2000000
'

check 'of one that fails before its ledger is there, what was asked for' '
	exits 5 palletjack copy -o json --ledger "$PWD" src p.raw >out || :
	cat out; test "$(got proof)" = sha256
	palletjack copy -o json --ledger "$PWD" --proof xxh3 src p.raw >out || :
	cat out; test "$(got proof)" = xxh3
	palletjack copy -o json gone p.raw >out || :
	cat out; test "$(got proof)" = none
'
check 'a file to a new file, without a proof' '
	palletjack copy -o json src k.raw >out && cmp src k.raw &&
	test "$(got written)" -lt 7340032
'
check 'with a ledger that keeps no proof, too' '
	palletjack copy --proof none --ledger l.k src k2.raw &&
	cmp src k2.raw &&
	palletjack copy -o json --proof none --ledger l.k src k2.raw >out &&
	test "$(got skipped)" -eq 9437696
'
check 'an image whose format was not said is copied as it lies there, and it is said' '
	qemu-img create -q -f qcow2 img.qcow2 4M
	palletjack copy img.qcow2 img.copy 2>err >out; cat err
	cmp img.qcow2 img.copy
	grep -q "is qcow2 by its header .* --source-format qcow2" err
	palletjack copy --source-format raw img.qcow2 img.copy2 2>err >out
	cmp img.qcow2 img.copy2; test ! -s err
'

check 'a device whose name was mistyped is no file to make' '
	exits 6 palletjack copy src /dev/no-such-disk 2>err; cat err
	grep -q "no file is made in /dev: name the block device" err
	refute test -e /dev/no-such-disk
'
check 'a file onto itself, a licence for no device' '
	cp src self.raw
	exits 2 palletjack copy self.raw self.raw 2>err; cat err
	grep -q "are the same file" err
	exits 2 palletjack copy --accept 0123456789abcdef src l.raw 2>err; cat err
	grep -q "is for a target that is a block device" err
	cmp src self.raw
'

# Files that share are told from others by the room they take.
room() {
	sync -f btrfs && btrfs filesystem usage -b btrfs |
		sed -n "s/^ *Used:[^0-9]*//p" | head -n 1
}
if test "$(id -u)" -eq 0 && command -v mkfs.btrfs >/dev/null; then
	truncate -s 256M btrfs.img && mkfs.btrfs -q btrfs.img && mkdir btrfs
	mount -o loop btrfs.img btrfs 2>/dev/null && at_end "umount $PWD/btrfs"
fi
if mountpoint -q btrfs 2>/dev/null; then
	check 'on a file system that can, they share what they have' '
		head -c 50000123 /dev/urandom >btrfs/src
		before=$(room)
		palletjack copy btrfs/src btrfs/d.raw
		cmp btrfs/src btrfs/d.raw
		after=$(room)
		echo "$before $after"
		test $((after - before)) -lt 10000000
	'
	check 'and do not where a digest has to be made' '
		palletjack copy --ledger l.b btrfs/src btrfs/e.raw &&
		cmp btrfs/src btrfs/e.raw && last=$(room) && echo "$after $last" &&
		test $((last - after)) -gt 40000000
	'
	check 'what is written to one later is not in the other' '
		printf changed | dd of=btrfs/src bs=1 seek=5000 conv=notrunc status=none
		refute cmp -s btrfs/src btrfs/d.raw
	'
else
	skip 'only root can mount a file system, and needs mkfs.btrfs' \
		'on a file system that can, they share what they have'
fi
if mkdir /dev/shm/"${HOME##*/}" 2>/dev/null; then
	at_end "rm -rf /dev/shm/${HOME##*/}"
	check 'from one file system to another' '
		palletjack copy src /dev/shm/"${HOME##*/}"/far.raw &&
		cmp src /dev/shm/"${HOME##*/}"/far.raw
	'
else
	skip 'there is no /dev/shm' 'from one file system to another'
fi

# Writes and syncs that fail on the way.
fault=$(dirname "$PALLETJACK")/t/fault.so
broken() {
	env LD_PRELOAD="$fault" ASAN_OPTIONS=verify_asan_link_order=0 "$@"
}
if test -e "$fault"; then
	check 'a full disk is said, with the place, and is no end' '
		exits 5 broken FAULT_OPS=write FAULT_FILE=full.raw FAULT_AT=4 \
			FAULT_WHEN=ENOSPC palletjack copy --ledger l.full \
			src full.raw 2>err; cat err
		grep -q "target .full.raw.: .*No space left" err &&
		palletjack copy --ledger l.full src full.raw && cmp src full.raw
	'
	check 'a write that fails' '
		exits 5 broken FAULT_OPS=write FAULT_FILE=eio.raw FAULT_AT=2 \
			FAULT_WHEN=EIO palletjack copy -o json --ledger l.eio \
			src eio.raw >out 2>err; cat err out
		test "$(got size)" -eq 9437696; test "$(got read)" -gt 0
		test "$(got class)" = retry; test "$(got proof)" = sha256
		echo "palletjack: $(got error)" | cmp_ok err -
		grep -q "target .eio.raw.: .*Input/output error" err &&
		palletjack copy --ledger l.eio src eio.raw && cmp src eio.raw
	'
	check 'a sync that fails once: nothing before it is believed' '
		exits 5 broken FAULT_OPS=fsync FAULT_FILE=sync.raw FAULT_AT=1 \
			FAULT_WHEN=EIO palletjack copy --ledger l.sync \
			src sync.raw 2>err; cat err
		grep -q "cannot sync target" err || {
			exits 5 broken FAULT_OPS=fsync FAULT_FILE=sync.raw \
			FAULT_AT=2 FAULT_WHEN=EIO palletjack copy \
			--ledger l.sync src sync.raw 2>err; cat err; }
		grep -q "cannot sync target" err &&
		palletjack copy -o json --ledger l.sync src sync.raw >out &&
		cat out && cmp src sync.raw && test "$(got skipped)" -eq 0 &&
		test "$(got redone)" -gt 5000000
	'
else
	skip "$fault is not built" 'writes and syncs that fail'
fi

serve from file src
truncate -s 9437696 nbd.raw
serve to file "$PWD/nbd.raw"
check 'NBD to a file' '
	palletjack copy "$(uri from)" n.raw && cmp src n.raw
'
check 'a file to NBD' '
	head -c 9437696 /dev/urandom >nbd.raw &&
	palletjack copy src "$(uri to)" && cmp src nbd.raw
'
check 'NBD to NBD, with a ledger, twice' '
	head -c 9437696 /dev/urandom >nbd.raw &&
	palletjack copy --ledger l.nbd "$(uri from)" "$(uri to)" &&
	cmp src nbd.raw &&
	palletjack copy -o json --ledger l.nbd "$(uri from)" "$(uri to)" >out &&
	test "$(got read)" -eq 0 && test "$(got skipped)" -eq 9437696
'
check 'a file to a qcow2, and by qemu-nbd to another' '
	palletjack copy --format qcow2 src q.qcow2 &&
	qemu-img compare -f raw -F qcow2 src q.qcow2 &&
	palletjack copy --source-format qcow2 q.qcow2 back.raw &&
	cmp src back.raw
'

serve picky --filter=blocksize-policy file src blocksize-minimum=4096 \
	blocksize-preferred=65536 blocksize-maximum=131072 \
	blocksize-error-policy=error
check 'a disk whose end its server does not let anybody read' '
	exits 5 palletjack copy "$(uri picky)" picky.raw 2>err; cat err
	grep -q "at byte 9437184" err
'
head -c 9437184 src >even
serve picky2 --filter=blocksize-policy file even blocksize-minimum=4096 \
	blocksize-preferred=65536 blocksize-maximum=131072 \
	blocksize-error-policy=error
check 'a server of 4 KiB blocks, 128 KiB at most' '
	palletjack copy "$(uri picky2)" even.raw && cmp even even.raw
'
serve plain --filter=noextents --filter=multi-conn --filter=nozero file src \
	multi-conn-mode=disable
check 'a server without extents and multi-conn' '
	palletjack copy -o json "$(uri plain)" p.raw >out && cmp src p.raw &&
	test "$(got read)" -eq 9437696 && test "$(got written)" -lt 7340032
'
serve liar --filter=truncate file src truncate=20M
check 'what a server says is there beyond its disk is there' '
	palletjack copy "$(uri liar)" t.raw && cp src want.t &&
	truncate -s 20M want.t && cmp want.t t.raw
'
check 'a target that is too small' '
	exits 6 palletjack copy "$(uri liar)" "$(uri to)" 2>err; cat err
	grep -q "only 9437696 bytes, the source has 20971520" err
'
serve slow --filter=delay file src delay-read=20ms
serve rated --filter=rate file src rate=200M
check 'slow servers' '
	palletjack copy "$(uri slow)" s1.raw && cmp src s1.raw &&
	palletjack copy "$(uri rated)" s2.raw && cmp src s2.raw
'
serve gone eval get_size="echo 9437184" \
	pread="[ \$4 -lt 4194304 ] && exec dd if=$PWD/src skip=\$4 count=\$3 \
		iflag=count_bytes,skip_bytes status=none; kill -9 \$PPID"
check 'a server that dies' '
	exits 5 palletjack copy --deadline 1s --proof xxh3 --ledger l.gone "$(uri gone)" g.raw 2>err
	cat err
	grep -q "connection to the source .* broke" err
'
: >hanging
at_end "rm -f '$PWD/hanging'"
serve hangs eval get_size="echo 9437184" \
	pread="while test -e $PWD/hanging; do sleep 0.1; done"
check 'a server that says nothing is waited for no longer than said' '
	exits 5 palletjack copy --deadline 1s "$(uri hangs)" h.raw 2>err; cat err
	grep -q "hangs.sock. does not answer: waited 1.0 s" err
'
serve stopped file src
stopped=$!
at_end "kill -CONT $stopped"
check 'nor is one that does not even greet' '
	kill -STOP '$stopped'
	exits 5 palletjack copy --deadline 1s "$(uri stopped)" h2.raw 2>err; cat err
	grep -q "stopped.sock.: waited 1.0 s for its answer" err
	exits 5 palletjack copy --deadline 1s src "$(uri stopped)" 2>err; cat err
	grep -q "stopped.sock.: waited 1.0 s for its answer" err
	kill -CONT '$stopped'
'
check_exit 2 'a URI that says nothing' '
	palletjack copy "nbd+unix://nowhere" h.raw
'
check_exit 5 'a server that is not there' '
	palletjack copy "nbd+unix:///?socket=$PWD/nobody.sock" h.raw
'
check_exit 2 'a deadline that is no time' '
	palletjack copy --deadline soon src h.raw
'

# A checkpoint on SIGTERM, and from there on.
serve trickle --filter=delay file src delay-read=300ms
data_at() {
	test "$(stat -c %b "$1" 2>/dev/null || echo 0)" -gt 0
}
check_exit 143 'asked to stop, it makes durable what it has' '
	palletjack copy --quiet -o json --ledger l.term2 "$(uri trickle)" term2.raw >out &
	pid=$!
	within 30 data_at term2.raw
	kill -TERM $pid
	wait $pid
'
check 'and says how far it came' '
	cat out; test "$(got class)" = cancelled; test "$(got written)" -gt 0
	got error | grep "asked to stop"
'
check 'and goes on from there' '
	palletjack copy -o json --ledger l.term2 "$(uri trickle)" term2.raw >out &&
	cat out && cmp src term2.raw && test "$(got skipped)" -gt 0 &&
	test "$(got redone)" -eq 0
'
truncate -s 9437184 lazy.raw
nbdkit -f -U "$PWD/lazy.sock" eval get_size='echo 9437184' \
	pwrite='dd of='"$PWD"'/lazy.raw oflag=seek_bytes seek=$4 conv=notrunc status=none' \
	pread='dd if='"$PWD"'/lazy.raw iflag=skip_bytes,count_bytes skip=$4 count=$3 status=none' \
	can_write=true can_flush=true \
	flush='echo >>'"$PWD"'/flushes; while test -e '"$PWD"'/hang; do sleep 0.1; done' &
at_end "end_process $!"
within 20 test -S lazy.sock
truncate -s 9437184 even && dd if=src of=even bs=1M count=9 conv=notrunc status=none
check_exit 143 'a checkpoint that takes longer than the grace is given up' '
	touch hang
	palletjack copy --quiet --ledger l.lazy even "$(uri lazy)" 2>err &
	pid=$!
	within 30 test -s flushes
	kill -TERM $pid
	within 60 test_is_gone $pid
	wait $pid
'
check 'and nothing of it is claimed' '
	rm hang; cat err
	palletjack copy -o json --ledger l.lazy even "$(uri lazy)" >out &&
	cat out && test "$(got skipped)" -eq 0 && cmp even lazy.raw
'
if test -e "$fault"; then
	check_exit 143 'nor is a file waited for longer, whose sync does not end' '
		env LD_PRELOAD="$fault" ASAN_OPTIONS=verify_asan_link_order=0 \
			FAULT_OPS=fsync FAULT_FILE=stuck.raw FAULT_WHEN=hang \
			FAULT_LOG="$PWD/syncs" palletjack copy --quiet \
			--checkpoint 1Mi --ledger l.stuck src stuck.raw 2>err &
		pid=$!
		within 30 test -s syncs
		kill -TERM $pid
		within 60 test_is_gone $pid
		wait $pid
	'
	check 'which is said, and nothing is lost by it' '
		cat err; grep -q "the last checkpoint took too long" err &&
		palletjack copy -o json --ledger l.stuck src stuck.raw >out &&
		cmp src stuck.raw && test "$(got skipped)" -eq 0
	'
else
	skip "$fault is not built" 'a file whose sync does not end'
fi
check 'killed, it does again what no checkpoint covered, and says how much' '
	palletjack copy --quiet --ledger l.kill "$(uri trickle)" kill.raw &
	pid=$!
	within 30 data_at kill.raw
	kill -KILL $pid
	wait $pid || :
	palletjack copy -o json --ledger l.kill "$(uri from)" kill.raw >out 2>err ||
		cat err
	grep -q "was written to, or is another one," err &&
	palletjack copy -o json --ledger l.kill "$(uri trickle)" kill.raw >out &&
	cat out && cmp src kill.raw && test "$(got redone)" -gt 0
'
check 'a source that grew is another' '
	palletjack copy --ledger l.grow src grow.raw >/dev/null
	cp src bigger; echo more >>src
	exits 6 palletjack copy --ledger l.grow src grow.raw 2>err; cat err
	mv bigger src; grep -q "grew since" err
'

check 'a source that a vm may write to is refused' '
	cp src used &&
	qemu-nbd -f raw --persistent --socket "$PWD/used.sock" used &
	at_end "end_process $!"
	within 20 test -S used.sock
	exits 6 palletjack copy used used.raw 2>err; cat err
	grep -q "open for writing in QEMU" err
'
test_end
