# SPDX-License-Identifier: Apache-2.0
# Manifests of vms that exist nowhere, for tests of the engine.

# fake_manifest SETTINGS [POLICY] [VM...]: m.yaml with a fake source of these
# settings ('vms: "2", faults: "verify:fail"'), a RunPolicy's spec and a plan.
fake_manifest() {
	fake_settings=$1
	fake_policy=${2:-"{}"}
	test $# -lt 2 || shift
	shift
	test $# -gt 0 || set -- vm-00001
	{
		cat <<EOF
apiVersion: palletjack.io/v1alpha1
kind: Endpoint
metadata: {name: source, namespace: t}
spec: {type: fake, settings: {$fake_settings}}
---
apiVersion: palletjack.io/v1alpha1
kind: Endpoint
metadata: {name: target, namespace: t}
spec: {type: fake}
---
apiVersion: palletjack.io/v1alpha1
kind: RunPolicy
metadata: {name: default, namespace: t}
spec: $fake_policy
---
apiVersion: palletjack.io/v1alpha1
kind: Script
metadata: {name: hook, namespace: t}
spec: {lua: 'log("here")'}
---
apiVersion: forklift.konveyor.io/v1beta1
kind: NetworkMap
metadata: {name: maps, namespace: t}
spec:
  provider: {source: {name: source}, destination: {name: target}}
  map: [{source: {name: fake}, destination: {type: pod}}]
---
apiVersion: forklift.konveyor.io/v1beta1
kind: StorageMap
metadata: {name: maps, namespace: t}
spec:
  provider: {source: {name: source}, destination: {name: target}}
  map: [{source: {name: fake}, destination: {storageClass: fake}}]
---
apiVersion: forklift.konveyor.io/v1beta1
kind: Plan
metadata: {name: p, namespace: t}
spec:
  provider: {source: {name: source}, destination: {name: target}}
  map: {network: {name: maps}, storage: {name: maps}}
  targetNamespace: t
  vms:
EOF
		for fake_vm; do
			cat <<EOF
    - name: $fake_vm
      hooks:
        - {step: PreHook, hook: {kind: Script, name: hook}}
        - {step: PostHook, hook: {kind: Script, name: hook}}
EOF
		done
	} >m.yaml
}

# The steps that ran to their end, one a line: what must not happen twice.
fake_log() {
	cut -d' ' -f1 "$PALLETJACK_STATE/t/p/${1:-vm-00001}/fake.log"
}

# All steps of such a vm with one disk, in the order of the pipeline.
fake_steps() {
	for fake_step in validate pre-hook cutover cutover/disk-0 \
		verify/disk-0 convert boot-test commit create-vm start \
		post-hook cleanup; do
		echo "$fake_step"
	done
}

# The vm's state: "finished", "stopped", ...
fake_state() {
	palletjack status m.yaml -o json |
		jq -r --arg vm "${1:-vm-00001}" '.vms[] | select(.vm == $vm).state'
}

# What the journal of vm-00001 says in the end, but when and how often.
fake_fold() {
	palletjack status m.yaml -o json | jq -S '.vms[] | select(.vm == "vm-00001")
		| {state, steps: [.steps[] | {step, state, error}
			| select(.step != null)]}'
}

# What of the first vm is at the target, and what ran when: must be the same
# whatever happened to the run.
fake_target() (
	cd "$PALLETJACK_STATE/t/p/${1:-vm-00001}" || exit 1
	cat fake.power fake.vm
	sha256sum fake.disk-*[0-9]
	ls fake.*
)

# with_fault NAME=VALUE... COMMAND...: the command with t/fault.c preloaded.
with_fault() {
	env LD_PRELOAD="${PALLETJACK%/*}/t/fault.so" \
		ASAN_OPTIONS=verify_asan_link_order=0 "$@"
}

requires_fault() {
	test -e "${PALLETJACK%/*}/t/fault.so" ||
		skip_all "t/fault.so is not built: run make check"
}
