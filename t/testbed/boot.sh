#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Boots disk images on given hardware, in software, until the guest says so on
# its serial console.  The images are not changed, QEMU never outlives this.
set -eu
usage='usage: boot.sh --hardware vmware|virtio [OPTION...] DISK[,FORMAT]...

  --hardware vmware     pvscsi and vmxnet3 on an i440FX board
  --hardware virtio     virtio-blk and virtio-net on a Q35 board
  --expect REGEX        line to wait for              (GUEST-UP)
  --fail REGEX          line that ends all hope       (GUEST-UP, Gave up waiting
                        for root, Kernel panic; looked for after --expect)
  --deadline SECONDS    how long to wait for either   (180)
  --log FILE            keep the console there
  --mac ADDRESS         of the network card           (00:50:56:11:22:33)
  --memory MIB          of the machine                (768)

The first disk is booted.  Prints the line found.  Exit status: 0 the expected
line came, 1 a failing one did, 2 neither before the deadline, 3 QEMU ended or
the command line is wrong.'
hardware=
expect='^GUEST-UP '
fail='^GUEST-UP |Gave up waiting for root|Kernel panic'
deadline=180
log=
mac=00:50:56:11:22:33
memory=768

die() {
	echo "boot.sh: $*" >&2
	exit 3
}

while test $# -gt 0; do
	case $1 in
	--help) echo "$usage" && exit ;;
	--*) test $# -ge 2 || die "$1 wants a value" ;;
	*) break ;;
	esac
	case $1 in
	--hardware) hardware=$2 ;;
	--expect) expect=$2 ;;
	--fail) fail=$2 ;;
	--deadline) deadline=$2 ;;
	--log) log=$2 ;;
	--mac) mac=$2 ;;
	--memory) memory=$2 ;;
	*) die "there is no option $1" ;;
	esac
	shift 2
done
test $# -gt 0 || die "which disk? $usage"

# Turn each disk on the command line into QEMU's options for it.
case $hardware in
vmware)
	board='-machine pc -cpu qemu64 -device pvscsi,id=scsi'
	disk=scsi-hd,bus=scsi.0
	card=vmxnet3
	;;
virtio)
	board='-machine q35 -cpu qemu64'
	disk=virtio-blk-pci
	card=virtio-net-pci
	;;
*)
	die '--hardware is vmware or virtio'
	;;
esac
count=0
for arg; do
	case $arg in
	*,raw | *,qcow2 | *,vmdk) format=${arg##*,} file=${arg%,*} ;;
	*.qcow2) format=qcow2 file=$arg ;;
	*.vmdk) format=vmdk file=$arg ;;
	*) format=raw file=$arg ;;
	esac
	test -r "$file" || die "the disk $file cannot be read"
	file=$(echo "$file" | sed 's/,/,,/g')
	set -- "$@" -drive \
		"file=$file,format=$format,if=none,id=disk$count,snapshot=on" \
		-device "$disk,drive=disk$count,bootindex=$count"
	shift
	count=$((count + 1))
done

work=$(mktemp -d "${TMPDIR:-/tmp}/palletjack-boot.XXXXXX")
console=${log:-$work/console}
qemu=
clean_up() {
	test -z "$qemu" || {
		kill "$qemu" 2>/dev/null || :
		wait "$qemu" || :
	}
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The console so far, whole lines only; one look at it for both questions.
look() {
	head -n "$(wc -l <"$console")" "$console" | tr -d '\r\000' >"$work/lines"
}

# $board is several words.  timeout ends QEMU even if this shell is killed.
: >"$console"
# shellcheck disable=SC2086
timeout -k 5 $((deadline + 30)) qemu-system-x86_64 -accel tcg $board \
	-m "$memory" -nodefaults -display none -serial "file:$console" \
	"$@" -netdev user,id=net,restrict=on \
	-device "$card,netdev=net,mac=$mac,romfile=" \
	</dev/null >"$work/qemu" 2>&1 &
qemu=$!
end=$(($(date +%s) + deadline))
while :; do
	look
	grep -a -m 1 -E -e "$expect" "$work/lines" && exit 0
	grep -a -m 1 -E -e "$fail" "$work/lines" && exit 1
	kill -0 "$qemu" 2>/dev/null || {
		cat "$work/qemu" >&2
		die "QEMU ended before the guest said anything of note"
	}
	test "$(date +%s)" -lt "$end" || {
		echo "boot.sh: no sign of the guest in $deadline s; its last words:" >&2
		tail -n 5 "$work/lines" >&2
		exit 2
	}
	sleep 0.2
done
