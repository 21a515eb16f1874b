#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A source that comes back as another one, while what was known of the first is
# in nobody's list yet: holes it told of, and blocks that another connection
# read.
. "${0%/*}/lib.sh"
test_begin 'a copy is of one source, however its connections break'
requires jq
requires nbdkit --version
says=${PALLETJACK%/*}/t/ledger_says
test -x "$says" || skip_all "$says is not built: run make units"

. "$TOP/t/held.sh" # after test_begin: it says where src is
at_end 'rm -f hold keep'
# begin ARG...: such a copy; sets $pid
begin() {
	rm -f l.st st.raw*
	palletjack copy --quiet -o json --ledger l.st "$@" >out 2>err &
	pid=$!
}
# come_back FILE: as that; sets $status
come_back() {
	kill -KILL $server
	rm -f hold
	serve st file "$1"
	status=0
	wait $pid || status=$?
	cat err
}
is_refused() {
	test $status -eq 6 &&
	grep -q "came back as another one: block $1 at byte" err
}

size=41943040
head -c $size /dev/urandom >src
dd if=/dev/zero of=src bs=1M seek=4 count=3 conv=notrunc status=none
cp src later
printf later | dd of=later bs=1 seek=5242880 conv=notrunc status=none
extents="echo 0 4194304; echo 4194304 3145728 zero
	echo 7340032 $((size - 7340032))"
for proof in sha256 none; do
	check "proof $proof: what it said of holes has to hold" '
		held_back "-ge 1048576" can_extents="exit 0" extents="$extents"
		begin --proof '$proof' "$(uri st)" st.raw
		within 20 grep -qx 1048576 asked
		come_back "$PWD/later"
		is_refused 5 && "$says" l.st st.raw src
	'
	check "proof $proof: where it holds it is gone on with" '
		held_back "-ge 1048576" can_extents="exit 0" extents="$extents"
		begin --proof '$proof' "$(uri st)" st.raw
		within 20 grep -qx 1048576 asked
		cp --sparse=never src same
		come_back "$PWD/same"
		test $status -eq 0 && cmp src st.raw
	'
done
check 'half an answer about holes is none' '
	held_back "-ge 0" can_extents="exit 0" \
		extents="test \$4 -gt 0 || { echo 0 4194304 zero; exit; }
			echo \$4 >>$PWD/asked
			while test -e $PWD/hold; do sleep 0.1; done"
	begin "$(uri st)" st.raw
	within 20 grep -qx 4194304 asked
	come_back "$PWD/later"
	test $status -eq 0 && cmp later st.raw
'

# Two connections: what one has read waits for the target, and it reads no more
# when the source of the other comes back.
size=2097152
head -c $size /dev/urandom >src
head -c $size /dev/urandom >another
truncate -s $size disk
: >keep
serve target --threads 16 eval thread_model="echo parallel" \
	get_size="echo $size" can_multi_conn="exit 0" \
	can_write="exit 0" can_flush="exit 0" flush="exit 0" \
	pread="dd if=$PWD/disk skip=\$4 count=\$3 \
		iflag=count_bytes,skip_bytes status=none" \
	pwrite="echo \$4 >>$PWD/written
		while test \$4 -gt 0 && test -e $PWD/keep; do sleep 0.1; done
		dd of=$PWD/disk seek=\$4 conv=notrunc oflag=seek_bytes status=none"
for proof in sha256 none; do
	for back in another src; do
		check "proof $proof: what another connection read, of $back" '
			: >keep
			rm -f written
			held_back "-eq 0" can_multi_conn="exit 0"
			begin --proof '$proof' "$(uri st)" "$(uri target)"
			within 20 grep -qx 0 asked
			within 20 grep -qx 1048576 written
			old=$server
			kill -KILL $server
			rm -f hold
			serve st file "$PWD/'$back'"
			within 20 grep -qx 0 written
			rm keep
			status=0
			wait $pid || status=$?
			cat err
			if test '$back' = src; then
				test $status -eq 0 && cmp src disk
			else
				is_refused 1
			fi
		'
	done
done
test_end
