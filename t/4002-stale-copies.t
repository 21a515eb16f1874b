#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copies, ledgers and volumes that no longer belong together: what is not
# proven is copied again, and never passed off as copied.
. "${0%/*}/lib.sh"
test_begin 'what is not proven is copied again'
requires jq
requires qemu-img --version
requires qemu-nbd --version
requires nbdkit --version

# fill SEED: another state of the one disk
fill() {
	head -c 3000000 /dev/zero | tr '\0' "$1" >web.raw
	truncate -s 5242880 web.raw
}

# manifest FORMAT [POLICY]
manifest() {
	cat >m.yaml <<END
apiVersion: palletjack.io/v1alpha1
kind: Endpoint
metadata: {name: source, namespace: t}
spec: {type: disk, url: ., settings: {web: web.raw, cpus: "1", memory: 256Mi}}
---
apiVersion: palletjack.io/v1alpha1
kind: Endpoint
metadata: {name: target, namespace: t}
spec: {type: local, url: target, settings: {format: $1}}
---
apiVersion: palletjack.io/v1alpha1
kind: RunPolicy
metadata: {name: default, namespace: t}
spec: {retry: {attempts: 1}, ${2:-verify: full}}
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
    - {source: {name: web.raw}, destination: {storageClass: fast}}
---
apiVersion: forklift.konveyor.io/v1beta1
kind: Plan
metadata: {name: p, namespace: t}
spec:
  provider: {source: {name: source}, destination: {name: target}}
  map: {network: {name: maps}, storage: {name: maps}}
  targetNamespace: t
  skipGuestConversion: true
  targetPowerState: "off"
  vms: [{name: web}]
END
}
state=$PALLETJACK_STATE/t/p/web
ledger=$state/ledger/disk-0.ledger
disk_is_right() {
	qemu-img compare -f raw -F "$1" web.raw target/fast/web/disk-0."$1"
}
anew() {
	rm -rf target "$PALLETJACK_STATE"
	fill a
	manifest "$@"
}

check 'a volume of another format has an id and a ledger of its own' '
	anew raw "verify: none" && palletjack run --until cutover m.yaml &&
	fill b && manifest qcow2 "verify: none" &&
	palletjack run --until cutover m.yaml && disk_is_right qcow2 &&
	manifest raw "verify: none" &&
	palletjack run m.yaml && disk_is_right raw
'
test_end
