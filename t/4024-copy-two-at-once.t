#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Two copies to one target at once: the later one is refused before it writes a
# byte, and gets its turn as soon as the other has ended, however that was.
. "${0%/*}/lib.sh"
test_begin 'of two copies to one target, one is refused'
requires jq
requires qemu-img --version
requires qemu-nbd --version
requires nbdkit --version

size=9437184
head -c $size /dev/urandom >a
head -c $size /dev/urandom >b

# The source of the one that is slow: it goes on while `hold` is there.
: >hold
at_end "rm -f '$PWD/hold'"
nbdkit -f -t 1 -U "$PWD/slow.sock" eval thread_model="echo parallel" get_size="echo $size" \
	pread="echo \$4 >>$PWD/asked
		while test -e $PWD/hold && test \$4 -ge 2097152; do sleep 0.1; done
		exec dd if=$PWD/a skip=\$4 count=\$3 iflag=count_bytes,skip_bytes status=none" \
	2>slow.log &
at_end "end_process $!"
within 20 test -S slow.sock
slow="nbd+unix:///?socket=$PWD/slow.sock"

# begin TARGET [ARG...]: the slow copy; sets $pid once it writes.
begin() {
	: >hold
	: >asked
	palletjack copy --quiet --ledger l.slow "$slow" "$@" >text 2>&1 &
	pid=$!
	at_end "end_process $pid"
	within 20 test -s asked
}
end() {
	rm -f hold
	wait "$pid" || {
		cat text
		return 1
	}
}
refused() {
	cat err
	grep -q "$1" err
	refute grep -q '^size' out
}

for format in raw qcow2; do
	check "$format: a second copy to the file, from another source" '
		begin t.'$format' --format '$format'
		exits 4 palletjack copy --format '$format' --ledger l.b b t.'$format' >out 2>err
		refused "t.'$format'. is being written to by another copy: .* again"
		exits 4 palletjack copy --format '$format' b t.'$format' >out 2>err
		refused "t.'$format'. is being written to by another copy"
		end && qemu-img compare -f raw -F '$format' a t.'$format' && test ! -e l.b
	'
	check "$format: what it would have taken from the first is still the first's" '
		palletjack copy -o json --format '$format' --ledger l.slow "$slow" t.'$format' >out &&
		test "$(jq .skipped out)" -eq $size
	'
	check "$format: one that is killed leaves it to the next at once" '
		rm -f l.slow t.'$format'*
		begin t.'$format' --format '$format'
		kill -KILL $pid
		palletjack copy --quiet --format '$format' --ledger l.b b t.'$format' 2>err || {
			cat err; exit 1; }
		rm -f hold
		qemu-img compare -f raw -F '$format' b t.'$format'; rm l.b l.slow
	'
done
check 'by another name it is the same file' '
	rm -f t.raw*; begin t.raw; ln t.raw linked.raw; cp t.raw.id linked.raw.id
	ln -s t.raw pointed.raw; cp t.raw.id pointed.raw.id
	for name in linked pointed; do
		exits 4 palletjack copy --ledger l.b b $name.raw >out 2>err
		refused "$name.raw. is being written to by another copy"
	done
	end; cmp a t.raw; rm l.slow
'
check 'nor is it anybody'"'"'s source meanwhile' '
	rm -f t.raw*; begin t.raw
	exits 6 palletjack copy t.raw other.raw >out 2>err
	refused "source .t.raw. is open for writing in QEMU, or another copy.s target"
	end; palletjack copy t.raw other2.raw; cmp a other2.raw; rm l.slow
'
check 'many that begin at once: one makes the file, and what it says is true' '
	head -c $size /dev/urandom >c
	for round in 1 2 3 4 5; do
		rm -f m.raw* l.m.*; pids=
		for name in a b c; do
			palletjack copy --quiet --checkpoint 1Mi --ledger l.m.$name \
				$name m.raw >text.$name 2>&1 &
			pids="$pids $name:$!"
		done
		last=
		for one in $pids; do
			status=0; wait ${one#*:} || status=$?
			echo "round $round: ${one%%:*} ended with $status"
			cat text.${one%%:*}
			test $status -eq 0 || test $status -eq 4
			test $status -ne 0 || last="$last ${one%%:*}"
		done
		# one after the other is fine, too: then only the last is believed
		test -n "$last"; believed=
		for name in $last; do
			if palletjack copy --quiet --ledger l.m.$name $name m.raw >text 2>&1; then
				cmp $name m.raw
				believed=$believed$name
			fi
		done
		test ${#believed} -eq 1
	done
'

qemu-img create -q -f raw vm.raw $size
palletjack copy --quiet a vm2.raw
check 'a file that a vm, or who else uses QEMU, has open' '
	qemu-nbd -f raw --persistent --socket "$PWD/vm.sock" vm2.raw &
	at_end "end_process $!"
	within 20 test -S vm.sock
	exits 4 palletjack copy b vm2.raw >out 2>err
	refused "vm2.raw. is open in QEMU: .*vm"; cmp a vm2.raw
'
check 'and QEMU does not open for writing what is copied to' '
	begin t.raw
	refute qemu-io -f raw -c "write 0 512" t.raw >text2 2>&1
	cat text2; grep -qi "lock" text2; end; cmp a t.raw; rm l.slow
'

truncate -s $size disk.img
if dev=$(losetup -f --show disk.img 2>/dev/null); then
	at_end "losetup -d $dev"
	check 'a block device: the kernel has one of them' '
		begin '"$dev"'
		exits 6 palletjack copy --ledger l.b b '"$dev"' >out 2>err
		refused "is in use: .* another copy"; test ! -e l.b
		end; cmp a '"$dev"'
	'
	check 'and leaves it to the next when that is killed' '
		rm l.slow; dd if=/dev/zero of='"$dev"' bs=1M count=9 conv=fsync status=none
		begin '"$dev"'; kill -KILL $pid; wait $pid || :
		palletjack copy --quiet --ledger l.b b '"$dev"'
		rm -f hold; cmp b '"$dev"'
	'
else
	skip 'there are no loop devices here' 'a block device'
fi
test_end
