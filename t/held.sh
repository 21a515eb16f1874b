# SPDX-License-Identifier: Apache-2.0
# Servers that hold answers back until they are let go, so that what is struck in
# between is known to be under way.  $size is that of the file src.
# shellcheck disable=SC2154

# serve NAME ARG...: nbdkit on the socket NAME.sock; sets $server
serve() {
	serve_name=$1
	shift
	rm -f "$serve_name.sock"
	nbdkit -f -t 1 -U "$PWD/$serve_name.sock" "$@" 2>"$serve_name.log" &
	server=$!
	at_end "kill -CONT $server; end_process $server"
	within 20 test -S "$serve_name.sock"
}
uri() {
	echo "nbd+unix:///?socket=$PWD/$1.sock"
}
# The shell program of an eval plugin's pread: from src.
pread="dd if=$PWD/src skip=\$4 count=\$3 iflag=count_bytes,skip_bytes status=none"
# held_back WHICH [ARG...]: src as st, but for the bytes that WHICH says of; what
# it was asked for is in the file asked
held_back() {
	echo "$1" >hold
	shift
	: >asked
	serve st --threads 16 eval thread_model="echo parallel" \
		get_size="echo $size" \
		pread="echo \$4 >>$PWD/asked
			while test \$4 \$(cat $PWD/hold 2>/dev/null || echo -lt 0)
			do sleep 0.1; done
			$pread" "$@"
}
let_go() {
	rm -f hold
}
