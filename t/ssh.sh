# SPDX-License-Identifier: Apache-2.0
# An sshd of the test's own, on the loopback device, as an ordinary user: its
# keys and its configuration are the test's, and it lets in nobody but the user
# who runs it, by the test's key.
# shellcheck disable=SC2034,SC2046 # Numbers are words here.

# ssh_needs: after test_begin
ssh_needs() {
	PATH=$PATH:/usr/sbin
	requires pgrep --version
	requires sshd
	requires ssh -V
	requires ssh-keygen
	ssh_shim=${PALLETJACK%/*}/t/passwd.so
	test -e "$ssh_shim" ||
		skip_all "t/passwd.so is not built: run make check"
}

sshd_conf() { # PORT
	cat <<EOF
ListenAddress 127.0.0.1:$1
HostKey $PWD/ssh/host
AuthorizedKeysFile $PWD/ssh/authorized
PidFile $PWD/ssh/pid
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 100
SetEnv XDG_RUNTIME_DIR=$XDG_RUNTIME_DIR LIBVIRT_AUTOSTART=0
EOF
}
sshd_has_begun() {
	test -s ssh/pid || grep -q 'Cannot bind' ssh/log
}
sshd_begin() {
	rm -f ssh/pid
	sshd_conf "$ssh_port" >ssh/sshd_config
	LD_PRELOAD=$ssh_shim PASSWD_SHELL=/bin/sh PASSWD_HOME=$HOME \
		"$(command -v sshd)" -D -e -f "$PWD/ssh/sshd_config" \
		>>ssh/log 2>&1 &
	within 10 sshd_has_begun && test -s ssh/pid
}
# It listens at $ssh_port, and $ssh_url is the session's daemon behind it.
ssh_start() {
	mkdir -p ssh bin
	ssh-keygen -q -t ed25519 -N '' -f ssh/host
	ssh-keygen -q -t ed25519 -N '' -f ssh/key
	cp ssh/key.pub ssh/authorized
	ssh_port=$(port_by_lot)
	sshd_begin || {
		cat ssh/log
		skip_all 'sshd does not start here'
	}
	at_end ssh_stop
	ssh_knows
	ssh_at=$(id -un)@127.0.0.1:$ssh_port
	ssh_parameters="keyfile=$PWD/ssh/key&command=$PWD/bin/ssh"
	ssh_url="qemu+ssh://$ssh_at/session?$ssh_parameters"
	# it looks into the home that the machine's user database says
	cat >bin/ssh <<EOF
#!/bin/sh
exec ssh -F none -oUserKnownHostsFile="$PWD/ssh/known" \\
	-oGlobalKnownHostsFile=none "\$@"
EOF
	chmod +x bin/ssh
}
ssh_knows() {
	sed "s/^/[127.0.0.1]:$ssh_port /" ssh/host.pub >ssh/known
}
# Those who serve a connection, two each; what they run is not theirs.
ssh_serving() {
	pgrep -P "$(cat ssh/pid)" | while read -r ssh_one; do
		echo "$ssh_one"
		pgrep -P "$ssh_one" -f '^sshd: ' || :
	done || :
}
# All connections break; new ones are taken.
ssh_cut() {
	ssh_serving >ssh/serving
	test -s ssh/serving
	kill -KILL $(cat ssh/serving) || :
}
ssh_stop() {
	ssh_serving >ssh/serving
	kill -KILL "$(cat ssh/pid)" $(cat ssh/serving)
}
