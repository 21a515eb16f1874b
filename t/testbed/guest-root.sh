# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Run by mmdebstrap with the guest's new root directory as $1 and the system
# disk open as descriptor 3: settles the configuration and writes the disk.
set -e
root=$1
uuid=6b1d8f0a-2c55-4d0e-9a53-7d1f0c2e4b19

# Devices by name on purpose: a conversion has to rewrite them.
cat >"$root/etc/fstab" <<END
/dev/sda1 / ext4 errors=remount-ro 0 1
/dev/sdb1 /srv/data ext4 nofail 0 2
END
mkdir -p "$root/srv/data"
echo quickstart >"$root/etc/hostname"
# A fixed address, so that no boot waits for somebody to hand one out.
cat >"$root/etc/network/interfaces" <<END
auto lo
iface lo inet loopback

auto eth0
iface eth0 inet static
	address 10.0.2.77/24
	gateway 10.0.2.2
END
cat >"$root/etc/default/grub" <<END
GRUB_TIMEOUT=0
GRUB_TERMINAL=console
GRUB_DISABLE_SUBMENU=true
GRUB_DISABLE_RECOVERY=true
GRUB_CMDLINE_LINUX="console=ttyS0 net.ifnames=0"
END
# These find nothing here, slowly, whenever a conversion calls grub-mkconfig.
(cd "$root/etc/grub.d" && chmod a-x 05_debian_theme 20_linux_xen 30_os-prober \
	30_uefi-firmware 41_custom)
kernel=$(cd "$root/boot" && echo vmlinuz-*)
mkdir -p "$root/boot/grub"
cat >"$root/boot/grub/grub.cfg" <<END
set timeout=0
menuentry 'Debian GNU/Linux' {
	search --no-floppy --fs-uuid --set=root $uuid
	linux /boot/$kernel root=UUID=$uuid ro console=ttyS0 net.ifnames=0
	initrd /boot/initrd.img-${kernel#vmlinuz-}
}
END
cp -r "$root/usr/lib/grub/i386-pc" "$root/boot/grub/"
chroot "$root" grub-mkimage -O i386-pc -o /tmp/core.img \
	-p '(hd0,msdos1)/boot/grub' biosdisk part_msdos ext2 normal linux \
	search search_fs_uuid configfile echo
mv "$root/tmp/core.img" "$root.core"
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin
rm -f "$root/etc/apt/apt.conf.d/99mmdebstrap"

# The partition begins at 1 MiB and reaches to the end of 2 GiB.
# A second view of the root shows it without the /proc and /dev mounted there.
mount --bind "$root" "$root/mnt"
trap 'umount "$root/mnt"' EXIT
mke2fs -q -F -t ext4 -U "$uuid" -L system -d "$root/mnt" \
	-E offset=1048576,nodiscard,assume_storage_prezeroed=1 \
	/dev/fd/3 2095104k
umount "$root/mnt"
trap - EXIT
# The boot sector's code only, since the partition table follows it; the core
# goes where that code looks for it by default.
dd if="$root/usr/lib/grub/i386-pc/boot.img" of=/dev/fd/3 bs=440 count=1 \
	conv=notrunc status=none
dd if="$root.core" of=/dev/fd/3 bs=512 seek=1 conv=notrunc status=none
rm "$root.core"
