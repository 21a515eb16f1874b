#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Vms that no run works on any more, in the middle of their move: the plan is
# archived, or has no entry for them.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'who is left behind with the source off is named, and given back'
requires jq

state=$PALLETJACK_STATE/t/p
# begun: two vms, the first with its source off
begun() {
	rm -rf "$PALLETJACK_STATE"
	fake_manifest 'vms: "3", power: "on"' '{}' vm-00001 vm-00002
	palletjack run --until cutover --vm vm-00001 m.yaml
}
archive() {
	sed 's/^  targetNamespace: t$/&\n  archived: true/' m.yaml >a.yaml
}
# no_entry: the plan of n.yaml knows vm-00002 only
no_entry() {
	sed '/^    - name: vm-00001/,/PostHook/d' m.yaml >n.yaml
}
off='the source was stopped on .* and is off; to give it back: palletjack'

begun && archive
check 'a run of an archived plan does nothing, and names whose source is off' '
	cp "$state/vm-00001/journal" before
	exits 5 palletjack run a.yaml 2>err; cat err
	grep -q "t/p is archived: nothing to do" err
	grep -q "vm .vm-00001.: the plan is archived.*$off rollback a.yaml" err
	test "$(grep -c vm-00002 err)" -eq 0
	cmp before "$state/vm-00001/journal"
'
check 'plan and status say so, too' '
	palletjack plan a.yaml >out 2>err; cat out err
	grep -q "^vm-00001: archived$" out
	grep -q "$off rollback" err
	palletjack plan a.yaml -o json >out
	jq -e ".vms | map(.verdict) == [\"archived\", \"archived\"]" out
	for form in dot mermaid markdown; do
		palletjack plan -o $form a.yaml
	done
	palletjack plan --offline a.yaml
	palletjack status a.yaml >out
	cat out; grep -q "^Plan t/p (archived)$" out
	grep -q "$off rollback" out
	palletjack status -o json a.yaml |
		jq -e ".archived and (.vms[0].next | test(\"rollback\"))"
	palletjack validate --online a.yaml
'
check 'what it names may be gone: then a rollback says what it needs' '
	sed "s/^metadata: {name: target,/metadata: {name: gone,/" \
		a.yaml >gone.yaml
	exits 5 palletjack run gone.yaml
	for command in plan status validate; do
		palletjack $command gone.yaml
	done
	exits 3 palletjack rollback gone.yaml 2>err; cat err
	grep -q "is archived, and its destination is not in the manifest" err
	cmp before "$state/vm-00001/journal"
'
check 'a request for one of its vms is refused: nobody would honour it' '
	for command in cancel cutover; do
		exits 3 palletjack $command a.yaml 2>err >out; cat err out
		grep -q "plan t/p is archived: no run works on it" err
		test ! -s out
		palletjack $command --revoke --vm vm-00002 a.yaml
	done
	test ! -e "$state/vm-00002/requests" || test -z "$(ls "$state/vm-00002/requests")"
	cmp before "$state/vm-00001/journal"
'
check 'gc keeps it, a rollback gives the source back' '
	palletjack gc a.yaml
	exits 9 palletjack rollback a.yaml
	test "$(tail -1 "$state/vm-00001/fake.power")" = "source on"
	palletjack run a.yaml 2>err; cat err
	test "$(grep -c vm-00001 err)" -eq 0
	palletjack gc --disks a.yaml
'
check 'findings about an archived plan keep nobody else back' '
	sed -n "/^kind: Plan$/,\$p" m.yaml >plan
	{
		cat a.yaml
		echo "---"
		echo "apiVersion: forklift.konveyor.io/v1beta1"
		sed "s/name: p,/name: q, labels: {l: q},/" plan
	} >two.yaml
	sed "/archived: true/a\\  targetPowerState: sideways" two.yaml >bad.yaml
	palletjack run -l l=q bad.yaml 2>err || { cat err; exit 1; }
	cat err; grep -q "Plan t/p.*targetPowerState" err
'

begun && no_entry
check 'a vm without an entry is named by run, plan, status and gc' '
	cp "$state/vm-00001/journal" before
	palletjack plan n.yaml >out 2>err; cat out err
	grep -q "vm .vm-00001.: the plan has no entry for it.*$off" err
	palletjack status n.yaml >out
	cat out; grep -q "^vm-00001: .*, and not in the plan any more" out
	grep -q "no run works on it: $off rollback n.yaml --vm vm-00001" out
	palletjack status -o json --vm vm-00001 n.yaml |
		jq -e "(.vms | length) == 1 and .vms[0].entry == false"
	exits 5 palletjack run n.yaml 2>err; cat err
	palletjack run --vm vm-00002 n.yaml
	test "$(fake_log vm-00002 | tail -n 1)" = cleanup
	grep -q "vm .vm-00001.: the plan has no entry.*$off rollback n.yaml" err
	palletjack gc n.yaml 2>err; cat err; grep -q "$off rollback" err
	exits 2 palletjack run --vm vm-00001 n.yaml 2>err; cat err
	grep -q "no vm .vm-00001. any more, but its state is there" err
	exits 2 palletjack rollback --vm vm-00009 n.yaml
	cmp before "$state/vm-00001/journal"
'
check 'a request for it is refused, saying what it is and what gives it back' '
	for command in cancel cutover; do
		exits 2 palletjack $command --vm vm-00001 n.yaml 2>err; cat err
		grep -q "no entry for vm .vm-00001. any more, so no run would honour that: $off rollback n.yaml --vm vm-00001" err
		exits 2 palletjack $command --vm vm-00009 n.yaml 2>err; cat err
		grep -q "has no vm .vm-00009.$" err
	done
	test ! -e "$state/vm-00001/requests" || test -z "$(ls "$state/vm-00001/requests")"
'
check 'nobody is given back unasked; --vm does it from the records' '
	exits 6 palletjack rollback n.yaml 2>err; cat err
	cmp before "$state/vm-00001/journal"
	palletjack gc --vm vm-00001 n.yaml
	exits 9 palletjack rollback --vm vm-00001 --vm vm-00001 n.yaml
	test "$(tail -1 "$state/vm-00001/fake.power")" = "source on"
	palletjack status n.yaml | grep "rolled back on.*gc --disks n.yaml"
	palletjack gc --disks --vm vm-00001 n.yaml
	palletjack status n.yaml | grep "nothing of it is at the target"
'
check 'one that was handed over is told of, without a warning' '
	fake_manifest "vms: \"3\", power: \"on\"" "{}" vm-00001 vm-00002
	palletjack run m.yaml
	palletjack run n.yaml 2>err; cat err
	grep -q "^Information NotWorkedOn: vm .vm-00001.:.*handed over" err
'
check 'a name that had to be encoded is found again' '
	rm -rf "$state"/*
	palletjack run --until cutover m.yaml
	mv "$state/vm-00001" "$state/%2Ea%20%25b"
	palletjack status n.yaml | grep "^\.a %b: .*not in the plan"
	mkdir "$state/%2Z" "$state/%61" "$state/empty"
	palletjack status -o json n.yaml | jq -e "(.vms | length) == 2"
'
test_end
