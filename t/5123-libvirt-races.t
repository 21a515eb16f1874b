#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Somebody starts the source while its target is about to be started, or was:
# the guest never runs on both sides.  Each QEMU tells when its processors begin
# to run and when they cease.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
. "${0%/*}/local.sh"
. "${0%/*}/virt.sh"
test_begin 'source and target never run at once, whoever starts the source'
virt_needs
requires_fault

real_qemu=$(command -v qemu-system-x86_64)
"$real_qemu" -trace help | grep -q '^vm_state_notify' ||
	skip_all 'this QEMU does not trace what its processors do'
# emulator SIDE ARGUMENTS: it tells when it is called with these
emulator() {
	cat <<EOF
#!/bin/sh
case "\$*" in
*$2*) ;;
*) exec "$real_qemu" "\$@" ;;
esac
test $1 = source || test ! -e "$PWD/inject" || {
	rm "$PWD/inject"
	virsh -q -c qemu:///session start web >"$PWD/injected" 2>&1
}
exec "$real_qemu" "\$@" -msg timestamp=on -trace vm_state_notify -D "$PWD/says.$1.\$\$"
EOF
}
mkdir bin
emulator source guest=web >bin/source
emulator target target/ >bin/qemu-system-x86_64
chmod +x bin/*
PATH=$PWD/bin:$PATH

# How many times a side's processors began to run.
ran() {
	cat says."$1".* 2>/dev/null | grep -c 'vm_state_notify running 1'
}
never_both() {
	for says in says.*; do
		sed -n "s/^[0-9]*@\([0-9.]*\):vm_state_notify running \([01]\).*/\1 \2 ${says#says.}/p" \
			"$says"
	done | sort -n >times
	cat times
	awk '
		$2 == 1 { runs[$3] = 1 }
		$2 == 0 { delete runs[$3] }
		{ n = 0; for (who in runs) n++; if (n > 1) both = 1 }
		END { exit both }
	' times
}
target_is_off() {
	flock -n target/web/running.lock true
}
target_ends() {
	test ! -e target/web/qemu.pid ||
		kill -KILL "$(cat target/web/qemu.pid)" || :
}
at_end target_ends

# web POLICY: a domain that runs, and its plan
web() {
	target_ends
	rm -f says.* inject injected
	web_is_made
	virt destroy web
	virt dumpxml --inactive web >made.xml
	sed "s,<emulator>.*<,<emulator>$PWD/bin/source<," made.xml >own.xml
	virt define own.xml
	virt start web
	warm_manifest "$warm_quick, onFailure: hold"
	sed -i "s/targetPowerState: .*/targetPowerState: auto/
		s/hardPowerOff: always/&${1:+, $1}/" m.yaml
}
virt_start
at_end web_is_gone
web_is_made || {
	cat libvirtd.log
	skip_all 'libvirtd has no qemu here'
}

check 'undisturbed, one runs after the other' '
	web
	run 0 --cutover now
	never_both
	test "$(ran source)" -ge 1
	test "$(ran target)" = 1
	refute target_is_off
'
check 'and if both did, that would be seen' '
	virt start web
	test "$(ran source)" -ge 2
	refute never_both
'
check 'a restarted daemon starts none' '
	web
	virt autostart web
	run 0 --cutover now
	kill -KILL "$(cat "$XDG_RUNTIME_DIR/libvirt/libvirtd.pid")"
	# as after a boot
	find "$XDG_RUNTIME_DIR/libvirt" -name "autostarted" -delete
	libvirtd --timeout=60 >>libvirtd.log 2>&1 &
	at_end "end_process $!"
	within 30 env LIBVIRT_AUTOSTART=0 virsh -q -c qemu:///session list
	test "$(virt domstate web)" = "shut off"
	never_both
	refute target_is_off
'
check 'the source is started between the look at it and the start' '
	web
	touch inject
	run 6 --cutover now
	cat injected err
	grep "the source .web. runs: the target must not run beside it" err
	test "$(virt domstate web)" = running
	test "$(ran source)" -ge 2
	target_is_off
	never_both
	test "$(ran target)" = 0
'
check 'the next run does not start it either' '
	run 6
	cat err
	test "$(virt domstate web)" = running
	target_is_off
	test "$(ran target)" = 0
	never_both
'
check 'a start that was killed counts, also where nothing is seen of it' '
	web
	sed -i "s/onFailure: hold/onFailure: restart-source/" m.yaml
	exits 137 with_fault FAULT_PROGRAM=palletjack FAULT_FILE=journal \
		FAULT_WHEN=before FAULT_MATCH="\"result\",\"step\":\"start\"" \
		palletjack run m.yaml --cutover now
	within 30 test -e target/web/qemu.pid
	mv target target.away # as where it is not mounted
	palletjack run m.yaml >out 2>err || echo "exit status $?"
	mv target.away target
	cat out err
	refute target_is_off
	test "$(virt domstate web)" = "shut off"
	never_both
	test "$(ran target)" = 1
'
check 'killed behind the start, and the source is started' '
	web
	exits 137 with_fault FAULT_PROGRAM=palletjack FAULT_FILE=journal \
		FAULT_WHEN=before FAULT_MATCH="\"result\",\"step\":\"start\"" \
		palletjack run m.yaml --cutover now
	within 30 test -e target/web/qemu.pid
	kill -KILL "$(cat target/web/qemu.pid)"
	within 30 target_is_off
	virt start web
	run 6
	cat err
	target_is_off
	test "$(ran target)" = 1
'
# off_at_first: and started behind its first cutover
off_at_first() {
	web
	sed -i "/^  type: warm/d" m.yaml
	virt destroy web
	run 0 --until verify
	test "$(fact web cutover power)" = off
	virt start web
	guest a.qcow2 "write -P 7 6M 64k"
}
check 'off at its first cutover, started before the next: it ran, so its target does' '
	off_at_first
	run 0
	test "$(fact web cutover power)" = on
	test "$(virt domstate web)" = "shut off"
	refute target_is_off
	never_both
	qemu-io -f raw -c "read -P 7 6M 64k" -r -U target/fast/web/disk-vda.raw
'
check 'and is given back when that fails' '
	off_at_first
	sed -i "s/onFailure: hold/bootTest: once, bootProbe: {serial: never}, deadlines: {bootTest: 5s}/" m.yaml
	run 6
	grep "the source runs again" err
	test "$(virt domstate web)" = running
	target_is_off
'
check 'with its name, it is not there to be started' '
	web "fence: rename"
	run 7
	virt checkpoint-list web --name | grep palletjack-
	run 0 --cutover now
	refute virt start web
	refute target_is_off
	never_both
	virt undefine web.moved-by-palletjack --checkpoints-metadata
'
check 'two state directories: one moves it, the other is refused' '
	web
	palletjack run m.yaml --cutover now 2>one & one=$!
	palletjack --state "$PWD/other" run m.yaml --cutover now 2>two & two=$!
	first=0
	wait $one || first=$?
	second=0
	wait $two || second=$?
	cat one two
	echo "$first $second" >statuses
	grep "^0 4$\|^4 0$" statuses
	never_both
	test "$(ran target)" = 1
	test "$(virt domstate web)" = "shut off"
'
test_end
