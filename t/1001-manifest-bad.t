#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Manifests that are wrong: one clear message with file, line and field, the
# right exit code, and nothing touched.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'a manifest that is wrong is refused with its place'

# refused EXIT TEXT: `run` ends so, says so, and leaves no state
refused() {
	exits "$1" palletjack run m.yaml 2>err || {
		cat err
		return 1
	}
	cat err
	grep -qF -- "$2" err && test ! -e "$PALLETJACK_STATE"
}
# edit SED: a good manifest made bad
edit() {
	fake_manifest 'vms: "2"' '{}' vm-00001
	sed -i "$1" m.yaml
}

check 'the manifest the others are made from is good' '
	edit "" && palletjack validate m.yaml
'
check_exit 2 'no such file' 'palletjack run nowhere.yaml'
check_exit 2 'an empty directory holds no plan' '
	mkdir empty && palletjack run empty
'
check 'a syntax error has file, line and column' '
	printf "a: [1,\nb: }\n" >m.yaml && refused 2 "m.yaml:2:"
'
check 'what is no YAML at all' '
	head -c 1000 /dev/urandom >m.yaml && refused 2 "m.yaml:"
'
check 'a bomb of aliases' '
	{
		echo "a0: &a0 [x, x, x, x, x, x, x, x, x, x]"
		for n in 1 2 3 4 5 6 7 8 9; do
			p="*a$((n - 1))"
			echo "a$n: &a$n [$p, $p, $p, $p, $p, $p, $p, $p, $p]"
		done
	} >m.yaml && refused 2 "m.yaml:"
'
check 'nesting without end' '
	head -c 100000 /dev/zero | tr "\0" "[" >m.yaml && refused 2 "m.yaml:1:"
'
check 'an unknown kind of ours names the nearest' '
	edit "s/^kind: RunPolicy/kind: RunPolcy/" && refused 3 "RunPolicy"
'
check 'a wrong version' '
	edit "s,forklift.konveyor.io/v1beta1,forklift.konveyor.io/v1," &&
	refused 3 "v1beta1"
'
check 'an unknown field is a warning with the nearest name' '
	edit "s/^  targetNamespace: t/&\n  archivd: true/"
	palletjack validate m.yaml 2>err; cat err
	grep -q "m.yaml:.*archivd.*archived" err
'
check_exit 3 'and an error with --strict' 'palletjack validate --strict m.yaml'
check 'a value of the wrong type' '
	edit "s/^  targetNamespace: t/&\n  warm: [1]/" &&
	refused 3 "spec.warm"
'
check 'a word that is none of those allowed' '
	edit "s/^  targetNamespace: t/&\n  targetPowerState: maybe/" &&
	refused 3 "spec.targetPowerState"
'
check 'a setting that names a machine which ssh cannot reach' '
	edit "s,{type: fake\, settings: {}},{type: libvirt\, url: \"qemu+tls://h/system\"\, settings: {diskHost: \"tls://h\"}},"
	refused 3 "m.yaml:6:1: Error SettingsNotValid: Endpoint t/target: spec.settings.diskHost must be a machine that ssh reaches: ssh://USER@HOST:PORT"
'
check 'a secret that is not there' '
	edit "s,{type: fake\, settings: {}},{type: libvirt\, url: \"qemu+tls://h/system\"\, secret: {name: creds}},"
	palletjack validate m.yaml 2>err || test $? -eq 3
	cat err
	grep "m.yaml:9:59: Warn SecretNotValid: Endpoint t/target: spec.secret names Secret .t/creds., which is not in the manifest" err
'
check 'a reference to nothing' '
	edit "s/network: {name: maps}/network: {name: nets}/" &&
	refused 3 "NetworkMapRefNotValid"
'
check 'a source that is not there' '
	edit "s/{source: {name: source}, destination: {name: target}}$/{source: {name: sauce}, destination: {name: target}}/" &&
	refused 3 "sauce"
'
check 'a field that is known and not honoured' '
	edit "s/^  type: cold/  type: live/" && refused 3 "spec.type"
'
check 'unless the policy waives it' '
	edit "s/^  targetNamespace: t/&\n  transferNetwork: {name: x}/" &&
	refused 3 "spec.transferNetwork" &&
	sed -i "s/^spec: {}/spec: {waive: [spec.transferNetwork]}/" m.yaml &&
	palletjack validate m.yaml
'
check 'a vm that is not at the source, with those that are like it' '
	fake_manifest "vms: \"2\"" "{}" vm-00003; exits 3 palletjack run m.yaml 2>err
	cat err; grep "VMNotFound" err | grep -q "vm-0000[12]"
'
check 'a network that the map does not name' '
	rm -rf "$PALLETJACK_STATE"
	edit "s/map: \[{source: {name: fake}, destination: {type: pod}}\]/map: [{source: {name: other}, destination: {type: pod}}]/"
	exits 3 palletjack run m.yaml 2>err
	cat err; grep -q "VMNetworksNotMapped" err
'
check 'a target name that is no DNS label' '
	rm -rf "$PALLETJACK_STATE"
	edit "s/^    - name: vm-00001/&\n      targetName: Web_01/"
	exits 3 palletjack run m.yaml 2>err; cat err; grep -q Web_01 err
'
check 'a target name that two want' '
	rm -rf "$PALLETJACK_STATE"
	fake_manifest "vms: \"2\"" "{}" vm-00001 vm-00002
	sed -i "s/^    - name: vm-0000./&\n      targetName: same/" m.yaml
	exits 3 palletjack run m.yaml 2>err; cat err; grep -q same err
'
check 'several plans want --plan' '
	fake_manifest "vms: \"2\"" "{}" vm-00001 && rm -rf "$PALLETJACK_STATE" &&
	sed "s/^metadata: {name: p, /metadata: {name: q, /; s/vm-00001/vm-00002/" m.yaml |
		sed -n "/^kind: Plan/,\$p" >more &&
	{ cat m.yaml; echo ---; echo "apiVersion: forklift.konveyor.io/v1beta1"; cat more; } >two.yaml &&
	exits 2 palletjack run two.yaml 2>err && cat err &&
	grep -q "t/p" err && palletjack run --plan t/q two.yaml
'
check 'of several, one is not kept back by what only another uses' '
	cat two.yaml >other.yaml
	cat >>other.yaml <<-END
	---
	apiVersion: palletjack.io/v1alpha1
	kind: RunPolicy
	metadata: {name: odd, namespace: t}
	spec: {verify: perhaps}
	---
	apiVersion: forklift.konveyor.io/v1beta1
	kind: Migration
	metadata: {name: lost, namespace: t}
	spec: {plan: {name: nowhere, namespace: t}}
	END
	palletjack plan --plan t/q other.yaml &&
	sed "s/^metadata: {name: q, namespace: t/&, annotations: {palletjack.io\/run-policy: odd}/" other.yaml >bound.yaml &&
	grep -q "run-policy: odd" bound.yaml &&
	exits 3 palletjack run --plan t/q bound.yaml &&
	exits 3 palletjack validate other.yaml
'
check 'a syntax error in a hook is found before anything is done' '
	fake_manifest "vms: \"2\"" "{}" vm-00001
	rm -rf "$PALLETJACK_STATE"
	sed -i "s/log(.here.)/x = = 1/" m.yaml
	exits 3 palletjack validate --online m.yaml 2>err
	cat err; grep -q "ScriptNotValid.*m.yaml/hook.*:1:" err
'
check 'a value that begins with a star is not repeated' '
	fake_manifest "vms: \"2\"" "{}" vm-00001
	printf -- "---\na: *hunter2\n" >>m.yaml
	exits 2 palletjack validate m.yaml 2>err; cat err
	grep -q "quote values" err && refute grep -q hunter2 err
'
check 'a cancel of a vm that is not there is no silence' '
	fake_manifest "vms: \"2\"" "{}" vm-00001
	cat >>m.yaml <<-END
	---
	apiVersion: forklift.konveyor.io/v1beta1
	kind: Migration
	metadata: {name: c, namespace: t}
	spec:
	  plan: {name: p, namespace: t}
	  cancel: [{name: vm-0001}, {}]
	END
	exits 3 palletjack validate --online m.yaml 2>err; cat err
	grep -q "VMRefNotValid.*spec.cancel\[1\]" err
	sed -i "s/, {}\]/]/" m.yaml
	exits 3 palletjack validate --online m.yaml 2>err; cat err
	grep -q "VMNotFound.*vm-0001.*did you mean .vm-00001" err
'
check 'what other tools keep beside manifests is passed over' '
	mkdir beside && fake_manifest "vms: \"2\"" "{}" vm-00001 &&
	mv m.yaml beside && echo "replicas: 3" >beside/values.yaml &&
	palletjack validate beside && exits 3 palletjack validate --strict beside
'
check 'directories and pipes beside manifests are passed over' '
	mkdir -p mixed/sub.yaml && mkfifo mixed/pipe.yaml &&
	fake_manifest "vms: \"2\"" "{}" vm-00001 && mv m.yaml mixed &&
	timeout 20 palletjack validate mixed
'
check 'a manifest is read from standard input, too' '
	fake_manifest "vms: \"1\"" "{}" &&
	palletjack plan - <m.yaml | grep -q "vm-00001: ready"
'
check_exit 2 'an option that there is not' 'palletjack run --fast m.yaml'
check_exit 2 'a command that there is not' 'palletjack fly'
check 'one that is to come says so' '
	exits 2 palletjack report m.yaml 2>err; grep "not in this build yet" err
'
check 'each command has its help' '
	for c in validate plan run status cancel cutover rollback gc copy journal version; do
		palletjack $c --help | grep -q "^usage: palletjack $c" || exit 1
		palletjack $c --help | refute grep " \$" || exit 1
	done
'
test_end
