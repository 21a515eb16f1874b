#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What is asked of servers, and what becomes of a copy when they say no: what
# libnbd's tests show of nbdcopy, and what differs here on purpose.
. "${0%/*}/lib.sh"
test_begin 'servers are asked for what is needed, and no more'
requires jq
requires qemu-img --version
requires qemu-nbd --version
requires nbdkit --version

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
copies() {
	palletjack copy --quiet -o json "$@" >out
}
got() {
	jq -r ".$1" out
}

# Three bytes of a disk that is nothing but holes else.
serve sparse data data='1 @25165823 1 @67108863 1'
qemu-img convert -f raw -O raw "$(uri sparse)" sparse.img
serve logs eval get_size='echo 67108864' can_write='exit 0' can_trim='exit 0' \
	can_zero='exit 0' can_flush='exit 0' flush='exit 0' \
	pwrite="cat >/dev/null; echo pwrite \$3 \$4 >>$PWD/asked" \
	trim="echo trim \$3 \$4 >>$PWD/asked" zero="echo zero \$3 \$4 >>$PWD/asked"
check 'data is written, all else zeroed, each byte once, and none trimmed' '
	copies "$(uri sparse)" "$(uri logs)" && cat out && sort asked &&
	refute grep trim asked && test "$(grep -c pwrite asked)" -eq 3 &&
	sort -n -k 3 asked | awk "{ if (\$3 != at) exit 1; at += \$2 }
		END { exit at != 67108864 }" &&
	test "$(got written)" -eq 3145728 && test "$(got zeroed)" -eq 63963136
'
check 'only where there is data a source is read' '
	test "$(got read)" -eq 3145728
'

# Errors.  EPERM is no error that passes: nobody asks again.
serve pattern pattern 5M
serve null null 5M
check 'a server that fails to say its extents is read, all of it' '
	serve mute --filter=error pattern 5M error-extents-rate=1 error=EPERM &&
	copies "$(uri mute)" pattern.raw && qemu-img compare -f raw -F raw \
		pattern.raw "$(uri pattern)"
'
serve unread --filter=error pattern 5M error-pread-rate=1 error=EPERM
check 'data that cannot be read is fatal, and where it is is said' '
	exits 5 copies "$(uri unread)" no.raw 2>err; cat err
	grep -q "cannot read 1048576 bytes at byte [0-9]* of the source" err
'
serve holes --filter=error null 5M error-pread-rate=1 error=EPERM
check 'holes are not read' '
	copies "$(uri holes)" holes.raw && cmp -n 5242880 /dev/zero holes.raw
'
serve unwritten --filter=error --filter=noextents memory 5M error-pwrite-rate=1 error=EPERM
check 'data that cannot be written is fatal' '
	exits 6 copies "$(uri pattern)" "$(uri unwritten)" 2>err; cat err
	grep -q "cannot write 1048576 bytes at byte [0-9]* of the target" err
'
check 'zeroes are not written where they can be asked for' '
	copies "$(uri null)" "$(uri unwritten)"
'
serve unzeroed --filter=error memory 5M error-zero-rate=1 error-trim-rate=1 error=EPERM
check 'zeroes that cannot be had are fatal' '
	exits 6 copies "$(uri null)" "$(uri unzeroed)" 2>err; cat err
	grep -q "cannot zero [0-9]* bytes at byte [0-9]* of the target" err
'
head -c 5242880 /dev/urandom >junk.img
serve nozero --filter=nozero --filter=error file "$PWD/junk.img" error-zero-rate=1
check 'a server without a request for zeroes gets them written' '
	copies "$(uri null)" "$(uri nozero)" && cmp -n 5242880 /dev/zero junk.img
'
head -c 5242880 /dev/urandom >junk4k.img
serve only4k --filter=blocksize-policy file "$PWD/junk4k.img" \
	blocksize-minimum=4096 blocksize-preferred=65536 blocksize-maximum=131072 \
	blocksize-error-policy=error
check 'a target of 4 KiB blocks, 128 KiB at most, a source that ends within one' '
	head -c 5240000 /dev/urandom >odd.raw &&
	dd if=/dev/zero of=odd.raw bs=1M seek=2 count=1 conv=notrunc status=none &&
	copies --ledger l.4k odd.raw "$(uri only4k)" && cmp -n 5240000 odd.raw junk4k.img &&
	printf patched | dd of=odd.raw bs=1 seek=5000 conv=notrunc status=none &&
	echo "5000 7" >list &&
	copies --changed list --ledger l.4k odd.raw "$(uri only4k)" &&
	cmp -n 5240000 odd.raw junk4k.img && test "$(got written)" -eq 4096
'

# Images.
check 'zeroes that are allocated are holes at the target, where they are read' '
	head -c 5242880 /dev/zero >zeroes.raw && copies --ledger l.thin zeroes.raw thin.raw &&
	cmp zeroes.raw thin.raw && test "$(stat -c %b thin.raw)" -le 8
'
check 'to a compressed qcow2, by its server' '
	qemu-img create -q -f qcow2 small.qcow2 64M; qemu-img create -q -f qcow2 large.qcow2 64M
	head -c 20000000 /dev/zero | tr "\0" x >even; truncate -s 64M even
	qemu-nbd -t -k "$PWD/small.sock" --image-opts \
		driver=compress,file.driver=qcow2,file.file.filename="$PWD/small.qcow2" &
	at_end "end_process $!"
	qemu-nbd -t -k "$PWD/large.sock" -f qcow2 "$PWD/large.qcow2" &
	at_end "end_process $!"
	within 20 test -S small.sock && within 20 test -S large.sock &&
	copies --ledger l.small even "$(uri small)" && copies even "$(uri large)" &&
	qemu-img compare -U -f raw -F qcow2 even small.qcow2 &&
	qemu-img compare -U -f raw -F qcow2 even large.qcow2 &&
	test "$(stat -c %b small.qcow2)" -lt "$(stat -c %b large.qcow2)"
'
test_end
