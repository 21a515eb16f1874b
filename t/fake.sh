# SPDX-License-Identifier: Apache-2.0
# Manifests of vms that exist nowhere, for tests of the engine.

# fake_manifest SETTINGS [POLICY] [VM...]: m.yaml with a fake source of these
# settings ('vms: "2", faults: "verify:fail"'), a RunPolicy's spec and a plan;
# fake_type is the plan's, cold when it is not set.  With $fake_world both
# endpoints have their world there, not in the state.
fake_manifest() {
	fake_settings=$1
	fake_place=${fake_world:+"world: \"$fake_world\""}
	fake_policy=${2:-"{}"}
	test $# -lt 2 || shift
	shift
	test $# -gt 0 || set -- vm-00001
	{
		cat <<EOF
apiVersion: palletjack.io/v1alpha1
kind: Endpoint
metadata: {name: source, namespace: t}
spec: {type: fake, settings: {${fake_place:+$fake_place, }$fake_settings}}
---
apiVersion: palletjack.io/v1alpha1
kind: Endpoint
metadata: {name: target, namespace: t}
spec: {type: fake, settings: {$fake_place}}
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
  type: ${fake_type:-cold}
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

# What the journal of the first vm says in the end, but when and how often.
fake_fold() {
	palletjack status m.yaml -o json | jq -S '.vms[0]
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

# Killing a command, and its children, at every point.  The test says what is
# killed (kill_command), what it may end with when a child of it was killed
# (kill_statuses) and below which directory operations count (kill_dir); it
# defines
#	amounts		what the world amounts to, as text
#	goes_on		the next command, and that all is as if undisturbed
# and then says
#	keep		commands begin with the world as it is now
#	undisturbed 0	the command exits with 0; makes `want` and `points`
#	killed_everywhere 'a rollback'
kill_statuses='0 5 137'

keep() {
	rm -rf "$HOME/kept"
	cp -a "$kill_dir" "$HOME/kept"
}

# The world as it is before the command.
prepare() {
	rm -rf "$kill_dir"
	cp -a "$HOME/kept" "$kill_dir"
}

# undisturbed STATUS
undisturbed() {
	rm -f points
	exits "$1" faulty FAULT_LOG="$PWD/points" && amounts >want && cat want
}

# again STATUS COMMAND...: it ends so, the journal ($state) is whole, and the
# world is as if undisturbed
again() {
	kill_wanted=$1
	shift
	exits "$kill_wanted" palletjack "$@" >resumed 2>&1 || {
		cat resumed
		return 1
	}
	palletjack journal check "$state" >>resumed && amounts | cmp_ok want -
}

# faulty NAME=VALUE...: the command in a new world, under these faults
faulty() {
	prepare && with_fault FAULT_PROGRAM=palletjack FAULT_DIR="$kill_dir" \
		FAULT_OPS='write fsync rename ftruncate unlink link send' \
		"$@" $kill_command
}

# kill_each WHEN NUMBER...
kill_each() {
	kill_when=$1
	shift
	for kill_at; do
		kill_status=0
		faulty FAULT_AT="$kill_at" FAULT_WHEN="$kill_when" >killed 2>&1 ||
			kill_status=$?
		case " $kill_statuses " in
		# a child that is killed costs an attempt, not the run
		*" $kill_status "*) ;;
		*)
			echo "point $kill_at $kill_when: status $kill_status"
			cat killed
			return 1
			;;
		esac
		goes_on || {
			echo "point $kill_at $kill_when:" \
				"$(sed -n "${kill_at}p" points)"
			return 1
		}
	done
}

# kill_points WHEN: of the file `points`, which FAULT_LOG wrote in an undisturbed
# run.  What goes to the vm's log is for people only; a write alone has a
# middle, and the test's own log knows no half lines.
#
# With LONG=1 they are all tried, else what tells the most: a sync changes
# nothing that a kill leaves, and of the points of a kind, which are an operation
# and a file but for numbers in its name, there are the first and one in a few
# of the others, beginning with one that $SEED says.
kill_points() {
	awk -v when="$1" -v every="$(kill_every)" -v from="$kill_seed" '
		/\/run\.log$/ { next }
		when == "torn" && (!/^write/ || /\.log$/) { next }
		every == 1 { print NR; next }
		/^fsync/ { next }
		{
			kind = $0
			gsub(/[0-9]+/, "", kind)
		}
		nth[kind]++ == 0 || (nth[kind] + from) % every == 0 { print NR }
	' points
}
kill_every() {
	if test -n "$LONG"; then
		echo 1
	elif is_sanitized; then
		echo 12
	else
		echo 5
	fi
}
kill_seed=${SEED:-$(od -An -N1 -tu1 /dev/urandom | tr -d ' ')}

# killed_everywhere WHAT: at each point as kill_ways says, with LONG=1 in all
# ways there are.
kill_ways='before torn'
killed_everywhere() {
	kill_tried=0
	test -z "$LONG" || kill_ways='before torn after'
	for kill_way in $kill_ways; do
		kill_these=$(kill_points "$kill_way" | tr '\n' ' ')
		check "$1: killed $kill_way any of $(echo $kill_these | wc -w)" \
			"kill_each $kill_way $kill_these"
		kill_tried=$((kill_tried + $(echo $kill_these | wc -w)))
	done
	echo "# $1: $kill_tried points tried of SEED=$kill_seed, $kill_ways; there are" \
		"$(cut -d' ' -f1 points | sort | uniq -c | tr -s ' \n' ' ')"
}
