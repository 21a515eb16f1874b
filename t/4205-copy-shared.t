#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copies whose bytes never move: the file system lets both files have the same
# ones.  Such a range may fail as a write may, and is durable no sooner.
# For the power cut, the file system is in an image on another one that shares:
# a clone of that image is what a disk would hold if the power had gone just
# then.  SEED repeats a history, ROUNDS is the number of power cuts.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'what files share is copied, fails and is durable as if it were written'
requires jq
requires mkfs.btrfs --version
requires_fault
says=${PALLETJACK%/*}/t/ledger_says
test -x "$says" || skip_all "$says is not built: run make units"
test "$(id -u)" -eq 0 || skip_all 'only root can mount a file system'

seed=${SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
wanted=$(rounds 8)
echo "# SEED=$seed ROUNDS=$wanted"

mkdir outer inner
truncate -s 1G outer.img && mkfs.btrfs -q outer.img >/dev/null 2>/dev/null &&
	mount -o loop outer.img outer 2>/dev/null ||
	skip_all 'no btrfs can be mounted here'
at_end "umount $PWD/outer"
truncate -s 256M outer/disk && mkfs.btrfs -q outer/disk >/dev/null 2>/dev/null
power_on() {
	mount -o loop outer/disk inner
}
power_on || skip_all 'no btrfs can be mounted on another'
at_end "umount $PWD/inner 2>/dev/null || :"

# 12 MiB and a bit, with holes and with zeroes that are written down
head -c 12584448 /dev/urandom >inner/src
fallocate -p -o 3145728 -l 2097152 inner/src
dd if=/dev/zero of=inner/src bs=1M seek=7 count=1 conv=notrunc status=none
cp inner/src src
sync -f inner

# life NAME=VALUE...: a copy whose operations count
life() {
	: >log
	with_fault FAULT_DIR="$PWD/inner" FAULT_LOG="$PWD/log" "$@" \
		palletjack copy --quiet -o json --checkpoint 2Mi --proof none \
		--ledger inner/ledger inner/src inner/copy >out 2>err
}
anew() {
	rm -f inner/copy inner/copy.id inner/ledger
}

check 'nothing is read, and as much as is data is shared' '
	anew; life FAULT_OPS="clone read write"
	cat log out; cmp src inner/copy
	awk "\$1 == \"clone\" { n += \$2 } END { exit !(n >= 9 * 1048576) }" log
	refute grep "^write .*/copy$" log
	refute grep -E "^read [0-9]{6,} .*/src$" log
'
for error in EIO ENOSPC; do
	check "a range that cannot be shared for $error is named, and no end" '
		anew; exits 5 life FAULT_OPS=clone FAULT_AT=3 FAULT_WHEN='$error'
		cat err out; grep -q "cannot share [0-9]* bytes at byte [1-9]" err
		grep -q "target .inner/copy." err
		jq -e ".class == \"retry\"" out
		"$says" ledger inner/copy src
		life && cmp src inner/copy
	'
done
check 'a file system that stops to share is written to instead' '
	anew; life FAULT_OPS=clone FAULT_AT=3 FAULT_LASTS=1 FAULT_WHEN=EOPNOTSUPP
	cat log; cmp src inner/copy; jq -e ".written > 9 * 1048576" out
	awk "{ n += \$2 } END { exit !(n < 9 * 1048576) }" log
'
check 'a range of which half was shared is shared again' '
	anew; exits 137 life FAULT_OPS=clone FAULT_AT=4 FAULT_WHEN=torn
	"$says" ledger inner/copy src; life && cmp src inner/copy
'
check 'a sync that fails: no range before it is believed' '
	anew; exits 5 life FAULT_OPS=fsync FAULT_AT=2 FAULT_WHEN=EIO
	cat err; "$says" ledger inner/copy src; life && cmp src inner/copy
'

check 'a file system that was mounted anew is the same, whatever its number is' '
	anew; exits 137 life FAULT_OPS=clone FAULT_AT=6 FAULT_WHEN=before
	before=$(stat -c %d inner)
	mkdir other; truncate -s 128M other.img
	mkfs.btrfs -q other.img >/dev/null 2>&1
	umount inner; mount -o loop other.img other; at_end "umount $PWD/other"
	power_on; echo "$before, then $(stat -c %d inner)"
	test "$before" != "$(stat -c %d inner)"
	life; cat err; cmp src inner/copy
'
ops='clone write fsync ftruncate fallocate'
check 'undisturbed, it is as many operations as the power can go at' '
	anew; life FAULT_OPS="$ops"; wc -l <log >events; cat log
	test "$(cat events)" -gt 10
'
# The next dice: a number below $1.
roll() {
	read -r die <&3
	rolled=$((die % $1))
}
# What the power leaves: what the disk below held at that moment.
power_off() {
	cp --reflink=always outer/disk outer/left
	kill -KILL "$1"
	wait "$1" 2>/dev/null
	umount inner && mv outer/left outer/disk && power_on
}
# T: stopped where it was to be; nothing: it came to its end.
state_of() {
	sed 's/.*) //; s/ .*//; s/Z//' "/proc/$1/stat" 2>/dev/null || :
}
rests() {
	case $(state_of "$1") in
	T | '') ;;
	*) return 1 ;;
	esac
}
# Lives until one is through.
migrate() {
	anew
	while :; do
		roll "$events"
		: >log
		env LD_PRELOAD="${PALLETJACK%/*}/t/fault.so" \
			ASAN_OPTIONS=verify_asan_link_order=0 \
			FAULT_DIR="$PWD/inner" FAULT_LOG="$PWD/log" \
			FAULT_OPS="$ops" FAULT_AT=$((rolled + 1)) FAULT_WHEN=stop \
			"$PALLETJACK" copy --quiet --checkpoint 2Mi --proof none \
			--ledger inner/ledger inner/src inner/copy >out 2>err &
		life=$!
		within 60 rests $life || return 1
		if test "$(state_of $life)" != T; then
			wait $life || return 1
			break
		fi
		echo >>cuts
		power_off $life || return 1
		if test -e inner/ledger; then
			"$says" ledger inner/copy src || return 1
		fi
	done
	cmp src inner/src && cmp src inner/copy
}
awk -v seed="$seed" -v n=$((wanted * 30 + 100)) 'BEGIN {
	srand(seed)
	while (n--)
		print int(rand() * 1000000000)
}' >dice
exec 3<dice
events=$(cat events)
: >cuts
: >ends
check "the same end after $wanted power cuts" '
	while test "$(wc -l <cuts)" -lt '"$wanted"'; do
		migrate >history 2>&1 || {
			cat history err
			exit 1
		}
		echo >>ends
	done
'
echo "# SEED=$seed: $(wc -l <cuts) power cuts in $(wc -l <ends) copies"
check 'the test can fail: what was shared is not there before it is synced' '
	anew; sync -f inner; cp --reflink=always inner/src inner/copy
	cp --reflink=always outer/disk outer/left
	umount inner; mv outer/left outer/disk; power_on
	refute cmp -s inner/src inner/copy
'
test_end
