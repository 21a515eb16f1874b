#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A libvirtd that is asked by TLS: its domains are listed, and their disks read
# by ssh from where settings.diskHost says.
. "${0%/*}/lib.sh"
. "${0%/*}/local.sh"
. "${0%/*}/virt.sh"
. "${0%/*}/ssh.sh"
test_begin 'domains of a daemon behind TLS are moved'
virt_needs
ssh_needs
requires openssl version

# signed NAME SUBJECT EXTENSION
signed() {
	openssl req -newkey rsa:2048 -nodes -keyout "$1key.pem" -subj "$2" \
		-out "$1.csr" &&
		echo "$3" >"$1.ext" &&
		openssl x509 -req -in "$1.csr" -CA cacert.pem -CAkey cakey.pem \
			-set_serial 2 -days 2 -extfile "$1.ext" -out "$1cert.pem"
}
mkdir pki
(cd pki && openssl req -x509 -newkey rsa:2048 -nodes -keyout cakey.pem \
	-subj /CN=authority -days 2 -out cacert.pem &&
	signed server /CN=127.0.0.1 subjectAltName=IP:127.0.0.1 &&
	signed client /CN=client keyUsage=digitalSignature) >openssl.log 2>&1 ||
	skip_all 'openssl makes no certificates here'
tls_port=$(port_by_lot)
cat >"$XDG_CONFIG_HOME/libvirt/libvirtd.conf" <<EOF
listen_tls = 1
listen_tcp = 0
listen_addr = "127.0.0.1"
tls_port = "$tls_port"
auth_tls = "none"
ca_file = "$PWD/pki/cacert.pem"
cert_file = "$PWD/pki/servercert.pem"
key_file = "$PWD/pki/serverkey.pem"
EOF
virt_start --listen
ssh_start
at_end web_is_gone
tls_url="qemu+tls://127.0.0.1:$tls_port/session?pkipath=$PWD/pki"
virsh -c "$tls_url" list >tls.log 2>&1 || {
	cat libvirtd.log tls.log
	skip_all 'libvirtd does not listen with TLS here'
}
web_is_made || {
	cat libvirtd.log
	skip_all 'libvirtd has no qemu here'
}

check 'where no ssh gets in, its disks say so, and what may be set' '
	virt_source="{type: libvirt, url: \"$tls_url\", settings: {diskHost: \"nobody@127.0.0.1:1\"}}"
	warm_manifest "$warm_quick"
	run 3 >said
	cat said
	grep "disk .vda.: .$PWD/a.qcow2. is on .*not read.*settings.diskHost of Endpoint t/source" said
	grep "disk .vdb.: .*Connection refused" said
'
virt_source="{type: libvirt, url: \"$tls_url\", settings: {diskHost: \"ssh://$ssh_at?$ssh_parameters\"}}"
check 'with settings.diskHost it is moved while it runs' '
	warm_manifest "$warm_quick"
	run 7
	guest a.qcow2 "write -P 3 1M 256k"
	run 0 --cutover now
	test "$(fact web cutover/disk-vda pass)" = changed
	same
	nothing_left
'
check 'who answers by another key than the authority signed is not talked to' '
	mkdir other
	cp pki/client*.pem other
	openssl req -x509 -newkey rsa:2048 -nodes -keyout other/cakey.pem \
		-subj /CN=other -days 2 -out other/cacert.pem
	sed "s,pkipath=$PWD/pki,pkipath=$PWD/other," m.yaml >n.yaml
	rm -rf "$PALLETJACK_STATE"
	refute palletjack run n.yaml 2>err
	cat err
	grep "libvirt says: .*certificate" err
'
test_end
