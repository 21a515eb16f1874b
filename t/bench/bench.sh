#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints figures and proves nothing.  Compare within a run.  One that fails or
# does not end leaves the others their turn.  In the end it names the figures
# that missed what was wanted of them: on a machine that has other work, too,
# that is no failure.
set -eu
here=$(cd "${0%/*}" && pwd)
. "$here/figures"
FIGURES_LIST=$(mktemp)
export FIGURES_LIST
trap 'rm -f "$FIGURES_LIST"' EXIT
failed=
for bench in "$here"/*.sh; do
	test "${bench##*/}" = bench.sh && continue
	echo "== ${bench##*/}"
	timeout -k 10 900 "$bench" || failed="$failed ${bench##*/}"
done
echo '== in all'
if test -s "$FIGURES_LIST"; then
	# shellcheck disable=SC2046
	figures_count $(cat "$FIGURES_LIST")
fi
test -z "$failed" || {
	echo "bench.sh: these did not end well:$failed" >&2
	exit 1
}
