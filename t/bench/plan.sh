#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# From YAML to a plan, for ever more vms: cost and memory grow with their
# number and no faster.
#
#	QUICK=1 t/bench/plan.sh		without 100,000 vms
set -eu
. "${0%/*}/figures"
figures_begin plan

sizes='1000 10000 100000'
test -z "${QUICK:-}" || sizes='1000 10000'

for n in $sizes; do
	many_vms "$n" 'disksPerVM: "2"'
	rounds=3 wanted=
	test "$n" = 10000 && wanted='under 2 s, 200 MiB'
	test "$n" -le 10000 || rounds=1
	measure "validate $n vms" '' "$pj" validate m.yaml
	measure "plan $n vms x 2 disks" "$wanted" "$pj" plan m.yaml
	each=$(awk -v s="$measure_cpu" -v n="$n" \
		'BEGIN { printf "%.0f", s * 1e6 / n }')
	figure '  user and sys, each vm' "$each" us 'alike for all sizes'
	test "$n" = 10000 || continue
	measure "plan $n vms -o json" '' "$pj" plan -o json m.yaml
	measure "status of $n vms not begun" '' "$pj" status m.yaml
done
figures_end
