#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes a second Debian guest, once, and prints its directory: started by UEFI,
# with GPT, and LVM over two disks.
#
# There are, kept under $PALLETJACK_CACHE (else ~/.cache/palletjack):
#	system.raw	1 GiB: ESP, /boot, and a physical volume of LVM
#	more.raw	1 GiB: the other physical volume
# The root lies on both; its initrd knows only virtio-scsi, as firmware built for
# QEMU need not know what VMware has.  It says and does on its console what the
# guest of guest.sh does.
#
# Logical volumes are nothing without the kernel's device mapper, which not
# every machine that tests has: so they are made in libguestfs' appliance, which
# wants no root and no loop device.
# shellcheck disable=SC2016 # What is quoted is for mmdebstrap.
set -eu
. "${0%/*}/debian.sh"
export LIBGUESTFS_BACKEND="${LIBGUESTFS_BACKEND:-direct}"
export LIBGUESTFS_BACKEND_SETTINGS="${LIBGUESTFS_BACKEND_SETTINGS-force_tcg}"
drivers='virtio_pci virtio_scsi'
boot=0b7a2f4c-93cf-4a0e-8a5b-e2f0a1c6d3b8

make_root() {
	bootstrap --format=tar \
		--include=udev,kmod,initramfs-tools,linux-image-cloud-amd64 \
		--include=lz4,grub-efi-amd64,lvm2,ifupdown,iproute2 \
		--customize-hook='sh /dev/fd/4 "$1" '"$boot" \
		bookworm - >root.tar 4<"$here/uefi-root.sh"
}

make_disks() {
	truncate -s 1G system.raw more.raw
	sfdisk -q system.raw <<-END
		label: gpt
		start=1MiB, size=64MiB, type=uefi
		size=200MiB, type=linux
		type=lvm
	END
	echo 'label: gpt
type=lvm' | sfdisk -q more.raw
	timeout -k 30 1200 guestfish --rw --format=raw -a system.raw \
		-a more.raw <<-END >&2
		run
		mkfs vfat /dev/sda1
		mke2fs /dev/sda2 fstype:ext4 uuid:$boot
		pvcreate /dev/sda3
		pvcreate /dev/sdb1
		vgcreate guest "/dev/sda3 /dev/sdb1"
		lvcreate root guest 1400
		lvcreate data guest 200
		mkfs ext4 /dev/guest/root
		mkfs ext4 /dev/guest/data label:data
		mount /dev/guest/root /
		mkdir-p /boot
		mount /dev/sda2 /boot
		mkdir-p /boot/efi
		mount /dev/sda1 /boot/efi
		mkdir-p /srv/data
		mount /dev/guest/data /srv/data
		tar-in root.tar /
		tar-in files.tar /srv/data
		umount-all
	END
}

make_all() {
	make_root
	make_files
	tar -C files --owner=0 --group=0 -cf files.tar .
	make_disks
	rm -r files files.tar root.tar
}

keep uefi 'sfdisk guestfish tar' 'uefi-guest.sh uefi-root.sh guest-init'
