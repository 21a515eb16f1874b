# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Run by mmdebstrap with the new root directory of the guest of uefi-guest.sh as
# $1 and the UUID of /boot as $2: settles the configuration.
set -e
root=$1
boot=$2

# The ESP by device on purpose: a conversion has to rewrite it.
cat >"$root/etc/fstab" <<END
/dev/mapper/guest-root / ext4 errors=remount-ro 0 1
UUID=$boot /boot ext4 defaults 0 2
/dev/sda1 /boot/efi vfat umask=0077 0 1
/dev/mapper/guest-data /srv/data ext4 nofail 0 2
END
mkdir -p "$root/srv/data" "$root/boot/efi/EFI/debian" "$root/boot/efi/EFI/BOOT" \
	"$root/boot/grub"
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
GRUB_RECORDFAIL_TIMEOUT=0
GRUB_TERMINAL=console
GRUB_DISABLE_SUBMENU=true
GRUB_DISABLE_RECOVERY=true
GRUB_CMDLINE_LINUX="console=ttyS0 net.ifnames=0"
END
# These find nothing here, slowly, whenever a conversion calls grub-mkconfig.
(cd "$root/etc/grub.d" && chmod a-x 05_debian_theme 20_linux_xen 30_os-prober \
	30_uefi-firmware 41_custom)
kernel=$(cd "$root/boot" && echo vmlinuz-*)
cat >"$root/boot/grub/grub.cfg" <<END
set timeout=0
menuentry 'Debian GNU/Linux' {
	search --no-floppy --fs-uuid --set=root $boot
	linux /$kernel root=/dev/mapper/guest-root ro console=ttyS0 net.ifnames=0
	initrd /initrd.img-${kernel#vmlinuz-}
}
END
# As an installation with a removable loader has it: firmware that knows
# nothing of the guest finds EFI/BOOT.
cat >"$root/boot/efi/EFI/debian/grub.cfg" <<END
search.fs_uuid $boot root
set prefix=(\$root)/grub
configfile \$prefix/grub.cfg
END
chroot "$root" grub-mkimage -O x86_64-efi -o /boot/grub/core.efi \
	-p /EFI/debian part_gpt fat ext2 normal linux search search_fs_uuid \
	configfile echo test loadenv all_video gzio
cp "$root/boot/grub/core.efi" "$root/boot/efi/EFI/BOOT/BOOTX64.EFI"
mv "$root/boot/grub/core.efi" "$root/boot/efi/EFI/debian/grubx64.efi"
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin
rm -f "$root/etc/apt/apt.conf.d/99mmdebstrap"
