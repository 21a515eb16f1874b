#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Servers that stop, go, lie about extents and sizes; targets that are full or
# taken away; ledgers that are damaged.  After each fault the ledger tells the
# truth, and the next copy ends the same or says why it cannot.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'whatever happens to a copy, the next one ends the same'
requires jq
requires qemu-img --version
requires nbdkit --version
requires_fault
says=${PALLETJACK%/*}/t/ledger_says
test -x "$says" || skip_all "$says is not built: run make units"

size=9437184
head -c $size /dev/urandom >src
fallocate -p -o 2097152 -l 2097152 src 2>/dev/null || :
dd if=/dev/zero of=src bs=1M seek=5 count=1 conv=notrunc status=none
. "$TOP/t/held.sh" # after test_begin: it says where src is

# held N: the source's server, as st, which gives its first N blocks, and the
# others once it is let go: what is struck in between is under way.  A block
# is durable at the latest when the second behind it came.
held() {
	held_back "-ge $(($1 * 1048576))"
}
at_end let_go
got() {
	jq -r ".$1" out
}
# copies [ARG...] SOURCE TARGET: with checkpoints that come soon
copies() {
	palletjack copy --quiet -o json --checkpoint 1Mi "$@" >out
}
# durable_blocks LEDGER N: so many at least
durable_blocks() {
	test -e "$1" || return 1
	image=st.raw
	test -e $image || image=st.img
	"$says" "$1" $image src >said && test "$(tail -n 1 said | cut -d' ' -f2)" -ge "$2"
}
serve from file src
# Servers that go and come back.
serve broken --filter=retry --filter=error file src error-pread-rate=20% \
	error=EIO retries=20 retry-delay=1 retry-exponential=no retry-readonly=no
check 'a server that tries again itself' '
	timeout 120 palletjack copy --quiet --deadline 100s "$(uri broken)" retry.raw &&
	cmp src retry.raw
'
check 'a server that ends with its first client' '
	nbdkit -f -U "$PWD/last.sock" --filter=exitlast file src &
	at_end "end_process $!"
	within 20 test -S last.sock
	status=0
	copies --deadline 1s --ledger l.last "$(uri last)" last.raw 2>err || status=$?
	cat err
	# it is asked for its size first, and may be gone by then
	test $status -eq 5 && grep -q last.sock err || cmp src last.raw
'
# halfway DEADLINE: a copy of which a block is durable, at the $end server's
# mercy; sets $pid, $ends, $image, $server to that one
halfway() {
	rm -f st.* l.st
	if test "$end" = source; then
		held 3
		ends="$(uri st) st.raw" image=st.raw
	else
		truncate -s $size st.img
		held 3
		mv st.sock held.sock
		serve st file "$PWD/st.img"
		ends="$(uri held) $(uri st)" image=st.img
	fi
	copies --deadline "$1" --ledger l.st $ends 2>err &
	pid=$!
	within 20 durable_blocks l.st 1
}
for end in source target; do
	check "the $end server is stopped: it is waited for as long as said" '
		halfway 5s
		kill -STOP $server
		let_go
		status=0; wait $pid || status=$?
		cat err; test $status -eq 5; grep -q "does not answer: waited 5.0 s" err
		grep -q "st.sock" err
		"$says" l.st $image src
		kill -CONT $server
		copies --ledger l.st $ends; cmp src $image
		test "$(got skipped)" -gt 0
	'
	check "the $end server is killed" '
		halfway 5s
		kill -KILL $server
		let_go
		status=0; wait $pid || status=$?
		cat err; test $status -eq 5; grep -q "st.sock" err
		"$says" l.st $image src
		case $end in
		source) serve st file "$PWD/src" ;;
		target) serve st file "$PWD/st.img" ;;
		esac
		copies --ledger l.st $ends; cmp src $image
		test "$(got skipped)" -gt 0
	'
done

check 'a source server that comes back is gone on with, by the same copy' '
	rm -f st.* l.st
	held 3
	copies --ledger l.st "$(uri st)" st.raw 2>err &
	pid=$!
	within 20 durable_blocks l.st 1
	for again in 1 2 3; do
		kill -KILL $server
		held 3
	done
	let_go
	wait $pid || { cat err; exit 1; }
	cmp src st.raw && test "$(got skipped)" -eq 0 && "$says" l.st st.raw src
'
check 'one that comes back as another is not' '
	rm -f st.* l.st
	held 3
	copies --ledger l.st "$(uri st)" st.raw 2>err &
	pid=$!
	within 20 durable_blocks l.st 1
	kill -KILL $server
	let_go
	serve st --filter=truncate file "$PWD/src" truncate=8M
	status=0; wait $pid || status=$?
	cat err; test $status -eq 6 &&
	grep -q "came back as another one: it has 8388608 bytes now, and had $size" err &&
	"$says" l.st st.raw src
'
# come_back FILE: the server that copies ($pid) read from, as that; sets $status
come_back() {
	kill -KILL $server
	let_go
	serve st file "$1"
	status=0
	wait $pid || status=$?
	cat err
}
# comes_back_as FILE ARG...: in the middle of such a copy; sets $status
comes_back_as() {
	back=$1
	shift
	rm -f st.*
	held 1
	copies "$@" "$(uri st)" st.raw 2>err &
	pid=$!
	within 20 has_block st.raw
	come_back "$back"
}
# a block, and not only what was tried on the file system
has_block() {
	test -e "$1" && test "$(stat -c %b "$1")" -ge 2048
}
cp src other
printf other | dd of=other bs=1 conv=notrunc status=none
head -c $size /dev/urandom >another
for how in "--proof sha256 --ledger l.st" "--proof xxh3 --ledger l.st" \
	"--proof none --ledger l.st" "--proof none"; do
	check "$how: nor one that has other bytes" '
		for file in other another; do
			rm -f l.st
			comes_back_as "$PWD/$file" '"$how"'
			test $status -eq 6
			grep -q "came back as another one: block [0-9]* at byte" err
			case "'"$how"'" in
			*--ledger*) "$says" l.st st.raw src ;;
			esac
		done
	'
	check "$how: one that has the same is gone on with" '
		rm -f l.st
		cp src same
		comes_back_as "$PWD/same" '"$how"'
		test $status -eq 0
		cmp src st.raw
	'
done
check 'nor one that differs in what an earlier copy read' '
	rm -f st.* l.st
	held 2
	palletjack copy --quiet --checkpoint 1Mi --ledger l.st \
		"$(uri st)" st.raw 2>err &
	pid=$!
	within 20 durable_blocks l.st 2
	kill $pid
	wait $pid || :
	"$says" l.st st.raw src >said
	durable=$(tail -n 1 said | cut -d" " -f2)
	echo "-ge $(((durable + 1) * 1048576))" >hold
	copies --ledger l.st "$(uri st)" st.raw 2>err &
	pid=$!
	within 20 durable_blocks l.st $((durable + 1))
	come_back "$PWD/other"
	test $status -eq 6
	grep -q "came back as another one: block 0 at byte 0" err
	"$says" l.st st.raw src
'
# What is in hand when it breaks, and was not noted yet.  comes_back_late AT
# FILE ARG...: once the byte AT was asked for; sets $status.  Of a small disk no
# worker takes many blocks at once.
small=$size size=41943040
head -c $((size - small)) /dev/urandom >>src
cp src other
printf other | dd of=other bs=1 conv=notrunc status=none
head -c $size /dev/urandom >another
comes_back_late() {
	late=$1 back=$2
	shift 2
	palletjack copy --quiet --ledger l.st "$@" "$(uri st)" st.raw 2>err &
	pid=$!
	within 20 grep -qx "$late" asked
	sleep 0.5
	come_back "$back"
}
is_refused() {
	test $status -eq 6 &&
	grep -q "came back as another one: block $1 at byte" err &&
	"$says" l.st st.raw src >said
}
# afresh: what is to be compared
afresh() {
	rm -f st.* l.st
	copies --ledger l.st src st.raw
}
check 'nor one that differs in what is compared, and is in hand' '
	afresh
	held 1
	comes_back_late 4194304 "$PWD/another" --compare
	is_refused 0
'
check 'nor in what came before what is waited for' '
	cp src later
	printf later | dd of=later bs=1 seek=2097152 conv=notrunc status=none
	afresh
	held_back "-eq 0"
	comes_back_late 3145728 "$PWD/later" --compare
	is_refused 2
'
check 'nor in a copy that compares nothing' '
	rm -f st.* l.st
	held_back "-eq 1048576"
	comes_back_late 2097152 "$PWD/later"
	is_refused 2
'
check 'nor in what was said to be a hole' '
	afresh
	held_back "-ge 1048576" can_extents="exit 0" \
		extents="echo 0 2097152; echo 2097152 2097152 zero
			echo 4194304 $((size - 4194304))"
	comes_back_late 4194304 "$PWD/later" --compare
	is_refused 2
'
check 'nor in what is said to have changed: there, and not elsewhere' '
	echo "[{\"offset\": 0, \"length\": 4096},
		{\"offset\": 4194304, \"length\": 4096}]" >list
	afresh
	held 1
	comes_back_late 4194304 "$PWD/other" --changed list
	is_refused 0
	cp src beside
	printf beside | dd of=beside bs=1 seek=65536 conv=notrunc status=none
	afresh
	held 1
	comes_back_late 4194304 "$PWD/beside" --changed list
	test $status -eq 0
	cmp src st.raw
'
check 'one that has the same is compared to its end' '
	cp src same
	afresh
	held 1
	comes_back_late 4194304 "$PWD/same" --compare
	test $status -eq 0
	cmp src st.raw
'
size=$small
truncate -s $size src
check 'a target server that comes back is not: what it had not flushed may be lost' '
	end=target
	halfway 60s
	kill -KILL $server
	serve st file "$PWD/st.img"
	let_go
	status=0; wait $pid || status=$?
	cat err; test $status -eq 5; grep -q "connection to the target .* broke" err
	"$says" l.st st.img src >said; durable=$(tail -n 1 said | cut -d" " -f2)
	copies --ledger l.st $ends &&
	cmp src st.img && test "$(got skipped)" -eq $((durable * 1048576))
'

# Servers that lie.
check 'extents that are short, and end in the middle of blocks' '
	serve short eval get_size="echo $size" pread="$pread" can_extents="exit 0" \
		extents="n=\$3; test \$n -lt 77824 || n=77824; echo \$4 \$n"
	copies "$(uri short)" short.raw && cmp src short.raw
'
check 'what is called a hole, but not zero, is read' '
	serve hole eval get_size="echo $size" pread="$pread" can_extents="exit 0" \
		extents="echo \$4 \$3 hole"
	copies "$(uri hole)" hole.raw && cmp src hole.raw
'
check 'a server that cannot say its extents' '
	serve mute eval get_size="echo $size" pread="$pread" can_extents="exit 0" \
		extents="echo EIO >&2; exit 1"
	copies "$(uri mute)" mute.raw && cmp src mute.raw
'
check 'a target whose disk is smaller than it says' '
	truncate -s $size lying.img
	serve lying eval get_size="echo $size" can_write="exit 0" \
		can_flush="exit 0" flush="exit 0" pread="head -c \$3 /dev/zero" \
		pwrite="test \$4 -lt 6291456 || { cat >/dev/null; echo ENOSPC >&2; exit 1; }
			dd of=$PWD/lying.img seek=\$4 conv=notrunc oflag=seek_bytes status=none"
	exits 5 copies --ledger l.lying "$(uri from)" "$(uri lying)" 2>err; cat err
	grep -q "byte [678]......* of the target .*No space left" err &&
	"$says" l.lying lying.img src
'
check 'a source that cannot read its end' '
	serve less eval get_size="echo $size" pread="test \$4 -lt 6291456 ||
		{ echo EINVAL >&2; exit 1; }; $pread"
	exits 5 copies --ledger l.less "$(uri less)" less.raw 2>err; cat err
	grep -q "cannot read 1048576 bytes at byte [678]......* of the source" err &&
	"$says" l.less less.raw src
'
# serve_fewer NAME N SIZE ARG...: all clients after the Nth are told that SIZE
serve_fewer() {
	fewer=$1 whole=$2 less=$3
	shift 3
	rm -rf "$fewer.clients"
	mkdir "$fewer.clients"
	serve "$fewer" eval open="n=1; while ! mkdir $PWD/$fewer.clients/\$n; do
			n=\$((n + 1)); done; echo \$n" \
		get_size="test \$2 -gt $whole && echo $less || echo $size" \
		can_multi_conn="exit 0" can_extents="exit 0" \
		extents="echo \$4 \$3" "$@"
}
for proof in sha256 none; do
	check "proof $proof: a source that is shorter than it says, from the next client on" '
		serve_fewer fewer 2 6815744 pread="test \$2 -gt 2 || sleep 0.2
			$pread"; rm -f l.fewer fewer.raw*
		copies --proof '$proof' --ledger l.fewer "$(uri fewer)" fewer.raw
		ls fewer.clients; test -e fewer.clients/3
		cmp src fewer.raw && "$says" l.fewer fewer.raw src
	'
	check "proof $proof: a target that is shorter than it says, from the next client on" '
		truncate -s $size fewer.img; rm -f l.fewer
		serve_fewer fewer 1 8912896 can_write="exit 0" can_flush="exit 0" \
			flush="exit 0" pread="head -c \$3 /dev/zero" \
			pwrite="test \$2 -gt 1 || sleep 0.2; dd of=$PWD/fewer.img seek=\$4 conv=notrunc \
				oflag=seek_bytes status=none"
		copies --proof '$proof' --ledger l.fewer "$(uri from)" "$(uri fewer)"
		ls fewer.clients; test -e fewer.clients/2
		cmp src fewer.img && "$says" l.fewer fewer.img src
	'
done
check 'a source that is shorter when it is copied than when it was asked' '
	serve_fewer fewer 1 6815744 pread="$pread"; rm -f fewer.raw*
	exits 6 copies "$(uri fewer)" fewer.raw 2>err; cat err
	grep -q "has 6815744 bytes, .*9437184" err
'
check 'a source over NBD that grew, and one that shrank, between runs' '
	cp src moody; serve moody eval get_size="stat -c %s $PWD/moody" pread="$pread"
	copies --ledger l.moody "$(uri moody)" moody.raw
	truncate -s +1M moody
	exits 6 copies --ledger l.moody "$(uri moody)" moody.raw 2>err; cat err
	grep -q "grew since" err; truncate -s -2M moody
	exits 6 copies --ledger l.moody "$(uri moody)" moody.raw 2>err; cat err
	grep -q "shrank since" err && cmp src moody.raw
'

# Targets.
check 'a target that is removed between runs is not gone on with' '
	copies --ledger l.gone src gone.raw; rm gone.raw
	exits 6 copies --ledger l.gone src gone.raw 2>err; cat err
	grep -q "gone.raw. is not there, but" err && test ! -e gone.raw &&
	rm l.gone && copies --ledger l.gone src gone.raw && cmp src gone.raw
'
check 'a target that is removed while it is written is not called copied' '
	serve st --filter=delay file src delay-read=500ms
	rm -f st.raw l.st
	copies --ledger l.st "$(uri st)" st.raw 2>err &
	pid=$!
	within 20 durable_blocks l.st 1
	mv st.raw elsewhere
	status=0; wait $pid || status=$?
	cat err; test $status -eq 5 && grep -q "st.raw.* was removed" err
'
check 'a write-back that fails' '
	serve st file src; rm -f st.raw* l.st
	exits 5 with_fault FAULT_OPS=sync_file_range FAULT_FILE=st.raw FAULT_AT=4 \
		FAULT_WHEN=EIO palletjack copy --quiet --checkpoint 1Mi \
		--proof xxh3 --ledger l.st "$(uri st)" st.raw 2>err; cat err
	grep -q "cannot write back .*st.raw.: Input/output error" err &&
	"$says" l.st st.raw src &&
	copies --proof xxh3 --ledger l.st "$(uri st)" st.raw &&
	cmp src st.raw
'
check 'a file system that cannot punch holes or zero: zeroes are written' '
	head -c $size /dev/urandom >full.raw
	with_fault FAULT_OPS=fallocate FAULT_FILE=zeroes.raw FAULT_LASTS=yes \
		FAULT_WHEN=EOPNOTSUPP palletjack copy --quiet src zeroes.raw
	rm -f l.z
	with_fault FAULT_OPS=fallocate FAULT_FILE=zeroes.raw FAULT_LASTS=yes \
		FAULT_WHEN=EOPNOTSUPP palletjack copy -o json --ledger l.z \
		src zeroes.raw >out && cmp src zeroes.raw &&
	"$says" l.z zeroes.raw src && test "$(got zeroed)" -gt 0
'
check 'holes that are written out: no more than two checkpoints ahead' '
	truncate -s 48M holes; : >writes; rm -f l.out flushed
	serve out --filter=nozero eval get_size="echo 50331648" \
		can_write="exit 0" can_flush="exit 0" can_multi_conn="exit 0" \
		pread="head -c \$3 /dev/zero" \
		pwrite="cat >/dev/null; echo \$3 >>$PWD/writes" \
		flush="test -e $PWD/flushed || { sleep 2; cp $PWD/writes $PWD/flushed; }"
	copies --checkpoint 4Mi --ledger l.out holes "$(uri out)"
	cat out; wc -l flushed writes
	test "$(wc -l <flushed)" -le 8; test "$(wc -l <writes)" -eq 48
	test "$(got zeroed)" -eq 50331648; test "$(got written)" -eq 0
'
check 'and they have their share of the bandwidth' '
	truncate -s 12M holes; serve out --filter=nozero memory 12M
	began=$(date +%s%N)
	copies --bandwidth 8Mi holes "$(uri out)"
	took=$((($(date +%s%N) - began) / 1000000)); echo "took $took ms"
	test "$(got zeroed)" -eq 12582912; test $took -gt 700
'
if test "$(id -u)" -eq 0 && command -v mkfs.ext4 >/dev/null; then
	truncate -s 16M small.img
	mkfs.ext4 -q -m 0 small.img && mkdir small
	mount -o loop small.img small 2>/dev/null &&
		at_end "umount $PWD/small"
fi
if mountpoint -q small 2>/dev/null; then
	check 'a file system that fills up, and has room later' '
		head -c 9M /dev/zero | tr "\0" x >small/ballast
		exits 5 copies --ledger l.small src small/d.raw 2>err; cat err
		grep -q "No space left" err; "$says" l.small small/d.raw src
		exits 5 copies --ledger l.small src small/d.raw 2>err
		"$says" l.small small/d.raw src && rm small/ballast &&
		copies --ledger l.small src small/d.raw && cat out && cmp src small/d.raw
	'
else
	skip 'only root can mount a file system' 'a file system that fills up'
fi

if test "$(id -u)" -eq 0; then
	mkdir plain && mount -t ramfs none plain 2>/dev/null && at_end "umount $PWD/plain"
fi
if mountpoint -q plain 2>/dev/null; then
	check 'a file system with no O_DIRECT, no holes and no way to zero' '
		refute dd if=/dev/zero of=plain/try bs=4096 count=1 oflag=direct status=none &&
		refute fallocate -p -o 0 -l 4096 plain/try &&
		copies src plain/over.raw && head -c $size /dev/urandom >plain/over.raw &&
		copies src plain/over.raw && cmp src plain/over.raw && cp src plain/src &&
		copies --ledger plain/l plain/src plain/d2.raw && cat out && cmp src plain/d2.raw &&
		printf changed | dd of=plain/src bs=1 seek=5000 conv=notrunc status=none &&
		copies --compare --ledger plain/l plain/src plain/d2.raw &&
		cmp plain/src plain/d2.raw && test "$(got written)" -eq 1048576 &&
		"$says" plain/l plain/d2.raw plain/src
	'
else
	skip 'only root can mount a file system' 'a file system with no O_DIRECT'
fi

# Ledgers.
seed=${SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
rounds=$(rounds 20)
test "$rounds" -lt 200 || rounds=200
awk -v seed="$seed" -v n="$rounds" 'BEGIN {
	srand(seed)
	while (n--)
		print int(rand() * 16384), int(rand() * 256), int(rand() * 3)
}' >flips
check "SEED=$seed: $rounds ledgers damaged in the middle of a copy: mended or refused" '
	# half a copy, and its ledger
	with_fault FAULT_OPS=fsync FAULT_FILE=l.half FAULT_AT=3 FAULT_WHEN=after \
		palletjack copy --quiet --checkpoint 1Mi --ledger l.half src half.raw || :
	cat half.raw.id; "$says" l.half half.raw src; stat -c %s l.half
	whole=$(stat -c %s l.half)
	: >ends
	while read -r at byte how; do
		cp l.half l.try; cp --sparse=always half.raw try.raw; cp half.raw.id try.raw.id
		case $how in
		0 | 1) printf "\\$(printf %03o "$byte")" |
			dd of=l.try bs=1 seek=$((at % whole)) conv=notrunc status=none ;;
		2) truncate -s $((at % whole)) l.try ;;
		esac
		status=0
		copies --ledger l.try src try.raw 2>err || status=$?
		echo $status >>ends
		if test $status -eq 0; then
			cmp src try.raw && "$says" l.try try.raw src >said || exit 1
		else
			grep -q "both copies of its header are damaged\|ends early\|l.try" err || exit 1
			rm l.try && copies --ledger l.try src try.raw && cmp src try.raw || exit 1
		fi
	done <flips
	sort ends | uniq -c
'
# spoils COMMAND: the ledger of a copy that is under way; sets $status
spoils() {
	rm -f st.* l.st
	held 3
	"$PALLETJACK" copy --quiet --proof "$2" --checkpoint 1Mi --ledger l.st \
		"$(uri st)" st.raw 2>err &
	pid=$!
	within 20 durable_blocks l.st 1
	eval "$1"
	let_go
	status=0
	wait $pid || status=$?
	cat err
	test $status -eq 5
}
for proof in sha256 none; do
	check "proof $proof: a ledger that is cut short while it is written" '
		spoils "truncate -s 8192 l.st" '$proof'
		grep -q "ledger .l.st. was cut short" err
		spoils "truncate -s 0 l.st" '$proof'
		grep -q "ledger .l.st. was cut short" err
	'
	check "proof $proof: one that is removed, or replaced" '
		spoils "rm l.st" '$proof'
		grep -q "ledger .l.st. was removed or replaced" err
		test ! -e l.st
		spoils "cp l.st l.kept; mv l.kept l.st" '$proof'
		grep -q "ledger .l.st. was removed or replaced" err
	'
done
check 'the ledger of another disk, or of another target, is not used' '
	cp src other; copies --ledger l.other other other.raw
	exits 6 copies --ledger l.other src new.raw 2>err; cat err
	grep -q "l.other" err; rm -f new.raw new.raw.id
	cp other.raw new.raw; echo 0123 >new.raw.id
	exits 6 copies --ledger l.other other new.raw 2>err; cat err
	grep -q "belongs to another target" err
'
test_end
