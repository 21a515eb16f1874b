#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A program upgraded and secrets rotated in the middle of a migration: nothing
# is done again.  What a newer program wrote, an older one leaves alone.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'another program, other secrets, the same migration'
requires jq

journal=$PALLETJACK_STATE/t/p/vm-00001/journal
# start PASSWORD: a migration whose endpoints have secrets
start() {
	fake_manifest 'vms: "1"' '{bootTest: once}'
	sed -i 's/^spec: {type: fake/&, secret: {name: creds}/' m.yaml
	cat >>m.yaml <<END
---
apiVersion: v1
kind: Secret
metadata: {name: creds, namespace: t}
stringData: {user: me, password: $1}
END
}
# decisions: what would be done again
decisions() {
	palletjack plan m.yaml -o json | jq -r '.vms[0].steps[]
		| select(.decision != "run" and .decision != "skip").step'
	palletjack plan m.yaml -o json | jq -r '[.vms[0].steps[]
		| select(.decision == "skip")] | length'
}
# reseal: the journal on standard input with checksums that hold
reseal() {
	before=
	while IFS= read -r line; do
		body=${line%,\"sum\":*}
		before=$(printf '%s%s' "$before" "$body" | sha256sum | cut -c1-32)
		printf '%s,"sum":"%s"}\n' "$body" "$before"
	done
}

start old
check 'a migration comes to its middle' '
	palletjack run --until boot-test m.yaml && decisions >want &&
	cat want && test "$(cat want)" -ge 6'
cp "$journal" sound
check 'its journal can be made again' 'reseal <sound | cmp - sound'

start new
check 'every secret is rotated: nothing is done again' '
	decisions | cmp_ok want -'
check 'an older program began it: nothing is done again' '
	sed "s/\"version\":\"[0-9.]*\"/\"version\":\"0.0.1\"/" sound | reseal >"$journal" &&
	grep -q "\"version\":\"0.0.1\"" "$journal" && palletjack journal check "$journal" &&
	decisions | cmp_ok want -'
check 'and in a journal of the first version: nothing' '
	sed "1s/\"version\":[0-9]*/\"version\":1/" sound | reseal >"$journal" &&
	decisions | cmp_ok want -'

# newer COMMAND...: it is refused, says why, and changes nothing
newer() {
	sed '1s/"version":[0-9]*/"version":99/' sound | reseal >"$journal"
	find "$PALLETJACK_STATE" -type f -exec sha256sum {} + | sort >before
	exits 6 palletjack "$@" >out 2>&1
	cat out
	grep 'written by a newer palletjack (journal version 99); use that one' out
	find "$PALLETJACK_STATE" -type f -exec sha256sum {} + | sort >after
	cmp_ok before after
}
check 'a run refuses what a newer program wrote' 'newer run m.yaml'
check 'and so does a plan' 'newer plan m.yaml'
check 'and a rollback' 'newer rollback m.yaml'
check 'its checksums hold all the same' 'palletjack journal check "$journal"'

cp sound "$journal"
check 'the right program goes on where it was' '
	palletjack run m.yaml && fake_log >got && fake_steps | cmp_ok - got'
test_end
