# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# shellcheck disable=SC2016 # What is quoted is for apt and mmdebstrap.
# What the makers of Debian guests have in common: they are kept, each under a
# name that changes with its recipe, below $PALLETJACK_CACHE (else
# ~/.cache/palletjack).
LC_ALL=C
export LC_ALL
PATH=$PATH:/usr/sbin:/sbin
here=$(cd "${0%/*}" && pwd)
cache=${PALLETJACK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/palletjack}

say() {
	echo "${0##*/}: $*" >&2
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

# bootstrap OPTION... [SUITE TARGET]: a small Debian by mmdebstrap.  Without
# root, it and its hooks run as one of the user's spare ids, which reaches files
# of ours through descriptors only.
bootstrap() {
	package_sources >sources.list
	package_proxy >apt.conf
	drivers=$drivers SOURCE_DATE_EPOCH=1700000000 timeout --foreground -k 30 900 \
		mmdebstrap --quiet --variant=minbase \
		--aptopt="$PWD/apt.conf" \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--essential-hook="$essential" \
		--customize-hook="upload '$here/guest-init' /sbin/init" \
		--customize-hook='chmod 0755 "$1/sbin/init"' \
		"$@" <sources.list ||
		die 'The guest could not be built; mmdebstrap says why above.' \
			'It needs a Debian package archive, and either root' \
			'or the package uidmap and unprivileged user namespaces.'
	rm sources.list apt.conf
}

# In place before the first initrd is made: what carries the source's disks, and
# nothing else, so that they cannot boot elsewhere unless they have really been
# converted.  A conversion makes the initrd anew in an emulated machine, where
# each process and each byte to be packed is dear: so a quick packer, and no hook
# in vain.
drivers='vmw_pvscsi ata_piix ata_generic'
essential='mkdir -p "$1/etc/initramfs-tools/conf.d"
printf "%s\n" MODULES=list COMPRESS=lz4 COMPRESSLEVEL=1 \
	>"$1/etc/initramfs-tools/conf.d/guest"
printf "%s\n" $drivers sd_mod ext4 >"$1/etc/initramfs-tools/modules"'

# The files on the data disk, in ./files, and their sums in data.sha256.
make_files() {
	mkdir -p files/deep/er
	seq 1 200000 >files/numbers
	head -c 8M /dev/urandom >files/noise
	: >files/empty
	truncate -s 20M files/hole
	echo end >>files/hole
	echo 'One file in a directory of its own.' >files/deep/er/note
	(cd files && find . -type f | sort | xargs sha256sum) >data.sha256
	cp data.sha256 files/SHA256SUMS
}

# keep NAME TOOLS RECIPE: unless it is there, make_all makes the guest in its
# directory, whose name is printed; RECIPE are the files beside this one that
# it depends on, TOOLS the programs.
keep() {
	guest=$cache/$1-$(cd "$here" && cat debian.sh $3 | sha256sum | cut -c 1-12)
	test ! -d "$guest" || {
		echo "$guest"
		return
	}
	for tool in $2 mmdebstrap flock; do
		command -v "$tool" >/dev/null ||
			die "$tool is missing; t/deps.sh installs what is needed."
	done
	mkdir -p "$cache"
	exec 9>"$cache/$1.lock"
	flock -w 1800 9 ||
		die "Somebody else has been building the guest for half an" \
			"hour (lock $cache/$1.lock)."
	# Whoever held the lock may have built what we want.
	if test ! -d "$guest"; then
		say "building $guest, which takes some minutes"
		rm -rf "$guest.new"
		trap 'rm -rf "$guest.new"' EXIT
		trap 'exit 130' INT
		trap 'exit 143' TERM
		mkdir "$guest.new"
		cd "$guest.new"
		make_all 9>&-
		cd "$cache"
		mv "$guest.new" "$guest"
	fi
	echo "$guest"
}
