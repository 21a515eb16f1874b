#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints figures; proves nothing and fails at nothing.  Compare within a run.
set -eu
here=$(cd "${0%/*}" && pwd)
for bench in "$here"/*.sh; do
	test "${bench##*/}" = bench.sh && continue
	echo "== ${bench##*/}"
	"$bench"
done
