#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what palletjack is built and tested with, as far as it is missing:
# deps.sh [--list] [GROUP...], the groups being those of t/packages.
# shellcheck disable=SC2086 # Lists are words here.
set -eu
LC_ALL=C
export LC_ALL
list=${0%/*}/packages

say() {
	echo "deps.sh: $*" >&2
}

# The names in the groups given, in all if none is.
names() {
	awk -v wanted=" $* " '
		/^#/ || NF == 0 { next }
		/^\[/ { group = substr($1, 2, length($1) - 2); next }
		wanted ~ /^ *$/ || index(wanted, " " group " ") { print $1 }
	' "$list"
}

only_list=
case ${1-} in
--list) only_list=1 && shift ;;
esac
for group; do
	grep -q -x -F "[$group]" "$list" || {
		say "there is no group $group in $list; there are:" \
			"$(sed -n 's/^\[\(.*\)\]$/\1/p' "$list" | tr '\n' ' ')"
		exit 2
	}
done
test -z "$only_list" || {
	names "$@"
	exit
}

debian=
for word in $(sed -n 's/^ID\(_LIKE\)\{0,1\}=//p' /etc/os-release | tr -d \"); do
	test "$word" != debian || debian=yes
done
if test -z "$debian" || ! command -v apt-get >/dev/null; then
	say "this is not Debian, so install yourself what these Debian 12" \
		"packages hold:"
	names "$@" | fmt -w 72 >&2
	exit 1
fi

# Names known to dpkg but not installed give another status; names it has never
# heard of give none.
wanted=$(names "$@")
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted \
	2>/dev/null | sed -n 's/^installed //p') || :
missing=$(echo "$wanted" | grep -v -x -F "$installed") || :
test -n "$missing" || exit 0

as_root=
if test "$(id -u)" -ne 0; then
	as_root=sudo
	command -v sudo >/dev/null || {
		say "installing wants root, and there is no sudo; as root, say:" \
			"apt-get install --no-install-recommends" $missing
		exit 1
	}
fi

# Another installation may be going on: wait for it, but not for ever.
apt() {
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get \
		-o DPkg::Lock::Timeout=600 -q -y "$@" || {
		say "apt-get $1 failed, for the reason it gives above."
		exit 1
	}
}

# A test's program is no reason for this machine to let anybody in.
case " $(echo $missing) " in
*' openssh-server '*)
	if test -d /run/systemd/system; then
		say "the ssh server is wanted for its program only: its service is" \
			"masked (to have it: systemctl unmask ssh ssh.socket)"
		$as_root systemctl mask ssh.service ssh.socket
	fi
	;;
esac

say "installing" $missing
apt update
apt install --no-install-recommends $missing
