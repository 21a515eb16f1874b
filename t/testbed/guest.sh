#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes the Debian guest that tests migrate, once, and prints its directory.
#
# There are, kept under $PALLETJACK_CACHE (else ~/.cache/palletjack):
#	system.raw	2 GiB, root on ext4 in /dev/sda1, started by BIOS and
#			GRUB; its initrd knows only VMware's devices
#	data.raw	256 MiB, ext4 in /dev/sdb1, mounted at /srv/data
#	data.sha256	the sums of the files on data.raw
#	quickstart.ova	both disks as VMware would export them
# The guest prints one line "GUEST-UP root=... data=..." on its serial console
# and takes orders there: marker, write MIB, check, churn, rest, poweroff.
# shellcheck disable=SC2016 # What is quoted is for mmdebstrap.
set -eu
. "${0%/*}/debian.sh"

make_system() {
	truncate -s 2G system.raw
	echo 'label: dos
start=2048, type=83, bootable' | sfdisk -q system.raw
	chmod 0666 system.raw
	bootstrap --format=null \
		--include=udev,kmod,initramfs-tools,linux-image-cloud-amd64 \
		--include=lz4,grub-pc,ifupdown,iproute2 \
		--dpkgopt='path-exclude=/usr/share/initramfs-tools/hooks/dmsetup' \
		--dpkgopt='path-exclude=/usr/share/initramfs-tools/hooks/thermal' \
		--customize-hook='sh /dev/fd/4 "$1"' \
		bookworm - 3<>system.raw 4<"$here/guest-root.sh" >&2
	chmod 0644 system.raw
}

make_data() {
	make_files
	truncate -s 256M data.raw
	echo 'label: dos
start=2048, type=83' | sfdisk -q data.raw
	mke2fs -q -F -t ext4 -L data -d files \
		-E offset=1048576,nodiscard,assume_storage_prezeroed=1,root_owner=0:0 \
		data.raw 261120k
	rm -r files
}

make_all() {
	make_system
	make_data
	"$here/ova.sh" . quickstart.ova
}

keep guest 'mke2fs sfdisk qemu-img' 'guest.sh guest-root.sh guest-init ova.sh'
