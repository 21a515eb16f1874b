#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# How long it takes from YAML to a plan, and to find that nothing is to be
# done; seconds and peak memory of the whole process.
set -eu
top=$(cd "${0%/*}/../.." && pwd)
pj=${PALLETJACK:-$top/build/palletjack}
dir=$(mktemp -d "${TMPDIR:-/tmp}/palletjack-bench.XXXXXX")
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export PALLETJACK_STATE="$dir/state"
. "$top/t/fake.sh"

# measure NAME COMMAND...: three runs, the middle one printed
measure() {
	name=$1
	shift
	for _ in ${rounds:-1 2 3}; do
		/usr/bin/time -f '%e s  %M KiB' -o "$dir/time" "$@" >/dev/null \
			2>"$dir/err" || :
		cat "$dir/time"
	done | sort -n | sed -n "1h;2h;\${g;s/^/$name: /p}"
}

for n in 1000 10000; do
	# shellcheck disable=SC2046
	fake_manifest "vms: \"$n\", disksPerVM: \"2\"" '{}' \
		$(seq -f 'vm-%05.0f' 1 "$n")
	measure "validate $n vms" "$pj" validate m.yaml
	measure "plan $n vms x 2 disks" "$pj" plan m.yaml
done

# shellcheck disable=SC2046
fake_manifest 'vms: "1000"' '{}' $(seq -f 'vm-%05.0f' 1 1000)
measure 'run 1000 vms of 11 steps that take no time' "$pj" run m.yaml
rounds='1 2 3'
measure 'rerun 1000 finished vms' "$pj" run m.yaml
