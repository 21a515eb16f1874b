#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Room at a local target is asked for all vms of a plan together.
. "${0%/*}/lib.sh"
. "${0%/*}/local.sh"
test_begin 'vms that share a file system share its room'
requires jq
requires qemu-img --version

# 8 TiB that hold a MiB: far more than there is room for, if they filled up
for vm in a b c; do
	head -c 1M /dev/urandom >$vm.raw
	truncate -s 8T $vm.raw
done
local_manifest 'a=a.raw:x b=b.raw:x c=c.raw:z' 'skipGuestConversion: true'

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
