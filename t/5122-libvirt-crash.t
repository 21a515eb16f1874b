#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A warm migration of a real domain, from its second generation over the cutover
# to the end, is killed at writes, syncs, renames and messages all over it; the
# next runs end with the source's bytes, and nothing of ours is left there.
# A dozen of these points by default, which SEED says; with LONG=1 all of them.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
. "${0%/*}/local.sh"
. "${0%/*}/virt.sh"
test_begin 'a warm migration from libvirt that is killed anywhere goes on'
virt_needs
requires_fault

virt_start
at_end web_is_gone
warm_manifest "$warm_quick, checkpoint: {bytes: 1Mi}"
sed -i 's/attempts: 1}/attempts: 4, first: 1ms, max: 1ms}/' m.yaml
kill_dir=$HOME
kill_command='palletjack run m.yaml --cutover now'
state=$PALLETJACK_STATE/t/p/web

# A domain that was written to since its first generation.
prepare() {
	web_is_made && palletjack run m.yaml
	test $? -eq 7 || return 1
	guest a.qcow2 "write -P 3 0 2M" && guest a.qcow2 "write -z 10M 1M" &&
		guest b.raw "write -P 4 5M 64k"
} >prepared 2>&1
goes_on() {
	goes_on_status=1
	for goes_on_nth in 1 2 3; do
		palletjack run m.yaml --cutover now >resumed 2>&1
		goes_on_status=$?
		test $goes_on_status -eq 5 || break
	done
	test $goes_on_status -eq 0 && palletjack journal check "$state" &&
		test "$(virt domstate web)" = "shut off" && same &&
		nothing_left || {
		echo "the next run ended with $goes_on_status"
		cat resumed
		return 1
	}
} 2>&1
# One in so many, from one that SEED says.  A sync changes nothing that a kill
# leaves; behind one point is before the next.
kill_points() {
	grep -n . points | grep -v '/run\.log$\|:fsync' | {
		case $1 in
		torn) grep ':write' | grep -v '\.log$' ;;
		before) cat ;;
		esac
	} | cut -d: -f1 | awk -v every="$(kill_step "$1")" -v from="$kill_seed" \
		'(NR + from) % every == 0'
}
kill_step() {
	if test -n "$LONG"; then
		echo 1
	elif test "$1" = torn; then
		echo $((($(grep -c "^write" points) + 3) / 4))
	else
		echo $((($(wc -l <points) + 7) / 8))
	fi
}

prepare || {
	cat libvirtd.log prepared
	skip_all 'libvirtd has no qemu here'
}
check 'undisturbed' '
	rm -f points
	exits 0 faulty FAULT_LOG="$PWD/points"
	same
	nothing_left
	cut -d" " -f1 points | sort | uniq -c
'
killed_everywhere 'a generation, and the cutover'
test_end
