#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Servers that lose what was not flushed, while palletjack copies to them:
# together with the ledger's own unsynced writes, or alone, or because a flush
# failed once and all later ones succeed.  The ledger must tell the truth each
# time and no more than two checkpoints are done again; qemu-img has the last
# word.  The server is t/nbdkit_cut.c, a plugin of ours.
# SEED repeats a history (threads still race), ROUNDS is the number of faults
# of each kind.
. "${0%/*}/lib.sh"
test_begin 'what a server lost is known to be lost'
requires jq
requires qemu-img --version
requires qemu-nbd --version
requires nbdkit --version
build=${PALLETJACK%/*}/t
for tool in nbdkit_cut.so cut.so fault.so strike ledger_says; do
	test -e "$build/$tool" ||
		skip_all "$build/$tool is not built: install nbdkit-plugin-dev and run make units"
done

seed=${SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
wanted=$(rounds 4)
echo "# SEED=$seed ROUNDS=$wanted"

# 12 MiB but for some sectors: data, holes, zeroes that are written down.
size=12581376
head -c $size /dev/urandom >src
for hole in 2 3 7; do
	fallocate -p -o $((hole * 1048576)) -l 1048576 src 2>/dev/null || :
done
dd if=/dev/zero of=src bs=1M seek=5 count=1 conv=notrunc status=none
qemu-nbd -f raw -r -t -e 9 -k "$PWD/from.sock" src 2>from.log &
at_end "end_process $!"
within 20 test -S from.sock

roll() {
	read -r die <&3
	rolled=$((die % $1))
}
# serve ARG...: a server for the medium; sets $server
serve() {
	rm -f to.sock
	roll 1000000000
	nbdkit -f -U "$PWD/to.sock" "$build/nbdkit_cut.so" file="$PWD/medium" \
		seed="$rolled" "$@" 2>server.log &
	server=$!
	within 20 test -S to.sock
}
# power_off: of the server; it may be dead already
power_off() {
	kill "$server" 2>/dev/null || :
	wait "$server" || :
}
# life AT: a copy whose power goes then
life() {
	rm -rf snap
	cp -a world snap
	find world -printf '%y %i %P\n' >snap.list
	"$build/strike" begin record
	: >log
	env LD_PRELOAD="$build/cut.so:$build/fault.so" \
		ASAN_OPTIONS=verify_asan_link_order=0 \
		CUT_DIR="$PWD/world" CUT_RECORD="$PWD/record" CUT_AT="$1" \
		FAULT_OPS=nbd-read FAULT_LOG="$PWD/log" \
		flock record.lock palletjack copy --quiet -o json \
		--checkpoint "${checkpoint}Mi" --proof "$proof" \
		--ledger world/ledger \
		"nbd+unix:///?socket=$PWD/from.sock" \
		"nbd+unix:///?socket=$PWD/to.sock" >out 2>err
}
# strike: what the copy's own machine loses
strike() {
	roll 1000000000
	within 20 flock -n record.lock true &&
		"$build/strike" end record snap "$rolled" world
}
truth() {
	"$build/ledger_says" world/ledger medium src durable.now >said || {
		cat said
		return 1
	}
	durable=$(tail -n 1 said | cut -d' ' -f1)
	# a look at what was durable before is no copying
	read=$(awk 'FILENAME == "durable" { before[$1]; next }
		$1 == "nbd-read" && !(int($3 / 1048576) in before) { n += $2 }
		END { print n + 0 }' durable log)
	mv durable.now durable
	lost=$((read - (durable - known)))
	echo $lost >>lost
	known=$durable
	test $lost -le $((2 * checkpoint * 1048576)) || {
		echo "$lost bytes are to be done again after $read were read," \
			"with a checkpoint every $checkpoint MiB"
		return 1
	}
}
# ends STATUS...: one of those it must have ended with
ends() {
	case " $* " in
	*" $status "*) return 0 ;;
	esac
	echo "a copy ended with $status, not $*"
	cat err
	return 1
}
# migrate KIND [ARG...]: faults of that kind until a copy is through
migrate() {
	kind=$1 known=0
	shift
	rm -rf world
	mkdir world
	: >durable
	head -c $size /dev/urandom >medium
	roll 3
	checkpoint=$((rolled + 1))
	roll 3
	case $rolled in
	0) proof=sha256 ;;
	1) proof=xxh3 ;;
	2) proof=none ;;
	esac
	while :; do
		roll 2
		set -- multi-conn="$rolled"
		roll 4
		set -- "$@" flush-ms=$((rolled * rolled * 4))
		at=0 status=0
		case $kind in
		together)
			roll 110
			at=$((rolled + 1))
			;;
		server)
			roll 24
			set -- "$@" die-at=$((rolled + 1))
			;;
		flush)
			roll 10
			set -- "$@" flush-fails=$((rolled + 1))
			;;
		lie) # and what was flushed is lost
			roll 110
			at=$((rolled + 1))
			set -- "$@" lie=1
			;;
		esac
		serve "$@"
		life $at || status=$?
		power_off
		strike || return 1
		test $status -ne 0 || break
		case $kind in
		server | flush) ends 5 || return 1 ;;
		*) ends 137 || return 1 ;;
		esac
		echo >>"cuts.$kind"
		truth || return 1
	done
	truth && test "$lost" -eq 0 && qemu-img compare -f raw -F raw src medium
}

awk -v seed="$seed" -v n=$((wanted * 300 + 10000)) 'BEGIN {
	srand(seed)
	while (n--)
		print int(rand() * 1000000000)
}' >dice
exec 3<dice
: >lost
say() {
	case $1 in
	together) echo 'the power of server and copy goes together' ;;
	server) echo "the server's power goes" ;;
	flush) echo 'a flush fails once, later ones succeed' ;;
	esac
}
for kind in together server flush; do
	: >"cuts.$kind"
	check "$wanted times: $(say $kind)" '
		while test "$(wc -l <cuts.'$kind')" -lt '"$wanted"'; do
			migrate '$kind' >history 2>&1 || { cat history; exit 1; }
		done
	'
done
echo "# SEED=$seed: $(wc -l <cuts.together) cuts together, $(wc -l <cuts.server)" \
	"of the server, $(wc -l <cuts.flush) failed flushes"
echo "# lost at most $(sort -n lost | tail -n 1) bytes at a time"
check 'the test can fail: flushes that lie are found out' '
	for n in $(seq 30); do
		migrate lie >history 2>&1 || exit 0
	done
	exit 1
'
test_end
