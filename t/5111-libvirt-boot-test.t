#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Domains of a real libvirtd, rehearsed while they run: QEMU really boots their
# generations, and what was copied is not changed by that.  What fails behind
# the cutover costs nothing but the attempt.
. "${0%/*}/lib.sh"
. "${0%/*}/local.sh"
. "${0%/*}/virt.sh"
. "${0%/*}/bootsector.sh"
test_begin 'generations of a running domain are booted, and a failure costs nothing'
virt_needs

state=$PALLETJACK_STATE/t/p/web
# warm PLAN POLICY
warm() {
	manifest "{name: web}" "precopy: {interval: 1ms}, cutover: {hardPowerOff: fallback}, deadlines: {shutdown: 1s, bootTest: 1m}, $2"
	sed -i "s/^  targetNamespace: .*/&\n  type: warm/
		s/^  skipGuestConversion: true/  skipGuestConversion: $1/" m.yaml
}
# guest COMMAND: its disk is written, as if by itself
guest() {
	device=$(virt qemu-monitor-command web '{"execute": "query-block"}' |
		jq -r '.return[] | select(.inserted.file | endswith("/a.qcow2")?).qdev')
	virt qemu-monitor-command web --hmp "qemu-io -d $device \"$1\"" >io
	cat io
	refute grep -qi "error\|conflict" io
}
running() {
	test "$(virt domstate web)" = running
}
# The disk is, read back, what the ledger says, and the root is that of the step.
unchanged() { # STEP
	palletjack verify m.yaml --vm web -o json >verified
	jq -r ".vms[0].disks[0] | .root, .result" verified | tee got
	printf "%s\nsame\n" "$(fact web "$1" root)" | cmp_ok - got
}
begins() {
	grep -c "\"type\":\"intent\",\"step\":\"$1\"" "$state/journal"
}

qemu-img create -q -f qcow2 a.qcow2 64M
qemu-io -f qcow2 -c 'write -q -P 2 40M 3M' a.qcow2
virt_start
define web "$(disk vda qcow2 a.qcow2)" || {
	cat libvirtd.log
	skip_all 'libvirtd has no qemu here'
}
virt start web
at_end 'virt destroy web'
bootsector GUEST-UP >up.bin

# In raw copy mode.
every="bootTest: every-generation, bootProbe: {serial: GUEST-UP}"
warm true "$every"
check 'a disk without a boot loader: it would not boot, and the source runs on' '
	exits 6 palletjack run m.yaml --cutover now 2>err; cat err
	grep "no cutover before a boot test passes: that of generation 1 failed: .*ot.* boot" err
	running
	fact web precopy-boot-test .
'
check 'what was copied is unchanged, and its console and screen are kept' '
	unchanged precopy/disk-vda
	test "$(fact web precopy-boot-test "roots[\"disk-vda\"]")" = "$(jq -r ".vms[0].disks[0].root" verified)"
	grep -a "bootable" "$(fact web precopy-boot-test console)"
	head -c 8 "$(fact web precopy-boot-test screen)" | grep -a PNG
	find target -name "rehearsal*" | refute grep .
'
check 'once the guest has one, the next generation is a delta, and passes' '
	guest "write -s $PWD/up.bin 0 512"
	exits 7 palletjack run m.yaml --cutover never
	test "$(fact web precopy/disk-vda pass)" = changed
	test "$(fact web precopy/disk-vda changed)" -le 131072
	test "$(fact web precopy-boot-test result)" = passed
	unchanged precopy/disk-vda
	running
'
check 'a script types on its console' '
	cat >look.lua <<END
need(expect("GUEST%-UP", 30), "it is not up")
send("are you there?\n")
need(expect("are you there%?", 20), "it does not answer")
END
	warm true "bootTest: every-generation, bootProbe: {script: look}"
	cat >>m.yaml <<END
---
apiVersion: palletjack.io/v1alpha1
kind: Script
metadata: {name: look, namespace: t}
spec: {file: look.lua}
END
	exits 7 palletjack run m.yaml --cutover never 2>err || { cat err; exit 1; }
	test "$(fact web precopy-boot-test result)" = passed
	grep -a "are you there" "$(fact web precopy-boot-test console)"
'
check 'killed while it boots one, the next run ends that and boots it again' '
	warm true "bootTest: every-generation, bootProbe: {serial: never}"
	palletjack run m.yaml 2>err & run=$!
	within 60 grep -q "type.:.intent.,.step.:.precopy-boot-test.*generation.:4" "$state/journal"
	within 60 sh -c "grep -aq GUEST-UP $state/log/precopy-boot-test.*.console.log"
	kill -KILL $run; wait $run || true
	warm true "$every"
	exits 7 palletjack run m.yaml --cutover never
	test "$(fact web precopy-boot-test result)" = passed
	refute pgrep -f "$PWD/target/.*rehearsal"
	running
'

# Whoever boots it writes below the overlay, and hides that from a look at the
# file: QEMU, but for that.
check 'a replica that is written meanwhile, and looks as it did: refused' '
	mkdir bin
	cat >bin/qemu-system-x86_64 <<END
#!/bin/sh
replica=$PWD/target/fast/web/disk-vda.raw
case "\$*" in
*rehearsal*)
	if test -e "$PWD/tamper"; then
		rm "$PWD/tamper"
		touch -r "\$replica" "$PWD/stamp"
		printf x | dd of="\$replica" bs=1 seek=$((50 << 20)) conv=notrunc,fsync
		touch -r "$PWD/stamp" "\$replica"
	fi ;;
esac
PATH=$PATH exec qemu-system-x86_64 "\$@"
END
	chmod +x bin/qemu-system-x86_64
	touch tamper
	warm true "$every"
	exits 8 env PATH="$PWD/bin:$PATH" palletjack run m.yaml --cutover never 2>err || { cat err; exit 1; }
	cat err
	test ! -e tamper
	grep "disk-vda.raw., which was rehearsed, is not what was copied (.palletjack verify. says what differs" err
	grep "to copy anew what does not match: palletjack plan m.yaml --vm web --redo precopy prints a digest" err
	digest=$(palletjack plan m.yaml --redo precopy -o json | jq -r .digest)
	exits 7 palletjack run m.yaml --redo precopy --accept "$digest" --cutover never 2>err || { cat err; exit 1; }
	grep "precopy/disk-vda .*it was asked for anew: all of the disk was copied" err
	unchanged precopy/disk-vda
	exits 7 palletjack run m.yaml --cutover never
	test "$(fact web precopy-boot-test sampled)" -eq 64
	running
'

# A boot test behind the cutover.
check 'a boot test that fails at the cutover: the source is given back' '
	warm true "bootTest: once, bootProbe: {serial: never, inconclusive: hold}"
	sed -i "s/bootTest: 1m/bootTest: 20s/" m.yaml
	exits 6 palletjack run m.yaml --cutover now 2>err; cat err
	grep "boot test inconclusive: .never. did not come in time" err
	grep "the source runs again" err
	running
'
check 'nothing of it is left, the replica is whole, a checkpoint is kept' '
	find target -name "*.qcow2" -o -name "bt.*" -o -name "ov.*" | refute grep .
	unchanged cutover/disk-vda
	test "$(virt checkpoint-list web --name | grep -c palletjack)" = 1
'
check 'the next generation is a delta' '
	guest "write -P 7 30M 64k"
	warm true "$every"
	exits 7 palletjack run m.yaml --cutover never
	test "$(fact web precopy/disk-vda pass)" = changed
	test "$(fact web precopy/disk-vda read)" -le $((2 << 20))
	test "$(fact web precopy-boot-test result)" = passed
	running
'

# A conversion behind the cutover: pretended, libvirt and the disks are not.
check 'a conversion that fails at the cutover: likewise' '
	pretend_conversion "write -P 9 50M 64k" "write 1T 64k"
	warm false "bootTest: off"
	exits 6 palletjack run m.yaml --cutover now 2>err; cat err
	test "$(begins convert)" -ge 1
	grep "the source runs again" err
	running
	find target -name "*.qcow2" | refute grep .
	unchanged cutover/disk-vda
	guest "write -P 8 31M 64k"
	exits 7 palletjack run m.yaml --cutover never
	test "$(fact web precopy/disk-vda pass)" = changed
	test "$(fact web precopy/disk-vda read)" -le $((2 << 20))
'
check 'converted, then the boot test fails: that conversion is thrown away' '
	pretend_conversion "write -P 9 50M 64k"
	warm false "bootTest: once, bootProbe: {serial: never}"
	sed -i "s/bootTest: 1m/bootTest: 20s/" m.yaml
	exits 6 palletjack run m.yaml --cutover now 2>err; cat err
	grep "boot test inconclusive: .never. did not come in time" err
	grep "the source runs again" err
	running
	find target -name "*.qcow2" -o -name "ov.*" | refute grep .
	grep "\"step\":\"undo/cutover\",\"key\":\"void\",\"value\":\"convert\"" "$state/journal"
	unchanged cutover/disk-vda
	wc -l <conversions >before
'
check 'and made anew by the next cutover' '
	pretend_conversion "write -P 9 50M 64k"
	guest "write -P 6 33M 64k"
	exits 6 palletjack run m.yaml --cutover now 2>err; cat err
	running
	test "$(wc -l <conversions)" -eq $(($(cat before) + 1))
'
check 'one that is written while it is converted: refused, now and later' '
	pretend_conversion "write -P 9 50M 64k"
	cat >>bin/virt-v2v-in-place <<END
if test -e "$PWD/bend"; then
	rm "$PWD/bend"
	printf x | dd of="$PWD/target/fast/web/disk-vda.raw" bs=1 seek=$((52 << 20)) conv=notrunc,fsync
fi
END
	touch bend
	warm false "$every"
	sed -i "s/interval: 1ms/interval: 1h/" m.yaml
	exits 8 palletjack run m.yaml --cutover never 2>err || { cat err; exit 1; }
	grep "precopy-convert .*was written while it was rehearsed" err
	test ! -e bend
	find target -name "rehearsal*" | refute grep .
	exits 8 palletjack run m.yaml --cutover never 2>err || { cat err; exit 1; }
	grep "precopy-verify/disk-vda .*1 of 64 blocks differ" err
'
check 'nor is the next generation cut over, though all it copied is right' '
	warm false "$every"
	exits 8 palletjack run m.yaml --cutover now 2>err || { cat err; exit 1; }
	grep "precopy-verify/disk-vda .*1 of 64 blocks differ" err
	test "$(fact web precopy/disk-vda pass)" = changed
	running
'
check 'until all of it is copied anew' '
	pretend_conversion "write -P 9 50M 64k"
	digest=$(palletjack plan m.yaml --redo precopy -o json | jq -r .digest)
	exits 7 palletjack run m.yaml --redo precopy --accept "$digest" --cutover never 2>err || { cat err; exit 1; }
	test "$(fact web precopy-boot-test result)" = passed
	unchanged precopy/disk-vda
	running
'
check 'a generation that cannot be converted holds the cutover, too' '
	pretend_conversion "write 1T 64k"
	warm false "$every"
	exits 6 palletjack run m.yaml --cutover now 2>err; cat err
	grep "failed: it cannot be converted" err
	running
'
check 'the next one that can be is cut over, with its own conversion' '
	pretend_conversion "write -P 9 50M 64k"
	warm false "$every"
	palletjack run m.yaml --cutover now 2>err || { cat err; exit 1; }
	cat err
	test "$(virt domstate web)" = "shut off"
	test "$(fact web precopy-convert result)" = converted
	test "$(fact web boot-test result)" = passed
	qemu-img convert -O raw a.qcow2 a.raw
	converted a.raw want.raw
	cmp target/fast/web/disk-vda.raw want.raw
'
test_end
