#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The demo: moves a real guest from an OVA to this machine, and boots it there.
set -eu

top=$(cd "${0%/*}/.." && pwd)
cd "$top"
pj=${PALLETJACK:-$top/build/palletjack}
demo=$top/build/demo
home=$demo/target/quickstart
export PALLETJACK_STATE="$demo/state"

say() {
	printf '\n\033[1m== %s\033[0m\n' "$*"
}

# Ends the vm of an earlier demo, if it is still the one that was started.
end_vm() {
	test -e "$home/qemu.pid" || return 0
	pid=$(cat "$home/qemu.pid")
	tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF "$home" ||
		return 0
	kill "$pid"
	left=100
	while kill -0 "$pid" 2>/dev/null; do
		left=$((left - 1))
		test "$left" -gt 0 || {
			echo "The vm of the last demo, process $pid, does not end" >&2
			exit 1
		}
		sleep 0.1
	done
}

# wait_for SECONDS PATTERN FILE
wait_for() {
	left=$1
	until grep -q "$2" "$3" 2>/dev/null; do
		left=$((left - 1))
		test "$left" -gt 0 || {
			echo "The vm did not say '$2' in time; see $3" >&2
			return 1
		}
		sleep 1
	done
}

say 'A real Debian guest as an OVA (made once, then kept)'
guest=$(t/testbed/guest.sh)
ls -lh "$guest/quickstart.ova"

say 'A fresh start'
end_vm
rm -rf "$demo"
mkdir -p "$demo/source"
ln -s "$guest/quickstart.ova" "$demo/source/quickstart.ova"
echo "source $demo/source, target $demo/target, state $demo/state"

say 'palletjack plan examples/quickstart'
"$pj" plan examples/quickstart

say 'palletjack run examples/quickstart'
"$pj" run examples/quickstart

say 'The target vm, booted by QEMU'
wait_for 300 'GUEST-UP' "$home/console.log"
grep -a 'GUEST-UP' "$home/console.log"
echo 'Its root disk is on virtio, its network card is virtio: it was converted.'

cat <<EOF

What to try next:

  export PALLETJACK_STATE=$PALLETJACK_STATE
  $pj run examples/quickstart       # nothing is left to do: exit 0 at once
  $pj status examples/quickstart    # where each step stands
  $pj plan examples/quickstart      # what would be done, and why
  cat $home/console.log

Kill it half way and run it again: make demo in one terminal, and in another,
while it copies or converts,

  kill -9 \$(sed -n 's/^process \([0-9]*\) .*/\1/p' \
    $PALLETJACK_STATE/demo/quickstart/quickstart/lock)
  $pj run examples/quickstart

The vm runs until you end it: kill \$(cat $home/qemu.pid)
EOF
