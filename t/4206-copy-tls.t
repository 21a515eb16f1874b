#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Servers that are reached by TLS, as source and as target, by a shared key and
# by certificates; also such as want to see one of ours.
. "${0%/*}/lib.sh"
test_begin 'TLS on both sides, and nobody passes for another'
requires jq
requires nbdkit --version
nbdkit --dump-config | grep -q '^tls=yes' || skip_all 'nbdkit has no TLS'

head -c 3000000 /dev/urandom >src
truncate -s 5M src
dd if=/dev/urandom of=src bs=1M seek=4 count=1 conv=notrunc status=none
: >dst && truncate -s 5M dst

# serve_tls NAME ARG...: sets $port.
serve_tls() {
	serve_name=$1
	shift
	port=$(port_by_lot)
	nbdkit -f -p "$port" -i 127.0.0.1 --tls=require "$@" 2>"$serve_name.log" &
	at_end "end_process $!"
	within 20 answers
}
answers() {
	grep -qi ":$(printf %04x "$port") 00000000:0000 0A" /proc/net/tcp
}
empty() {
	rm -f dst && truncate -s 5M dst
}
# Refused, with nothing written.
untouched() {
	cmp -n 5242880 dst /dev/zero
}

secret=00112233445566778899aabbccddeeff
printf 'alice:%s\n' $secret >psk
printf 'alice:%s\n' ffeeddccbbaa99887766554433221100 >wrong
serve_tls psk --tls-psk="$PWD/psk" file src
by_psk="nbds://alice@127.0.0.1:$port/?tls-psk-file=$PWD"
check 'a source by a key that both have' '
	palletjack copy "$by_psk/psk" tls.raw; cmp src tls.raw
'
check 'a key that differs opens nothing, and no message shows it' '
	exits 5 palletjack copy "$by_psk/wrong" no.raw 2>err; cat err
	refute grep -qi ffeeddccbb err
'
check 'nor does none, nor one that is not asked for TLS' '
	exits 2 palletjack copy "nbds://alice@127.0.0.1:'$port'" no.raw 2>err; cat err
	exits 5 palletjack copy "nbd://127.0.0.1:'$port'" no.raw 2>err; cat err
'
serve_tls psk-to --tls-psk="$PWD/psk" file dst
to_psk="nbds://alice@127.0.0.1:$port/?tls-psk-file=$PWD"
check 'a target by a key, with a ledger, and again' '
	palletjack copy --ledger l.psk "$by_psk/psk" "$to_psk/psk"; cmp src dst
	palletjack copy -o json --ledger l.psk "$by_psk/psk" "$to_psk/psk" >out
	cat out; test "$(jq .read out)" -eq 0; test "$(jq .skipped out)" -eq 5242880
'
check 'a target that does not know the key is not written to' '
	empty; exits 5 palletjack copy src "$to_psk/wrong" 2>err; cat err
	untouched; refute grep -qi ffeeddccbb err
	exits 5 palletjack copy src "nbd://127.0.0.1:'$port'" 2>err; cat err
	untouched
'
check 'the ledger and what is printed show no key' '
	palletjack copy -o json --ledger l.shown src "$to_psk/psk" >out 2>err
	cmp src dst; refute grep -q $secret l.shown out err l.psk
'

command -v openssl >/dev/null || {
	skip 'openssl is not installed' 'certificates'
	test_end
	exit
}
# authority NAME
authority() {
	mkdir -p "$1"
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$1" \
		-addext basicConstraints=critical,CA:TRUE \
		-keyout "$1/ca-key.pem" -out "$1/ca-cert.pem" 2>/dev/null
}
# certify AUTHORITY DIRECTORY ROLE [NAME]: into it, beside the authority's own.
certify() {
	mkdir -p "$2"
	cp "$1/ca-cert.pem" "$2"
	openssl req -newkey rsa:2048 -nodes -subj "/CN=${4:-localhost}" \
		-keyout "$2/$3-key.pem" -out "$2/req" 2>/dev/null
	echo "subjectAltName=DNS:${4:-localhost}" >"$2/ext"
	openssl x509 -req -in "$2/req" -CA "$1/ca-cert.pem" \
		-CAkey "$1/ca-key.pem" -CAcreateserial -days 2 \
		-extfile "$2/ext" -out "$2/$3-cert.pem" 2>/dev/null
}
authority ours
authority theirs
certify ours server server
certify ours client client
# signed by one the server does not know, which still believes the server
certify theirs stranger client
cp ours/ca-cert.pem stranger/ca-cert.pem
mkdir bare && cp ours/ca-cert.pem bare

serve_tls x509 --tls-certificates="$PWD/server" file src
from="nbds://localhost:$port/?tls-certificates=$PWD"
check 'a source by its certificate' '
	palletjack copy "$from/bare" x.raw; cmp src x.raw
'
check_exit 5 'that another authority vouches for is not believed' '
	palletjack copy "$from/theirs" y.raw
'
check 'nor is one that nobody vouches for' '
	for where in "" "/?tls-certificates=$PWD/nowhere" \
		"/?tls-certificates=$PWD/bare;tls-certificates=$PWD/%62are/no" \
		"/?#&tls-certificates=$PWD/bare"; do
		exits 2 palletjack copy "${from%/\?*}$where" y.raw 2>err
		cat err
		grep "nobody vouches for the server" err
		refute test -e y.raw
	done
	palletjack copy "$from/%62are" y.raw
	cmp src y.raw
'
serve_tls x509-to --tls-certificates="$PWD/server" file dst
to="nbds://localhost:$port/?tls-certificates=$PWD"
check 'a target by its certificate' '
	empty; palletjack copy --ledger l.x src "$to/bare"; cmp src dst
'
check 'nor is such a target, and nothing is written to it' '
	empty; exits 5 palletjack copy src "$to/theirs" 2>err; cat err; untouched
'
certify ours elsewhere server elsewhere
serve_tls x509-other --tls-certificates="$PWD/elsewhere" file dst
check 'nor one whose certificate is of another name' '
	exits 5 palletjack copy src \
		"nbds://localhost:$port/?tls-certificates=$PWD/bare" 2>err
	cat err; grep -qi certificate err; untouched
'

# Servers that want to see who comes.
serve_tls mutual --tls-verify-peer --tls-certificates="$PWD/server" file src
from="nbds://localhost:$port/?tls-certificates=$PWD"
serve_tls mutual-to --tls-verify-peer --tls-certificates="$PWD/server" file dst
to="nbds://localhost:$port/?tls-certificates=$PWD"
check 'who shows a certificate of theirs is let in, on both sides' '
	empty; palletjack copy --ledger l.both "$from/client" "$to/client"
	cmp src dst
'
for who in bare stranger; do
	check "$who is not let in" '
		empty; exits 5 palletjack copy "$from/'$who'" z.raw 2>err; cat err
		exits 5 palletjack copy src "$to/'$who'" 2>err; cat err
		untouched
	'
done
check 'and what was copied is verified by the same way' '
	rm -f l.both
	palletjack copy --ledger l.both "$from/client" "$to/client"
	printf changed | dd of=dst bs=1 seek=5000 conv=notrunc status=none
	exits 8 palletjack copy --ledger l.both "$from/client" "$to/client" 2>err
	cat err; grep -q "block 0 " err
	palletjack copy --recheck --ledger l.both "$from/client" "$to/client"
	cmp src dst
'
test_end
