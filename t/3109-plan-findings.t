#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What looking at the endpoints finds about a vm is that vm's verdict: plan says
# before the run what the run would say.
. "${0%/*}/lib.sh"
. "${0%/*}/local.sh"
test_begin 'a finding about one vm keeps back that vm, in plan as in run'
requires jq

truncate -s 1M one.raw two.raw
local_manifest 'web=one.raw:fast other=two.raw:fast' "$local_raw"
sed 's/, {name: other}//' m.yaml >web.yaml
mkdir -p target/fast/web
: >target/fast/web/disk-0.raw

check_exit 3 'plan ends with what the run would end with' '
	palletjack plan m.yaml >out 2>err || { s=$?; cat out err; exit $s; }
'
check 'it keeps back the vm with the finding, and says why' '
	cat out err; grep "TargetNameTaken" err
	grep -A 1 "^web: kept back" out | grep "^  TargetNameTaken: .*holds files"
	grep "^1 to do, 0 finished, 1 kept back" out
'
check 'no other vm' 'grep "^other: ready" out'
check 'also for programs' '
	exits 3 palletjack plan -o json m.yaml >json
	jq -e ".vms[0] | .verdict == \"kept back\" and .digest == null and
		(.error | test(\"TargetNameTaken\"))" json
	jq -e ".vms[1].verdict == \"ready\"" json
'
check_exit 3 'where nothing else is to be done, too' '
	palletjack plan --detailed-exitcode web.yaml
'
check 'the run says the same, and does what the plan said is ready' '
	exits 3 palletjack run --expect "$(jq -r .digest json)" m.yaml 2>err
	cat err; grep "web.*TargetNameTaken" err
	cmp two.raw target/fast/other/disk-0.raw
'
check 'without the finding it is ready' '
	rm target/fast/web/disk-0.raw
	exits 10 palletjack plan --detailed-exitcode m.yaml >out; cat out
	grep "^web: ready" out
'
test_end
