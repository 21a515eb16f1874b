#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What was built without libvirt is not taken for what is built with it, and the
# other way round; and what is installed leads to what it names.
. "${0%/*}/lib.sh"
test_begin 'make notices that LIBVIRT is another, and installs it all'
requires make --version
requires gcc --version
requires nm --version

object=$HOME/b/stages/source/source.o
# build SETTING: the one object that knows, in a build directory of its own
build() {
	make -C "$TOP" -s B="$HOME/b" CFLAGS=-O0 SANITIZE= LIBVIRT="$1" "$object"
}
has_libvirt() {
	nm "$object" | grep -q source_libvirt
}

check 'without' 'build no; refute has_libvirt'
check 'with' 'build yes; has_libvirt'
check 'the same again makes nothing' '
	was=$(stat -c %y "$object"); build yes; test "$was" = "$(stat -c %y "$object")"
'
check 'and without again' 'build no; refute has_libvirt'

doc=$HOME/root/usr/share/doc/palletjack
check 'what is installed is there, and so is what README links to' '
	: >"$HOME/b/palletjack"
	make -C "$TOP" -s -o all B="$HOME/b" DESTDIR="$HOME/root" PREFIX=/usr install
	find root -type f
	test -x root/usr/bin/palletjack
	grep -o "\](\([^):]*\))" "$doc/README.md" | tr -d "]()" >links
	cat links
	grep -q FORMAT.md links
	while read -r link; do
		test -f "$doc/$link"
	done <links
	test -f "$doc/manifests/schema/palletjack.io_runpolicies.yaml"
	refute test -e "$doc/examples/demo.sh"
'
check 'and goes again' '
	make -C "$TOP" -s DESTDIR="$HOME/root" PREFIX=/usr uninstall
	find root -type f >left
	cat left
	refute test -s left
'
test_end
