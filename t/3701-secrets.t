#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Secrets appear in no journal, log, argv, environment or output, and nothing
# that holds them leaves a core.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'secrets stay where they are'
requires jq

# in the clear, in base64, and half of it, for what cuts its lines
secret="hush-$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')"
encoded=$(printf %s "$secret" | base64)
half=$(printf %s "$secret" | tail -c 12)
printf '%s\n%s\n%s\n' "$secret" "$encoded" "$half" >.patterns

# as_document PASSWORD-LINES: m.yaml with a Secret of the source's.
as_document() {
	fake_manifest 'vms: "1"' '{deadlines: {hook: 60s}}'
	sed -i "s/spec: {type: fake, settings: {vms.*/spec: {type: fake, secret: {name: creds, namespace: t}, settings: {vms: \"1\"}}/
		s/log(\"here\")/log(\"here\") while true do end/" m.yaml
	cat >>m.yaml <<END
---
apiVersion: v1
kind: Secret
metadata: {name: creds, namespace: t}
$1
END
}

# in the files named, but not in the manifest: where the secret is
told() {
	grep -ralF -f .patterns "$@"
}
children() {
	for child in $(cat /proc/"$1"/task/*/children 2>/dev/null); do
		echo "$child"
		children "$child"
	done
}

as_document "stringData: {user: admin, password: $secret, 'token': 'x$secret'}
data: {key: $encoded}"

check 'the secret is in use: the manifest is read with it' '
	told m.yaml && palletjack validate m.yaml
'

(
	# whoever wants cores does not get them from us
	ulimit -c unlimited 2>/dev/null
	exec palletjack run --events events.json m.yaml >out 2>err
) &
run=$!
at_end "end_process $run"
log=$PALLETJACK_STATE/t/p/vm-00001

check 'a run is at work' '
	within 60 grep -rqs here "$log" &&
	test -n "$(children $run)"
'
check 'it is in no command line and no environment' '
	for pid in $run $(children $run); do
		cat /proc/$pid/cmdline /proc/$pid/environ
	done >seen && test -s seen && refute told seen
'
check 'no process of it leaves a core' '
	for pid in $run $(children $run); do
		grep "^Max core file size  *0  *0 " /proc/$pid/limits
	done
'
check 'status and plan do not know it' '
	palletjack status m.yaml >s1; palletjack status -o json m.yaml >s2
	for form in text json dot mermaid markdown; do
		palletjack plan --offline -o $form m.yaml || test $? -ne 1
	done >s3 2>&1 && test -s s2 -a -s s3 && refute told s1 s2 s3
'
kill "$run"
wait "$run" 2>/dev/null
check 'it is in nothing that the run wrote' '
	test -s err && test -s events.json && test -s "$log/journal" &&
	refute told out err events.json "$PALLETJACK_STATE" "$XDG_RUNTIME_DIR"
'
check 'the hook finds it nowhere' '
	sed -i "s/while true do end/for k, v in pairs({vm = vm, plan = plan, notes = notes}) do log(describe(v)) end/" m.yaml &&
	palletjack run m.yaml >out 2>err && refute told out err "$PALLETJACK_STATE"
'

# what is wrong with a secret is told without it
for wrong in "stringData: {password: 12345678901234}" \
	"stringData: {password: [12345678901234]}" \
	"data: {password: '12345678901234!'}" \
	"data: 12345678901234" \
	"stringData: {password: 1234567890.1234}"; do
	as_document "$wrong"
	check "what is wrong is told without the value: ${wrong%%:*} $(echo "$wrong" | tr -dc '[{!.')" '
		palletjack validate -o json m.yaml >out 2>err || test $? -lt 126
		refute grep 1234567890 out err
	'
done
test_end
