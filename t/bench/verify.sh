#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Reading a disk back and comparing it with what was copied, beside reading it
# with others, from a disk whose content nobody has in memory.
#
#	MIB=1024 DISK_DIR=/var/tmp t/bench/verify.sh
#	QUICK=1 t/bench/verify.sh		three rounds
set -eu
. "${0%/*}/figures"
figures_begin verify "${DISK_DIR:-/var/tmp}"
. "$top/t/bench/pairs"
needs nbdkit nbdcopy openssl

mib=${MIB:-1024}
replica=target/fast/web/disk-0.raw

before_run() {
	# asks the kernel to forget what it has of it
	dd if="$replica" of=/dev/null iflag=nocache count=0 status=none
}

run_kind() {
	case $1 in
	openssl) timed openssl dgst -sha256 "$replica" ;;
	nbdcopy) timed nbdcopy "$uri" null: ;;
	verify) timed "$pj" verify m.yaml ;;
	sample) timed "$pj" verify --sample 10% m.yaml ;;
	esac
}

echo "$mib MiB of data in ${dir%/*}, $rounds rounds"
make_disk one.raw "$mib" 64
cat >m.yaml <<END
apiVersion: palletjack.io/v1alpha1
kind: Endpoint
metadata: {name: source, namespace: t}
spec: {type: disk, url: ., settings: {web: one.raw, cpus: "1", memory: 256Mi}}
---
apiVersion: palletjack.io/v1alpha1
kind: Endpoint
metadata: {name: target, namespace: t}
spec: {type: local, url: target, settings: {format: raw}}
---
apiVersion: palletjack.io/v1alpha1
kind: RunPolicy
metadata: {name: default, namespace: t}
spec: {verify: none}
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
  map: [{source: {name: one.raw}, destination: {storageClass: fast}}]
---
apiVersion: forklift.konveyor.io/v1beta1
kind: Plan
metadata: {name: p, namespace: t}
spec:
  provider: {source: {name: source}, destination: {name: target}}
  map: {network: {name: maps}, storage: {name: maps}}
  targetNamespace: t
  skipGuestConversion: true
  vms: [{name: web}]
END
palletjack run --until cutover m.yaml >/dev/null 2>err || {
	cat err >&2
	exit 1
}
rm one.raw
serve replica file "$replica"
pairs "$rounds" nbdcopy openssl verify sample
pair 'nbdcopy to null:' nbdcopy
speed nbdcopy "$mib"
pair 'openssl dgst -sha256' openssl
speed openssl "$mib"
pair_ratio 'palletjack verify' verify openssl ''
speed verify "$mib"
pair 'palletjack verify --sample 10%' sample
speed sample "$((mib / 10))"
say_load
figures_end
