#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The verify command: what is damaged behind our back is found and named, can
# be mended, and what is no replica any more is not compared.
. "${0%/*}/lib.sh"
. "${0%/*}/local.sh"
test_begin 'a disk is compared with what was copied, any time later'
requires jq
requires qemu-img --version
requires qemu-nbd --version
requires qemu-io --version

head -c 6000000 /dev/urandom >one.raw
truncate -s 20M one.raw
head -c 1500000 /dev/urandom >two.raw
truncate -s 5242880 two.raw

# manifest FORMAT POLICY
manifest() {
	local_manifest web=one.raw:fast,two.raw:bulk "$local_raw" \
		"retry: {attempts: 1}$2" "$1"
}
state=$PALLETJACK_STATE/t/p/web
disk=target/fast/web/disk-0.raw
# told DISK FILTER: of the JSON the last verify left in `out`.
told() {
	jq -r ".vms[0].disks[$1]$2" out
}
# bend FILE BYTE: to what it certainly was not.
bend() {
	byte=$(od -An -tu1 -j "$2" -N1 "$1" | tr -d ' ')
	printf "\\$(printf %03o $((byte ^ 1)))" |
		dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

manifest raw ''
check_exit 3 'before the first run there is nothing to compare' '
	palletjack verify m.yaml 2>err; rc=$?; cat err
	grep -q "never begun" err && exit $rc
'
check 'and nothing is made' 'test ! -e "$state"'
check_exit 2 'only known ends' 'palletjack verify --against me m.yaml'
check_exit 2 'only one choice of blocks' '
	palletjack verify --since 1 --sample 5% m.yaml
'
check_exit 2 'a sample that means nothing' 'palletjack verify --sample 5 m.yaml'
check_exit 2 'the source is not repaired' '
	palletjack verify --repair --against source m.yaml
'
check 'the disks are copied' 'palletjack run --until verify m.yaml'
check 'all is as it was copied' '
	palletjack verify m.yaml >text && cat text &&
	test "$(grep -c "as it was copied" text)" -eq 2
'
check 'of the source, too' '
	palletjack verify --against source -o json m.yaml >out && cat out &&
	test "$(told 0 .result)" = same && test "$(told 0 .checked)" -eq 20
'
check 'it is on record, and is no step' '
	palletjack journal --show "$state" 2>/dev/null >j ||
		cp "$state/journal" j
	grep compared j | grep -q root; grep compared j | refute grep -q differing
	palletjack plan m.yaml
'
check 'a file that is served by nobody else stays as it was' '
	cmp one.raw $disk && cmp two.raw target/bulk/web/disk-1.raw
'

bend $disk 1048575
bend $disk 5999999
bend $disk 20971519
check_exit 8 'what is bent is named, block and bytes' '
	palletjack verify m.yaml >text; rc=$?; cat text
	grep -q "block 0: bytes 0 to 1048575" text &&
	grep -q "block 5: bytes 5242880 to 6291455" text &&
	grep -q "block 19:" text && grep -q "3 differ" text &&
	test "$(grep -c "  block" text)" -eq 3 && exit $rc
'
check 'how it is mended is said, and status has it until it is' '
	exits 8 palletjack verify m.yaml 2>err; cat err
	grep -x "web: to copy what differs from the source again: palletjack verify m.yaml --vm web --repair" err
	palletjack status m.yaml | grep -x "  in doubt: disk-0, since verify/disk-0 found a difference"
'
check_exit 8 'the same in JSON' '
	palletjack verify -o json m.yaml >out; rc=$?
	test "$(told 0 ".differing | map(.block) | join(\",\")")" = 0,5,19 &&
	test "$(told 0 .mismatched)" -eq 3 && test "$(told 1 .result)" = same &&
	exit $rc
'
check_exit 8 'a sample of all is all' '
	palletjack verify --sample 100% -o json m.yaml >out; rc=$?; cat out
	test "$(told 0 .sample.size)" -eq 20 && test "$(told 0 .mismatched)" -eq 3 &&
	exit $rc
'
check 'a small one says what it is worth' '
	palletjack verify --sample 10% -o json m.yaml >out || test $? -eq 8
	test "$(told 0 .checked)" -eq 2 && test "$(told 0 .sample.missOne)" = 0.9 &&
	test "$(told 0 .proof)" = sha256
'
check_exit 3 'a generation that was not copied cannot be compared' '
	palletjack verify --since 2 -o json m.yaml >out 2>err; rc=$?; cat out err
	grep "no generation 2 to compare (--since): the last one copied is 1" err && exit $rc
'
check_exit 4 'who works on the vm is not disturbed' '
	echo "process $$ on $(uname -n) since noon" >"$state/lock"
	flock "$state/lock" palletjack verify m.yaml
'
check 'what differs is repaired' '
	palletjack verify --repair -o json m.yaml >out && cat out &&
	test "$(told 0 .result)" = repaired && cmp one.raw $disk
'
check 'and then it is as it was copied' '
	palletjack verify m.yaml 2>err; cat err
	refute grep repair err
	palletjack status m.yaml >text; cat text
	refute grep doubt text
'

bend $disk 3000000
cp -p one.raw one.kept
bend one.raw 3000001
check 'a source that changed since repairs nothing' '
	cp $disk before
	palletjack verify --repair m.yaml 2>err && exit 1
	cat err && cmp before $disk
'
check_exit 3 'nor is it compared with what was copied' '
	palletjack verify --against source m.yaml >text; rc=$?; cat text
	grep -q "source changed since" text && exit $rc
'
cp -p one.kept one.raw
check 'one that is as it was does' '
	palletjack verify --repair m.yaml && cmp one.raw $disk
'
truncate -s 19M $disk
check_exit 8 'a disk cut short differs' '
	palletjack verify m.yaml >text; rc=$?; cat text
	grep -q "only 19922944 bytes" text && exit $rc
'
truncate -s 20M $disk

check 'the vm is handed over' 'palletjack run m.yaml'
check_exit 3 'from then on its disks are not compared' '
	palletjack verify m.yaml >text; rc=$?; cat text
	grep -q "not comparable since 20" text &&
	grep -q -- "--against source" text && exit $rc
'
check_exit 3 'nor repaired' '
	cp $disk before && palletjack verify --repair m.yaml; rc=$?
	cmp before $disk && exit $rc
'
check 'the source still is' 'palletjack verify --against source m.yaml'
check 'a finished vm stays finished' '
	palletjack run m.yaml 2>err; rc=$?; cat err; grep -q "finished before" err &&
	exit $rc
'
rm -rf target "$PALLETJACK_STATE"

manifest qcow2 ''
disk=target/fast/web/disk-0.qcow2
check 'a qcow2' '
	palletjack run --until verify m.yaml && palletjack verify m.yaml
'
check_exit 8 'is compared by what it holds' '
	qemu-io -f qcow2 -c "write -P 0x5a 4194304 512" $disk &&
	palletjack verify -o json m.yaml >out; rc=$?
	test "$(told 0 ".differing[0].block")" -eq 4 &&
	test "$(told 0 .mismatched)" -eq 1 && exit $rc
'
check 'and repaired' '
	palletjack verify --repair m.yaml &&
	qemu-img compare -f raw -F qcow2 one.raw $disk
'
rm -rf target "$PALLETJACK_STATE"

truncate -s 4300M large.raw
printf end | dd of=large.raw bs=1 seek=$((4300 * 1048576 - 3)) conv=notrunc status=none
local_manifest web=large.raw:fast "$local_raw" \
	'retry: {attempts: 1}, proof: xxh3' raw
disk=target/fast/web/disk-0.raw
check_exit 8 'a disk of which nothing is as it was' '
	palletjack run --until verify m.yaml
	perl -e "open(my \$f, q(+<), shift) or die; for (0 .. 4299) {
		sysseek(\$f, \$_ << 20, 0); syswrite(\$f, q(x)) or die }" $disk
	palletjack verify -o json m.yaml >out; rc=$?
	test "$(told 0 .mismatched)" -eq 4300
	exit $rc
'
check 'is repaired throughout' '
	palletjack verify --repair -o json m.yaml >out
	test "$(told 0 .result)" = repaired
	cmp large.raw $disk
	palletjack verify m.yaml
'
rm -rf target "$PALLETJACK_STATE" large.raw

manifest raw ''
disk=target/fast/web/disk-0.raw
palletjack run --until verify m.yaml 2>err || cat err
manifest raw ', deadlines: {wait: 3s}, limits: {bandwidth: 3Mi, bandwidthPerEndpoint: 3Mi}'
check 'a repair may take longer than deadlines.wait, as long as it moves' '
	for block in 0 1 2 3 4 5 6 7 8 9 10 11; do
		printf damaged |
			dd of=$disk bs=1M seek=$block conv=notrunc status=none
	done
	began=$(date +%s%N)
	palletjack verify --repair -o json m.yaml >out 2>err || {
		cat err
		exit 1
	}
	took=$((($(date +%s%N) - began) / 1000000))
	echo "took $took ms"
	test $took -gt 10000
	test "$(told 0 .result)" = repaired
	cmp one.raw $disk
'
rm -rf target "$PALLETJACK_STATE"

# How much of it a run reads back.
checked() {
	palletjack status m.yaml -o json | jq -r --arg key "$1" \
		'.vms[0].steps[] | select(.step == "verify/disk-0").facts[$key]'
}
manifest raw ', verify: sample, verifySample: "99%:8"'
check 'a run draws a sample, and says what it is worth' '
	palletjack run --until verify m.yaml && checked blocks && checked missOne &&
	test "$(checked blocks)" -eq 8 && test "$(checked missOne)" = 0.6
'
manifest raw ', verify: changed'
check 'one that reads what changed reads all that nobody read' '
	palletjack run --redo verify --until verify m.yaml && checked blocks &&
	test "$(checked blocks)" -eq 20
'
touch one.raw
check 'and of the next generation what was copied in it' '
	palletjack run --until verify m.yaml && test "$(checked blocks)" -eq 20 &&
	grep "\"verified\"" "$state/journal" | tail -n 1 | grep "\"generation\":2"
'
rm -rf target "$PALLETJACK_STATE"

# What differs is not forgotten by who looks less closely the next time.
manifest raw ''
check 'a block that differs fails each run, however few the next one would read' '
	palletjack run --until cutover m.yaml
	bend $disk 3000000
	exits 8 palletjack run m.yaml
	manifest raw ", verify: sample, verifySample: 5%"
	for i in 1 2 3; do
		exits 8 palletjack run m.yaml 2>err
	done
	grep "\"key\":\"differs\"" "$state/journal"
'
check 'it says what mends that, the cheaper way first' '
	cat err
	grep "web: to copy what does not match again, as long as the source is as it was: palletjack verify m.yaml --vm web --repair, then: palletjack run m.yaml --vm web; to copy anew all of it: palletjack plan m.yaml --vm web --redo cutover prints" err
'
check 'repaired, all of it is read back, and it goes on' '
	eval "$(sed -n "s/.*was: \(palletjack verify .*\), then: .*/\1/p" err)"
	eval "$(sed -n "s/.*, then: \(palletjack run [^;]*\);.*/\1/p" err)" 2>err || { cat err; exit 1; }
	cmp one.raw $disk
'
rm -rf target "$PALLETJACK_STATE"
manifest raw ', verify: sample, verifySample: 5%'
check 'by itself as it was, all of it is read back, once' '
	palletjack run --until cutover m.yaml
	bend $disk 3000000
	manifest raw ""
	exits 8 palletjack run m.yaml
	bend $disk 3000000
	manifest raw ", verify: sample, verifySample: 5%"
	palletjack run --until verify m.yaml
	test "$(checked blocks)" -eq 20
	palletjack run --redo verify --until verify m.yaml
	test "$(checked blocks)" -eq 1
'
rm -rf target "$PALLETJACK_STATE"
manifest raw ''
check 'what the command finds no run passes over, though it had read all back' '
	palletjack run --until verify m.yaml
	bend $disk 3000000
	exits 8 palletjack verify m.yaml --sample 100%
	palletjack plan m.yaml >plan; cat plan
	grep "verify/disk-0 *resume (verify/disk-0 found that the disk is not what was copied)" plan
	grep "verify/disk-1 *skip" plan
	palletjack status m.yaml -o json | jq -r ".vms[0].doubts | keys[], .[].by" >doubts
	printf "disk-0\nverify/disk-0\n" | cmp_ok - doubts
	exits 8 palletjack run m.yaml
'
check 'not even with a repair that was refused' '
	cp -p one.raw one.kept
	bend one.raw 3000001
	palletjack verify --repair m.yaml && exit 1
	cp -p one.kept one.raw
	exits 8 palletjack run m.yaml --until verify
'
check 'a sample that is as it was copied does not settle that, nor does the source' '
	palletjack verify m.yaml --sample 5%  || :
	palletjack verify m.yaml --against source
	exits 8 palletjack run m.yaml
'
check 'a repair does, and so the disk is right' '
	manifest raw ", verify: none"
	exits 8 palletjack run m.yaml
	palletjack verify --repair m.yaml
	grep "\"key\":\"agrees\"" "$state/journal"
	palletjack run m.yaml 2>err || { cat err; exit 1; }
	cmp one.raw $disk
'
rm -rf target "$PALLETJACK_STATE"
manifest raw ''
check 'or reading all of it, if it is right by itself' '
	palletjack run --until verify m.yaml
	bend $disk 3000000
	exits 8 palletjack verify m.yaml
	bend $disk 3000000
	manifest raw ", verify: none"
	palletjack verify m.yaml --since 1
	palletjack verify m.yaml --sample 30%
	exits 8 palletjack run m.yaml
	palletjack verify m.yaml
	palletjack run m.yaml 2>err || { cat err; exit 1; }
	cmp one.raw $disk
'
rm -rf target "$PALLETJACK_STATE"
manifest raw ''
check 'where nothing is read back any more, nothing is made of it' '
	palletjack run --until cutover m.yaml
	bend $disk 3000000
	exits 8 palletjack run m.yaml
	manifest raw ", verify: none"
	exits 8 palletjack run m.yaml 2>err || { cat err; exit 1; }
	grep "create-vm: verify/disk-0 found that .disk-0. is not what was copied" err
	grep "web: to copy what .* --repair, then: .*; to copy anew all of it: .* --redo cutover" err
'
check 'until it is copied anew' '
	digest=$(palletjack plan m.yaml --redo cutover -o json | jq -r .digest)
	palletjack run m.yaml --redo cutover --accept "$digest" 2>err || { cat err; exit 1; }
	cmp one.raw $disk
'
rm -rf target "$PALLETJACK_STATE"

manifest raw ', proof: none, verify: none'
check_exit 3 'without a proof there is nothing to compare' '
	palletjack run --until cutover m.yaml && palletjack verify m.yaml
'
test_end
