#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Room at a local target is asked for all vms of a plan together.
. "${0%/*}/lib.sh"
test_begin 'vms that share a file system share its room'
requires jq
requires qemu-img --version

# 8 TiB that hold a MiB: far more than there is room for, if they filled up
for vm in a b c; do
	head -c 1M /dev/urandom >$vm.raw
	truncate -s 8T $vm.raw
done
cat >m.yaml <<EOF
apiVersion: palletjack.io/v1alpha1
kind: Endpoint
metadata: {name: source, namespace: t}
spec: {type: disk, url: ., settings: {a: a.raw, b: b.raw, c: c.raw, cpus: "1", memory: 256Mi}}
---
apiVersion: palletjack.io/v1alpha1
kind: Endpoint
metadata: {name: target, namespace: t}
spec: {type: local, url: target}
---
apiVersion: forklift.konveyor.io/v1beta1
kind: NetworkMap
metadata: {name: maps, namespace: t}
spec:
  provider: {source: {name: source}, destination: {name: target}}
  map: []
---
apiVersion: forklift.konveyor.io/v1beta1
kind: StorageMap
metadata: {name: maps, namespace: t}
spec:
  provider: {source: {name: source}, destination: {name: target}}
  map:
    - {source: {name: a.raw}, destination: {storageClass: x}}
    - {source: {name: b.raw}, destination: {storageClass: x}}
    - {source: {name: c.raw}, destination: {storageClass: z}}
---
apiVersion: forklift.konveyor.io/v1beta1
kind: Plan
metadata: {name: p, namespace: t}
spec:
  provider: {source: {name: source}, destination: {name: target}}
  map: {network: {name: maps}, storage: {name: maps}}
  targetNamespace: t
  skipGuestConversion: true
  vms: [{name: a}, {name: b}, {name: c}]
EOF

test "$(df --output=avail -B1 . | tail -1)" -lt 8000000000000 ||
	skip_all 'there is room for 8 TiB here'

check 'what disks hold is what counts, and it fits' '
	palletjack validate --online -o json m.yaml >findings.json
	jq -e "[.. | .type? | select(. == \"TargetSpaceNotEnough\")] == []" findings.json
'
check 'each is told what those before it need' '
	jq -r ".. | select(.type? == \"TargetSpaceTight\") | .message" findings.json |
		sed "s/.*they fill up //" >got
	cat >want <<-EOF
		this vm needs 8.0 TiB more there
		this vm needs 8.0 TiB more there, and the vm before it in the plan 8.0 TiB
		this vm needs 8.0 TiB more there, and the 2 vms before it in the plan 16 TiB
	EOF
	cmp_ok want got
'
test_end
