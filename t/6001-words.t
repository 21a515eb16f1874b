#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What copy and status say to words and state directories that are wrong: a
# sentence, an exit status that is true, and nothing half-done.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'wrong words get an answer'
requires jq

truncate -s 1M img
ls >before

# refused PATTERN COMMAND...: bad usage, told so, and nothing made
refused() {
	pattern=$1
	shift
	exits 2 "$@" >out 2>err || {
		cat out err
		return 1
	}
	cat err && grep -q "$pattern" err && test "$(wc -l <err)" -eq 1 &&
		test ! -s out && ls | grep -vx "out\|err" | diff before -
}

check 'copy without its two ends' '
	refused "name one source and one target" palletjack copy &&
	refused "name one source and one target" palletjack copy img &&
	refused "name one source and one target" palletjack copy img a b
'
check 'copy with options that are none' '
	refused "unknown option .--nope" palletjack copy --nope img x &&
	refused "a value must follow .--ledger" palletjack copy img x --ledger
'
check 'copy with values that are none' '
	refused "proof is sha256, xxh3 or none, not .md5" palletjack copy --proof md5 img x &&
	refused "format is one of raw, qcow2, not .vmdk" palletjack copy --format vmdk img x &&
	refused "source-format is one of raw, qcow2, vmdk, vhdx, vdi, not .iso" \
		palletjack copy --source-format iso img x &&
	refused "json" palletjack copy -o yaml img x
'
check 'copy from a socket whose path is too long' '
	refused "more than 107 bytes" palletjack copy \
		"nbd+unix:///?socket=/tmp/$(printf "%0200d" 0)" x
'
check 'copy from what is not there, and to where nothing can be' '
	exits 6 palletjack copy gone x 2>err && grep "gone.: No such file" err &&
	exits 6 palletjack copy img /nonexistent/x 2>err &&
	grep "/nonexistent/x" err && test ! -e x
'
check 'copy says what it did as JSON' '
	palletjack copy -o json img x >out && jq -e ".size == 1048576" out &&
	cmp img x
'

fake_manifest 'vms: "2"' '{}' vm-00001 vm-00002
check 'status before any run' '
	palletjack status -o json m.yaml >out 2>err && test ! -s err &&
	jq -e "[.vms[].state] == [\"not begun\", \"not begun\"]" out &&
	test ! -e "$PALLETJACK_STATE/t"
'
check 'status of a vm that the plan does not have' '
	exits 2 palletjack status --vm vm-9 m.yaml >out 2>err &&
	grep "plan t/p has no vm .vm-9" err && test ! -s out
'
check 'status with an output that is none' '
	exits 2 palletjack status -o yaml m.yaml 2>err && grep "text or json" err
'
check 'a state directory that is a file' '
	for command in status plan run; do
		exits 2 palletjack --state img $command m.yaml >out 2>err &&
		grep "img. is not a directory" err || return 1
	done
'
check '--state behind the command' '
	palletjack --state all run --vm vm-00001 m.yaml
	palletjack status m.yaml --state all | grep "vm-00001: finished"
	palletjack status --state=all m.yaml | grep "vm-00001: finished"
	exits 2 palletjack status m.yaml -- --state all
'
check 'the state of one vm instead of that of all' '
	exits 2 palletjack --state all/t/p/vm-00001 status m.yaml 2>err
	cat err
	grep "all/t/p/vm-00001. is the state of one vm: .* three levels above" err
	palletjack --state all/t/p/vm-00001/../../.. status m.yaml | grep "vm-00001: finished"
'
check 'a state directory below a file' '
	exits 6 palletjack --state img/below status m.yaml 2>err &&
	grep "img/below.: Not a directory" err
'

palletjack run --vm vm-00001 m.yaml 2>/dev/null
mkdir -p "$PALLETJACK_STATE/t/p/vm-00002/journal"
check 'a vm whose state cannot be read is in the list, and the other too' '
	exits 6 palletjack status -o json m.yaml >out 2>err &&
	grep "vm-00002: " err && jq -e "
		.vms[0].state == \"finished\" and .vms[1].vm == \"vm-00002\" and
		.vms[1].state == \"not readable\" and
		(.vms[1].error | length) > 0 and .vms[1].steps == []" out
'
if test "$(id -u)" -eq 0; then
	# root may read all: somebody else, with a copy to run
	cp "$PALLETJACK" . && chmod 755 "$HOME" palletjack && chmod 644 m.yaml
	nobody="setpriv --reuid=65534 --regid=65534 --clear-groups ./palletjack"
else
	nobody=palletjack
	chmod 000 "$PALLETJACK_STATE/t"
fi
check 'a state directory one may not read' '
	for command in status plan; do
		exits 6 $nobody $command m.yaml >out 2>err || return 1
		cat out err | grep "$PALLETJACK_STATE.*: Permission denied" || return 1
	done
'
test "$(id -u)" -eq 0 || chmod 700 "$PALLETJACK_STATE/t"
test_end
