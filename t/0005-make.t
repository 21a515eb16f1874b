#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What was built without libvirt is not taken for what is built with it, and the
# other way round.
. "${0%/*}/lib.sh"
test_begin 'make notices that LIBVIRT is another'
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
test_end
