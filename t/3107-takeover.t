#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A target that another state directory claims: nobody writes it by accident,
# and who gives that state up takes it over with a licence, if nobody works on
# it and it was never handed over.
. "${0%/*}/lib.sh"
. "${0%/*}/local.sh"
test_begin 'a claim of a state that is given up is taken over, once, by one'
requires jq
requires nbdkit --version
fault=$(dirname "$PALLETJACK")/t/fault.so

head -c 300000 /dev/urandom >one.raw
truncate -s 2M one.raw
head -c 200000 /dev/urandom >two.raw
truncate -s 1M two.raw
local_manifest web=one.raw:fast,two.raw:bulk "$local_raw" \
	'retry: {attempts: 1}, onFailure: hold'
sed -i 's/{name: web}/{name: web, hooks: [{step: PreHook, hook: {kind: Script, name: hook}}]}/' m.yaml
cat >>m.yaml <<EOF
---
apiVersion: palletjack.io/v1alpha1
kind: Script
metadata: {name: hook, namespace: t}
spec: {lua: 'log("here")'}
EOF
# the states of two people, or of one before and after a loss
a() { palletjack --state "$PWD/a" "$@"; }
b() { palletjack --state "$PWD/b" "$@"; }
c() { palletjack --state "$PWD/c" "$@"; }
digest() {
	"$@" plan m.yaml -o json 2>/dev/null | jq -r '.vms[0].digest'
}
claimed_by() {
	test "$(jq -r .uuid "target/$1/palletjack.json")" = "$(cat "$2/t/p/web/uuid")"
}
# stopped_child RUN: its pid
stopped_child() {
	ps --ppid "$1" -o pid=,stat= | grep T | cut -dT -f1 | grep .
}
begin() {
	rm -rf target a b c
	a run --until "${1:-verify}" m.yaml
}
same_disks() {
	cmp one.raw target/fast/web/disk-0.raw && cmp two.raw target/bulk/web/disk-1.raw
}

check 'another state directory is refused before anything is touched' '
	begin && find target -type f -exec sha256sum {} + | sort >before &&
	exits 4 b run m.yaml 2>said
'
check 'and told whose it is, since when, and the command that takes it over' '
	cat said && find target -type f -exec sha256sum {} + | sort | cmp_ok before - &&
	grep -q "belongs to plan .t/p., vm .web., claimed by state $(cat a/t/p/web/uuid) ($(uname -n):$PWD/a/t/p/web) at 2" said &&
	grep -q "every disk is copied anew" said &&
	grep -q "^web: to accept: palletjack --state .*/b. run m.yaml --vm .*web.* --accept [0-9a-f]*$" said
'
check 'plan says the same, changes nothing, and its digest is that of the run' '
	exits 4 b plan m.yaml >plan; cat plan; grep "takes it over" plan
	exits 4 b plan -o json m.yaml >json; jq -e ".vms[0].claim.claim.plan == \"t/p\"" json
	grep -q "accept $(digest b | cut -c1-16)$" said
	exits 3 b validate --online m.yaml >found 2>&1; cat found; grep TargetHeld found
'
check 'another digest is none' 'exits 4 b run --accept 0123456789abcdef m.yaml'
check 'the command takes it over and copies everything' '
	command=$(sed -n "s/^web: to accept: //p" said) && eval "$command" --until verify &&
	claimed_by web b && claimed_by fast/web b && claimed_by bulk/web b && same_disks &&
	grep -q "\"takeover\"" b/t/p/web/journal
'
check 'the first state is told, and writes nothing' '
	exits 4 a run m.yaml 2>said; cat said; grep -q "claimed by state $(cat b/t/p/web/uuid)" said
	exits 4 a gc --disks m.yaml; claimed_by web b && same_disks
'
check 'the licence of one is none for the other' '
	exits 4 a run --accept "$(digest b)" m.yaml
'
check 'it can take it back, and does not believe its own ledger then' '
	dd if=/dev/urandom of=target/fast/web/disk-0.raw bs=1 seek=70000 count=99 conv=notrunc status=none &&
	a run --accept "$(digest a)" m.yaml && same_disks && claimed_by web a &&
	grep -q "\"renew\"" a/t/p/web/journal
'
check 'what was handed over is taken over by nobody' '
	exits 6 b run m.yaml 2>said; cat said; grep -q "handed over" said &&
	refute grep -q "to accept" said && claimed_by web a
'
check 'and plan says so, too' '
	exits 3 b plan --detailed-exitcode m.yaml >plan 2>&1; cat plan
	grep -A 1 "^web: kept back" plan | grep "TargetHandedOver"
'
check 'as long as somebody works on it, nobody takes it over' '
	begin; digest b >licence
	flock -F -x target/web/palletjack.json.lock sh -c ": >held; exec sleep 600" &
	holder=$!
	within 30 test -e held
	exits 4 b run --accept "$(cat licence)" m.yaml 2>said || { kill $holder; exit 1; }
	cat said; kill $holder; grep -q "is being worked on by process [0-9]* on" said &&
	refute grep -q "to accept" said && claimed_by web a
'
check 'which is what a run that works on it says, in whatever step' '
	begin; sed -i "s/log(.here.)/while true do end/" m.yaml
	palletjack --state "$PWD/a" run --redo pre-hook m.yaml >first 2>&1 &
	first=$!
	at_end "kill -KILL $first"
	within 30 sh -c "! flock -n target/web/palletjack.json.lock true" || exit 1
	exits 4 b plan m.yaml >said; cat said
	kill $first; wait $first || :
	sed -i "s/while true do end/log(\"here\")/" m.yaml
	grep -q "being worked on by process" said && flock -n target/web/palletjack.json.lock true
'
check 'of two who take it over at once one does, and the other is told' '
	for i in 1 2 3 4 5; do
		begin && digest b >lb && digest c >lc || exit 1
		b run --until verify --accept "$(cat lb)" m.yaml >saidb 2>&1 & one=$!
		c run --until verify --accept "$(cat lc)" m.yaml >saidc 2>&1 & two=$!
		rb=0; wait $one || rb=$?
		rc=0; wait $two || rc=$?
		echo "$rb $rc"; cat saidb saidc
		case "$rb $rc" in
		"0 4") claimed_by web b && claimed_by fast/web b ;;
		"4 0") claimed_by web c && claimed_by fast/web c ;;
		*) false ;;
		esac && same_disks || exit 1
	done
'
test -e "$fault" || { skip "$fault is not built" "the losers and kills"; test_end; }
check 'who finds it taken while it looks at source and target is told the same' '
	begin && digest b >lb && digest c >lc || exit 1
	env LD_PRELOAD="$fault" ASAN_OPTIONS=verify_asan_link_order=0 \
		FAULT_OPS=send FAULT_WHEN=stop \
		FAULT_MATCH="asking source and target" \
		palletjack --state "$PWD/c" run --accept "$(cat lc)" m.yaml >said 2>&1 &
	run=$!
	at_end "kill -KILL $run"
	within 60 stopped_child $run
	b run --until verify --accept "$(cat lb)" m.yaml
	kill -CONT $(stopped_child $run)
	exits 4 wait $run || { cat said; exit 1; }
	cat said; claimed_by web b && same_disks &&
	grep -q "claimed by state $(cat b/t/p/web/uuid)" said
'
# killed FILE N WHEN: b takes over and is killed at its Nth touch of such files
killed() {
	begin >/dev/null 2>&1 && digest b >licence &&
	exits 137 env LD_PRELOAD="$fault" FAULT_FILE="$1" FAULT_AT="$2" \
		FAULT_WHEN="$3" ASAN_OPTIONS=verify_asan_link_order=0 \
		palletjack --state "$PWD/b" run --until verify \
		--accept "$(cat licence)" m.yaml
}
check 'killed at any record, it goes on without being asked again, or was not begun' '
	asked=0 went=0
	for n in 1 2 3 4 5 6 7 8 9 10 12; do
		killed journal $n after || exit 1
		if grep -q "\"takeover\"" b/t/p/web/journal; then
			went=$((went + 1))
			b run --until verify m.yaml || exit 1
		else
			asked=$((asked + 1))
			claimed_by web a && exits 4 b run m.yaml &&
			b run --until verify --accept "$(digest b)" m.yaml || exit 1
		fi
		claimed_by web b && claimed_by bulk/web b && same_disks || exit 1
	done
	echo "$asked times asked again, $went times not"; test $asked -gt 0 && test $went -gt 0
'
test_end
