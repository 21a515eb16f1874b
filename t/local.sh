# SPDX-License-Identifier: Apache-2.0
# Manifests of vms whose disks are image files, moved to a local target, and
# conversions that are pretended.

# local_manifest DISKS [PLAN [POLICY [FORMAT]]]: m.yaml, with DISKS as in
# 'web=one.raw:fast,two.raw:bulk other=three.raw:fast': images and their storage
# classes; PLAN and POLICY are settings of such specs ('skipGuestConversion:
# true'), FORMAT is that of the target's disks.  The images are in `.`, or the
# source is what $local_source says; the target is in $local_target.
local_source=
local_target=target
local_manifest() {
	local_disks=$1
	local_policy=${3-"retry: {attempts: 1}"}
	cat >m.yaml <<EOF
apiVersion: palletjack.io/v1alpha1
kind: Endpoint
metadata: {name: source, namespace: t}
spec: ${local_source:-$(local_images)}
---
apiVersion: palletjack.io/v1alpha1
kind: Endpoint
metadata: {name: target, namespace: t}
spec: {type: local, url: $local_target, settings: {format: ${4:-raw}}}
---
apiVersion: palletjack.io/v1alpha1
kind: RunPolicy
metadata: {name: default, namespace: t}
spec: {$local_policy}
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
$(local_each_disk "$local_disks" |
		sed 's/^\(.*\):\(.*\)/    - {source: {name: \1}, destination: {storageClass: \2}}/')
---
apiVersion: forklift.konveyor.io/v1beta1
kind: Plan
metadata: {name: p, namespace: t}
spec:
  provider: {source: {name: source}, destination: {name: target}}
  map: {network: {name: maps}, storage: {name: maps}}
  targetNamespace: t
$(echo "${2-}" | sed '/^$/d; s/^/  /; s/, /\n  /g')
  vms: [$(echo "$local_disks" | sed 's/=[^ ]*/}/g; s/^/{name: /; s/} /}, {name: /g')]
EOF
}
local_images() {
	echo "{type: disk, url: ., settings: {$(echo "$local_disks" |
		sed 's/:[^, ]*//g; s/=\([^ ]*\)/: "\1",/g') cpus: \"1\", memory: 64Mi}}"
}
# DISK:CLASS, one a line
local_each_disk() {
	echo "$1" | sed 's/[^ =]*=//g' | tr ' ,' '\n\n'
}

# A disk is moved as it is, and its vm not started.
local_raw='skipGuestConversion: true, targetPowerState: "off"'

# pretend_conversion WRITE...: from now on virt-v2v-in-place is a script that
# has qemu-io make these writes to each overlay, and adds a line to the file
# `conversions`.
pretend_conversion() {
	local_writes=
	for local_write; do
		local_writes="$local_writes -c '$local_write'"
	done
	mkdir -p bin
	cat >bin/virt-v2v-in-place <<EOF
#!/bin/sh
for a; do case \$a in *.xml) xml=\$a ;; esac; done
echo >>"$PWD/conversions"
sed -n "s/.*source file='\(.*\)'.*/\1/p" "\$xml" | while read -r overlay; do
	qemu-io -f qcow2 $local_writes "\$overlay" || exit 1
done
EOF
	chmod +x bin/virt-v2v-in-place
	PATH=$PWD/bin:$PATH
}

# converted FROM TO: what such a conversion makes of a raw image.
converted() {
	cp "$1" "$2" && eval "qemu-io -f raw $local_writes \"\$2\"" >/dev/null
}
