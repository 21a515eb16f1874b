#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# -l chooses the plan by its labels.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'a plan is chosen by its labels'

# Three plans: p without labels, q and r with some.
fake_manifest 'vms: "3"'
sed -n '/^kind: Plan/,$p' m.yaml >plan
n=1
for one in 'q wave: "1", tier: web' 'r wave: "2", tier: web'; do
	n=$((n + 1))
	printf -- '---\napiVersion: forklift.konveyor.io/v1beta1\n' >>m.yaml
	sed "s/name: p, namespace: t/name: ${one%% *}, namespace: t, labels: {${one#* }}/
		s/vm-00001/vm-0000$n/" plan >>m.yaml
done

check 'the one that matches' '
	palletjack plan m.yaml -l tier=web,wave=2 | grep "^Plan t/r:" &&
	palletjack plan m.yaml -l "wave in (1)" | grep "^Plan t/q:" &&
	palletjack plan m.yaml -l "!wave" | grep "^Plan t/p:" &&
	palletjack status m.yaml -l "!wave"
'
check_exit 2 'several are one too many, and named' '
	palletjack plan m.yaml -l tier=web 2>said
'
check 'with what chooses one' 'cat said && grep -q "t/q, t/r.*--plan" said'
check_exit 2 'none is none' 'palletjack plan m.yaml -l tier=db'
check_exit 2 'the plan named must match, too' '
	palletjack plan m.yaml --plan t/p -l tier=web
'
check_exit 2 'what is no selector is said to be none' '
	palletjack run m.yaml -l "tier=("
'
check 'what is wrong with one that is not chosen keeps it not back' '
	sed "0,/^  targetNamespace: t/s//&\n  targetPowerState: sideways/" m.yaml >bad.yaml
	exits 3 palletjack run --plan t/p bad.yaml
	palletjack plan -l wave=1 bad.yaml 2>err; cat err
	grep -q "Plan t/p.*targetPowerState" err
'
check 'one that is not chosen collides all the same' '
	sed "s/vm-00002/vm-00001/" m.yaml >rivals.yaml
	exits 3 palletjack run -l wave=1 rivals.yaml 2>err; cat err
	grep -q "VMInOtherPlan: Plan t/q: .* is also spec.vms.0. .vm-00001. of Plan t/p" err
'
check 'a run does that one alone' '
	palletjack run m.yaml -l wave=1 &&
	test -d "$PALLETJACK_STATE/t/q" && test ! -e "$PALLETJACK_STATE/t/p"
'
test_end
