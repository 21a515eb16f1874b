#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The library of libvirt is loaded when an endpoint needs it, not before: a
# machine may have none, or one that is too old.
. "${0%/*}/lib.sh"
. "${0%/*}/local.sh"
. "${0%/*}/virt.sh"
test_begin 'libvirt is loaded where it is needed, and only there'
requires gcc --version

manifest '{name: web}' ''
palletjack plan m.yaml 2>&1 | grep -q 'has no libvirt' &&
	skip_all 'this build has no libvirt'
mkdir bare broken
echo 'int nothing;' >nothing.c
gcc -shared -fPIC -o bare/libvirt.so.0 nothing.c
printf 'no library' >broken/libvirt.so.0
# with DIRECTORY ARG...: palletjack, where that is looked through first
with() {
	LD_LIBRARY_PATH=$PWD/$1 "$PALLETJACK" "$2" m.yaml
}

check 'what asks no endpoint does without' '
	with broken status >out
	with broken validate >out
'
check_exit 6 'one that cannot be loaded is named, and what to install' '
	with broken run 2>err || { s=$?; cat err; exit $s; }
'
check 'with the reason and the endpoint' '
	grep "Endpoint t/source: .*libvirt cannot be loaded: .*broken/libvirt.so.0.*; install its library" err
'
check_exit 6 'one that is too old is told from one that is not there' '
	with bare run 2>err || { s=$?; cat err; exit $s; }
'
check 'by what it lacks' '
	grep "is too old, it has no virConnectClose" err
'

test_end
