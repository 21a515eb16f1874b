#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The runs that move the real guest while it writes are killed in every phase of
# a generation and of the cutover, and at random moments; the next generation
# that ends well has just what the guest has, and so has the vm at the end.
# ROUNDS sets how many kills are at random, at most 50; SEED repeats them.
. "${0%/*}/../lib.sh"
. "${0%/*}/../live.sh"
test_begin 'whatever kills the runs that move a running guest, its data are right'
live_needs
fault=$(dirname "$PALLETJACK")/t/fault.so
test -e "$fault" || skip_all "$fault is not built: run make units"

state=$PALLETJACK_STATE/t/p/web
seed=${SEED:-$(od -An -N2 -tu2 /dev/urandom | tr -d ' ')}
random=$(rounds 10)
test "$random" -le 50 || random=50
echo "# SEED=$seed"

# killed_at TYPE STEP [OPTION...]: a run that dies as it is about to write such
# a record down
killed_at() {
	record="\"type\":\"$1\",\"step\":\"$2\""
	test "$1" != result || record="$record,\"facts\""
	shift 2
	exits 137 env LD_PRELOAD="$fault" FAULT_FILE=journal \
		FAULT_WHEN=before FAULT_MATCH="$record" \
		palletjack run m.yaml "$@"
}
same() {
	qemu-img compare -U -f raw -F qcow2 target/fast/web/disk-sda.raw system.qcow2 &&
		cmp target/fast/web/disk-sdb.raw data.raw
}
# The next run ends well; of which point in time, if not of the one that was
# held, nobody knows.  While its processors stand still nothing is written: the
# generation of the run behind it is what the guest has.
is_right() {
	palletjack status m.yaml || return 1
	exits 7 palletjack run m.yaml || return 1
	palletjack journal check "$state" || return 1
	palletjack verify m.yaml || return 1
	virt suspend web
	exits 7 palletjack run m.yaml && same
	right=$?
	virt resume web
	test "$right" -eq 0 || return 1
	virt checkpoint-list web --name >points
	test "$(grep -c palletjack points)" -eq 1 || return 1
	virt domjobinfo web | grep -i none || return 1
	find . -name "*.scratch" | refute grep .
}

qemu-img convert -f raw -O qcow2 /dev/fd/7 system.qcow2 &&
	qemu-img convert -f raw -O raw /dev/fd/8 data.raw
virt_start
live_define web "$(live_disk sda qcow2 system.qcow2)$(live_disk sdb raw data.raw)" || {
	cat libvirtd.log
	skip_all 'libvirtd has no qemu here'
}
at_end 'virt destroy web'
live_manifest 'retry: {attempts: 1}, precopy: {interval: 1ms}, cutover: {hardPowerOff: never}' \
	"type: warm, $local_raw"

check 'the guest runs, and writes all the time' '
	virt start web
	up_at web.log
	order churn "TICK 3"
'
test "$test_failures" -eq 0 || test_end
check 'killed before anything was copied' '
	killed_at intent precopy/disk-sda
	is_right
'
for step in precopy precopy/disk-sda precopy/disk-sdb precopy-release \
	precopy-verify/disk-sda; do
	for type in intent result; do
		check "killed at the $type of $step" "
			order marker TICK
			killed_at $type $step
			order marker TICK
			is_right
		"
	done
done
awk -v seed="$seed" -v n="$random" 'BEGIN {
	srand(seed)
	while (n--)
		printf "%.3f\n", 0.05 + rand() * rand() * 1.5
}' >moments
: >halves
while read -r moment; do
	check "killed after $moment s" "
		order marker TICK
		palletjack run m.yaml >said 2>&1 &
		run=\$!
		sleep $moment
		kill -KILL \$run || echo 'it was through'
		wait \$run || true
		jq -Rr 'fromjson? | select(.step) | .type + \" of \" + .step' \
			'$state/journal' | tail -n 1 >>halves
		is_right
	"
done <moments
echo '# the last that was on record, how often:'
sort halves | uniq -c | sort -rn | sed 's/^/#/'

# From here on every kill is followed by the next.
for step in precopy precopy/disk-sda cutover cutover/disk-sda \
	verify/disk-sda create-vm start cleanup; do
	check "at its cutover killed when $step is done and not yet on record" "
		killed_at result $step --cutover now
	"
done
check 'the last run finishes' 'palletjack run m.yaml --cutover now'
check 'what arrived is what the guest left' '
	test "$(virt domstate web)" = "shut off"
	same
'
check 'nothing of ours is left at the source' '
	virt checkpoint-list web --name | refute grep palletjack
	qemu-img info system.qcow2 | refute grep palletjack
	find . -name "*.scratch" | refute grep .
'
check 'it boots from there, and every file it wrote is as it was written' '
	wrote=$(sed -n "s/^GUEST-DOWN files=\([0-9]*\).*/\1/p" web.log)
	test "$wrote" -ge 10
	"$TOP/t/testbed/boot.sh" --hardware vmware --deadline 300 --fail panic \
		--expect "^WRITTEN files=$wrote sums=ok" \
		target/fast/web/disk-sda.raw target/fast/web/disk-sdb.raw
'
test_end
