#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints figures and proves nothing.  Compare within a run.  One that fails or
# does not end leaves the others their turn.
set -eu
here=$(cd "${0%/*}" && pwd)
failed=
for bench in "$here"/*.sh; do
	test "${bench##*/}" = bench.sh && continue
	echo "== ${bench##*/}"
	timeout -k 10 900 "$bench" || failed="$failed ${bench##*/}"
done
test -z "$failed" || {
	echo "bench.sh: these did not end well:$failed" >&2
	exit 1
}
