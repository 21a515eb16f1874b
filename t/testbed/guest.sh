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
# and then takes orders there: marker, write, poweroff.
# shellcheck disable=SC2016 # What is quoted is for mmdebstrap and apt.
set -eu
LC_ALL=C
export LC_ALL
here=$(cd "${0%/*}" && pwd)
cache=${PALLETJACK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/palletjack}

say() {
	echo "guest.sh: $*" >&2
}

die() {
	say "$*"
	exit 1
}

# Debian's part of the package sources this machine uses, one per line.
package_sources() {
	found=$(apt-get indextargets \
		--format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
		'Created-By: Packages' 'Origin: Debian' 2>/dev/null |
		grep -E '^deb [^ ]+ bookworm(-security|-updates)? main$' | sort -u)
	echo "$found" | grep -q ' bookworm main$' ||
		found='deb http://deb.debian.org/debian bookworm main'
	echo "$found"
}

# A proxy that apt has been told to use serves the guest's packages too.
package_proxy() {
	apt-config dump 2>/dev/null | grep -E '^Acquire::https?::Proxy ' || :
}

make_system() {
	truncate -s 2G system.raw
	echo 'label: dos
start=2048, type=83, bootable' | sfdisk -q system.raw
	# Without root, mmdebstrap and its hooks run as one of the user's spare
	# ids, which reaches this file through the descriptor only.
	chmod 0666 system.raw
	package_sources >sources.list
	package_proxy >apt.conf
	SOURCE_DATE_EPOCH=1700000000 timeout --foreground -k 30 900 \
		mmdebstrap --quiet \
		--variant=minbase --format=null \
		--include=udev,kmod,initramfs-tools,linux-image-cloud-amd64 \
		--include=lz4,grub-pc,ifupdown,iproute2 \
		--aptopt="$PWD/apt.conf" \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-exclude=/usr/share/initramfs-tools/hooks/dmsetup' \
		--dpkgopt='path-exclude=/usr/share/initramfs-tools/hooks/thermal' \
		--essential-hook="$essential" \
		--customize-hook="upload '$here/guest-init' /sbin/init" \
		--customize-hook='chmod 0755 "$1/sbin/init"' \
		--customize-hook='sh /dev/fd/4 "$1"' \
		bookworm - <sources.list 3<>system.raw \
		4<"$here/guest-root.sh" >&2 ||
		die 'The guest could not be built; mmdebstrap says why above.' \
			'It needs a Debian package archive, and either root' \
			'or the package uidmap and unprivileged user namespaces.'
	chmod 0644 system.raw
	rm sources.list apt.conf
}

# In place before the first initrd is made: what VMware has, and no virtio, so
# that the disk cannot boot elsewhere unless it has really been converted.  A
# conversion makes the initrd anew in an emulated machine, where each process
# and each byte to be packed is dear: so a quick packer, and no hook in vain.
essential='mkdir -p "$1/etc/initramfs-tools/conf.d"
printf "%s\n" MODULES=list COMPRESS=lz4 COMPRESSLEVEL=1 \
	>"$1/etc/initramfs-tools/conf.d/guest"
printf "%s\n" vmw_pvscsi ata_piix ata_generic sd_mod ext4 \
	>"$1/etc/initramfs-tools/modules"'

make_data() {
	mkdir -p files/deep/er
	seq 1 200000 >files/numbers
	head -c 8M /dev/urandom >files/noise
	: >files/empty
	truncate -s 20M files/hole
	echo end >>files/hole
	echo 'One file in a directory of its own.' >files/deep/er/note
	(cd files && find . -type f | sort | xargs sha256sum) >data.sha256
	cp data.sha256 files/SHA256SUMS
	truncate -s 256M data.raw
	echo 'label: dos
start=2048, type=83' | sfdisk -q data.raw
	mke2fs -q -F -t ext4 -L data -d files \
		-E offset=1048576,nodiscard,assume_storage_prezeroed=1,root_owner=0:0 \
		data.raw 261120k
	rm -r files
}

recipe=$(cd "$here" && cat guest.sh guest-root.sh guest-init ova.sh | sha256sum)
guest=$cache/guest-$(echo "$recipe" | cut -c 1-12)
test ! -d "$guest" || {
	echo "$guest"
	exit
}
PATH=$PATH:/usr/sbin:/sbin
for tool in mmdebstrap mke2fs sfdisk qemu-img flock; do
	command -v "$tool" >/dev/null ||
		die "$tool is missing; t/deps.sh installs what is needed."
done
mkdir -p "$cache"
exec 9>"$cache/guest.lock"
flock -w 1800 9 ||
	die "Somebody else has been building the guest for half an hour" \
		"(lock $cache/guest.lock)."
# Whoever held the lock may have built what we want.
if test ! -d "$guest"; then
	say "building $guest, which takes a minute or two"
	rm -rf "$guest.new"
	trap 'rm -rf "$guest.new"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	mkdir "$guest.new"
	cd "$guest.new"
	make_system 9>&-
	make_data
	"$here/ova.sh" . quickstart.ova
	cd "$cache"
	mv "$guest.new" "$guest"
fi
echo "$guest"
