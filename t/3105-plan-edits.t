#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every edit of a manifest in the middle of a migration, as far as the fake
# endpoint knows the field, against the steps it makes a run repeat: almost
# none. (A fake target has no volumes: the storage map's edits show only that
# nothing else of it counts.)
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'an edit repeats what depends on it, and copies nothing'
requires jq

start() {
	fake_manifest 'vms: "1", diskSize: 1Mi, seed: "1"' "${1:-"{bootTest: once}"}"
}
# What is done of which plan says that it is to be repeated, and what of that
# wants to be accepted.
repeated() {
	palletjack plan m.yaml -o json 2>/dev/null >json
	jq -r '[.vms[0].steps[]? | select(.step | test("^(validate|pre-hook|cutover|verify|convert|boot-test)"))
		| select(.decision != "skip") | .step + (if .needsAccept then "!" else "" end)]
		| if length == 0 then "nothing" else join(" ") end' json
	jq -e '.vms[0].verdict == "ready" or .vms[0].steps[3].needsAccept' json >/dev/null ||
		echo "but the vm is $(jq -r .vms[0].verdict json)"
}
# policy SPEC WANT, edit SED WANT, field PLAN-FIELD WANT, vm VM-FIELD WANT
policy() {
	start "{bootTest: once, $1}"
	check_repeats "RunPolicy $1" "$2"
}
edit() {
	start && sed -i "$1" m.yaml
	check_repeats "$3" "$2"
}
field() {
	edit "s/^  targetNamespace: t/&\n  $1/" "$2" "Plan $1"
}
vm() {
	edit "s/^    - name: vm-00001/&\n      $1/" "$2" "vm $1"
}
check_repeats() {
	repeated >got
	echo "$2" >want
	check "$1: $2" 'cmp_ok want got'
}

start
check 'a migration comes to its middle' 'palletjack run --until boot-test m.yaml'

none=nothing
policy 'limits: {inFlight: 3, disksPerHost: 1, conversions: 2}' "$none"
policy 'retry: {attempts: 1, first: 1s, factor: 3, max: 1m}' "$none"
policy 'deadlines: {hook: 1h, shutdown: 1m, conversion: 3h, bootTest: 1m, wait: 1m, stage: {cutover: 3h}}' "$none"
policy 'proof: xxh3' "$none"
policy 'checkpoint: {every: 1s, bytes: 1Mi}' "$none"
policy 'bootProbe: {serial: login}' boot-test
policy 'waive: [spec.warm]' "$none"
edit 's/{bootTest: once}/{bootTest: off}/' "$none" 'RunPolicy bootTest: off'
edit 's/log(.here.)/log("there")/' "$none" 'Script lua'
edit '/PreHook/d' "$none" 'a hook that goes'
edit 's/spec: {type: fake, settings: {/&stepMillis: "1", faults: "start:once", /' "$none" 'Endpoint settings that say how'
edit 's/destination: {type: pod}/destination: {type: ignored}/' validate 'NetworkMap destination'
edit 's/storageClass: fake/storageClass: other/' "$none" 'StorageMap destination'
edit 's/{name: p, namespace: t}/{name: p, namespace: t, labels: {a: b}, annotations: {c: d}}/' "$none" 'Plan metadata'
field 'description: something else' "$none"
field 'targetPowerState: "on"' "$none"
field 'skipGuestConversion: true' 'validate boot-test'
vm 'targetName: other' validate
vm 'targetPowerState: "off"' "$none"
vm 'rootDisk: sda1' 'convert boot-test'
edit 's/seed: "1"/seed: "2"/' 'validate cutover cutover/disk-0 verify/disk-0 convert boot-test' 'a source that ran'
edit 's/diskSize: 1Mi/diskSize: 2Mi/' 'validate cutover cutover/disk-0! verify/disk-0 convert boot-test' 'a disk that is another'

test_end
