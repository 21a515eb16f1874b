#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Two plans of one manifest that would move one vm, or make two of one name,
# keep those vms back before anything is touched; their other vms go on.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'plans do not get into each other'\''s way'
requires jq

# endpoint NAME SETTINGS
endpoint() {
	printf '%s\n' --- 'apiVersion: palletjack.io/v1alpha1' 'kind: Endpoint' \
		"metadata: {name: $1, namespace: t}" \
		"spec: {type: fake, settings: {$2}}"
}
# plan NAME SOURCE NAMESPACE VMS [SPEC]
plan() {
	cat <<END
---
apiVersion: forklift.konveyor.io/v1beta1
kind: Plan
metadata: {name: $1, namespace: t}
spec:
  provider: {source: {name: $2}, destination: {name: target}}
  map: {network: {name: maps}, storage: {name: maps}}
  targetNamespace: $3
  vms: $4
  ${5-}
END
}
fake='vms: "4", diskSize: 1Mi, seed: "1"'
# Plan p, which has vms 1 and 2, and what stands on standard input.
manifest() {
	fake_manifest "$fake" '{}' vm-00001 vm-00002
	endpoint twin "$fake" >>m.yaml
	endpoint stranger "${fake%1\"}2\"" >>m.yaml
	cat >>m.yaml
}
# found PLAN VM: the finding that keeps the vm back, or the vm's verdict
found() {
	palletjack plan --plan "t/$1" m.yaml -o json 2>/dev/null >json
	jq -r --arg vm "$2" '[.findings[] | select(.vm == $vm).type] as $types
		| .vms[] | select(.vm == $vm)
		| "\(.verdict) \($types | join(" "))"' json
}
finds() {
	found "$1" "$2" >got
	echo "$3" >want
	check "plan $1, $2: $3" 'cmp_ok want got'
}
one='kept back VMInOtherPlan'
name='kept back TargetNameInOtherPlan'

plan q source t '[{name: vm-00002}, {name: vm-00003}]' | manifest
finds p vm-00001 'ready '
finds p vm-00002 "$one"
finds q vm-00002 "$one"
finds q vm-00003 'ready '

check 'a run keeps that vm back and moves the other' '
	exits 3 palletjack run --plan t/p m.yaml >out 2>&1; cat out
	grep "spec.vms\[0\] .vm-00002. of Plan t/q (m.yaml:[0-9]*)" out
	fake_steps | grep -v boot-test >want
	fake_log >got
	grep -Fx -f want got | cmp_ok want -
	test ! -e "$PALLETJACK_STATE/t/p/vm-00002/fake.log"'
check 'validate --online says it of both plans' '
	exits 3 palletjack validate --online m.yaml >out 2>&1; cat out
	test "$(grep -c VMInOtherPlan out)" = 2
	grep "Plan t/p: vm .vm-00002.: .*is also spec.vms.0. .vm-00002. of Plan t/q" out
	grep "Plan t/q: vm .vm-00002.: .*is also spec.vms.1. .vm-00002. of Plan t/p" out'
rm -rf "$PALLETJACK_STATE"

plan q twin u '[{id: vm-00002}]' | manifest
finds p vm-00002 "$one"
finds q vm-00002 "$one"
plan q stranger u '[{name: vm-00002}]' | manifest
finds p vm-00002 'ready '
plan q stranger t '[{name: vm-00002}]' | manifest
finds p vm-00002 "$name"
finds q vm-00002 "$name"
plan q source t '[{name: vm-00003, targetName: vm-00001}]' | manifest
finds p vm-00001 "$name"
finds q vm-00003 "$name"
plan q source u '[{name: vm-00003, targetName: vm-00001}]' | manifest
finds p vm-00001 'ready '
plan q source t '[{name: vm-00002}]' 'archived: true' | manifest
finds p vm-00002 'ready '
plan q stranger t '[{id: vm-00002}]' | manifest
finds p vm-00002 'ready '

fake_manifest "$fake" '{}' vm-00001 vm-00002
sed -i 's/^    - name: vm-00002/    - id: vm-00001/' m.yaml
check 'two entries of one plan for one vm are both kept back' '
	exits 3 palletjack plan m.yaml -o json >json 2>err; cat err
	jq -r ".vms[].verdict" json | xargs >got
	echo "kept back kept back" >want
	cmp_ok want got
	grep DuplicateVM json'
test_end
