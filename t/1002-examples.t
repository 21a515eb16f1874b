#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The examples are manifests that nothing is wrong with.  t/guest carries out
# examples/quickstart, 5001 and 5302 ask a libvirt for the others.
. "${0%/*}/lib.sh"
test_begin 'the examples can be read'

for dir in "$TOP"/examples/*/; do
	name=$(basename "$dir")
	check "examples/$name has no findings" '
		palletjack validate --strict "$dir" 2>&1 | tee said
		grep ", 1 plan, 0 findings\$" said
	'
done
test_end
