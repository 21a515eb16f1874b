# SPDX-License-Identifier: Apache-2.0
# The shell tests' harness: a private directory for each, checks printed as TAP.
#
#	. "${0%/*}/lib.sh"	(from a directory below t: "${0%/*}/../lib.sh")
#	test_begin 'what this file proves'
#	requires qemu-img
#	check 'an image can be made' 'qemu-img create -f qcow2 d.qcow2 1M'
#	test_end
#
# After test_begin $PWD and $HOME are the test's own directory, $TOP is the
# source tree.  The directory is removed when all went well; KEEP=1 keeps it.
# V=1 shows the output of checks that hold, too.  For POSIX sh.

# test_begin TITLE: make the directory and the environment.
test_begin() {
	test_name=${0##*/}
	test_count=0
	test_failures=0
	TOP=$(cd "${0%/*}" && pwd) || exit 1
	until test -e "$TOP/t/lib.sh"; do
		TOP=${TOP%/*}
		test -n "$TOP" || {
			echo "Bail out! $0 is not inside palletjack's sources."
			exit 1
		}
	done
	test_find_program
	# Kept from run to run, so named before $HOME moves.
	cache=${XDG_CACHE_HOME:-$HOME/.cache}/palletjack
	export PALLETJACK_CACHE="${PALLETJACK_CACHE:-$cache}"

	HOME=$(mktemp -d "${TMPDIR:-/tmp}/palletjack-${test_name%.t}.XXXXXX") ||
		exit 1
	test_dir=$HOME/.test
	trap test_clean_up EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	cd "$HOME" || exit 1
	mkdir -p "$test_dir/state" "$test_dir/cache" || exit 1
	mkdir -m 0700 "$test_dir/run" || exit 1
	: >"$test_dir/at_end"
	export TOP HOME
	export XDG_RUNTIME_DIR="$test_dir/run"
	export XDG_STATE_HOME="$test_dir/state"
	export XDG_CACHE_HOME="$test_dir/cache"
	export XDG_CONFIG_HOME="$HOME/.config"
	export LC_ALL=C.UTF-8 TZ=UTC TERM=dumb
	# root's own state would be /var/lib/palletjack, whatever $HOME says
	export PALLETJACK_STATE="$test_dir/state/palletjack"
	# nor do tests wait for each other, or for the machine's own runs
	export PALLETJACK_SLOTS="$test_dir/run/slots"
	unset LANGUAGE NO_COLOR CDPATH
	# A /dev/kvm that opens may still hang every guest, so software it is.
	export LIBGUESTFS_BACKEND="${LIBGUESTFS_BACKEND:-direct}"
	export LIBGUESTFS_BACKEND_SETTINGS="${LIBGUESTFS_BACKEND_SETTINGS-force_tcg}"
	echo "# $1"
}

# check DESCRIPTION COMMANDS: the commands, run by a subshell under `set -e`,
# must succeed.  As they are in a subshell, variables set there are lost; files
# and at_end are not.  Never call it in a condition: that would void `set -e`, which
# does not look at `a` in `a && b` either: such a list may only come last.
check() {
	test_run "$2"
	test_report "$1" test "$test_status" -eq 0
}

# check_fail DESCRIPTION COMMANDS: the commands must fail of their own accord,
# which a crash, a signal or a command that is not there is not.
check_fail() {
	test_run "$2"
	test_report "$1" test "$test_status" -gt 0 -a "$test_status" -lt 126
}

# check_exit STATUS DESCRIPTION COMMANDS: they must exit with just that status.
check_exit() {
	test_run "$3"
	test_report "$2" test "$test_status" -eq "$1"
}

# exits STATUS COMMAND [ARG...]: inside a check: it must exit with just that.
exits() {
	exits_want=$1
	exits_got=0
	shift
	"$@" || exits_got=$?
	test "$exits_got" -eq "$exits_want" || {
		echo "exit status $exits_got, not $exits_want: $*"
		return 1
	}
}

# refute COMMAND [ARG...]: inside a check: it must fail.  `! command` would be
# no check: `set -e` does not look at it.  Of a pipe, refute its last command.
refute() {
	refute_status=0
	"$@" || refute_status=$?
	case $refute_status in
	0) echo "succeeded, which it must not: $*" ;;
	126 | 127) echo "could not be run: $*" ;;
	*) return 0 ;;
	esac
	return 1
}

# cmp_ok WANT GOT: inside a check: two text files must be the same.
cmp_ok() {
	diff -u "$1" "$2"
}

# skip REASON DESCRIPTION: count a check that cannot be made here.
skip() {
	test_count=$((test_count + 1))
	echo "ok $test_count - $2 # SKIP $1"
}

# skip_all REASON: end the file as skipped, before its first check.
skip_all() {
	echo "1..0 # SKIP $1"
	exit 0
}

# requires COMMAND [ARG...]: skip the file if there is no such command or, with
# arguments, if running it so fails.
requires() {
	command -v "$1" >/dev/null || skip_all "$1 is not installed"
	test $# -eq 1 && return
	"$@" >/dev/null 2>&1 </dev/null || skip_all "'$*' does not succeed"
}

# at_end COMMAND: run that one line when the test is over, whatever came of it;
# last registered, first run.  Register as soon as the thing exists.
at_end() {
	echo "$1" >>"$test_dir/at_end"
}

# within SECONDS COMMAND [ARG...]: wait until the command succeeds, no longer
# than that.
within() {
	deadline=$(($(date +%s) + $1))
	shift
	until "$@"; do
		test "$(date +%s)" -lt "$deadline" || {
			echo "Waited in vain for: $*"
			return 1
		}
		sleep 0.1
	done
}

# A port of 127.0.0.1 that nobody has, drawn by lot below those that the kernel
# gives away: of two tests at once each has its own.
port_by_lot() {
	while :; do
		port_drawn=$(($(od -An -N2 -tu2 /dev/urandom) % 22000 + 10000))
		grep -qi ":$(printf %04x $port_drawn) " /proc/net/tcp || break
	done
	echo $port_drawn
}

# end_process PID: ask a process we started to end, insist after ten seconds.
end_process() {
	kill "$1" 2>/dev/null || return 0
	within 10 test_is_gone "$1" >/dev/null || kill -KILL "$1" 2>/dev/null
	wait "$1" 2>/dev/null
	return 0
}

# test_end: print the plan and exit, with 0 if every check held.
test_end() {
	echo "1..$test_count"
	test "$test_failures" -eq 0
	exit
}

# is_sanitized: is that a program that takes several times as long, and memory
# of its own?
is_sanitized() {
	case $PALLETJACK in
	*-address* | *-thread*) ;;
	*) return 1 ;;
	esac
}

# rounds N: how often to try what draws lots: $ROUNDS times, else N, and a third
# of that with a sanitizer.
rounds() {
	if test -n "$ROUNDS"; then
		echo "$ROUNDS"
	elif is_sanitized; then
		echo $((($1 + 2) / 3))
	else
		echo "$1"
	fi
}

# The rest is for this file only.

# The program is the one $PALLETJACK names, else the one in PATH, else the one
# built here; tests call it as plain palletjack.
test_find_program() {
	program=${PALLETJACK:-$(command -v palletjack)}
	program=${program:-$TOP/build/palletjack}
	test -x "$program" || return 0
	PALLETJACK=$(cd "${program%/*}" && pwd)/${program##*/}
	PATH=${PALLETJACK%/*}:$PATH
	export PALLETJACK PATH
}

test_run() {
	(
		set -e
		eval "$1"
	) >"$test_dir/out" 2>&1 </dev/null
	test_status=$?
}

# test_report DESCRIPTION CONDITION...
test_report() {
	description=$1
	shift
	test_count=$((test_count + 1))
	if "$@"; then
		echo "ok $test_count - $description"
		test -z "$V" || sed 's/^/# /' "$test_dir/out"
	else
		test_failures=$((test_failures + 1))
		echo "not ok $test_count - $description"
		sed 's/^/# /' "$test_dir/out"
		echo "# exit status $test_status"
	fi
}

# Gone or a zombie: a child of a shell that does not wait stays as the latter.
test_is_gone() {
	! grep -q '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$1/status" 2>/dev/null
}

test_clean_up() {
	status=$?
	trap - EXIT
	trap '' HUP INT TERM
	tac "$test_dir/at_end" | while read -r line; do
		(eval "$line") >/dev/null 2>&1 </dev/null
	done
	cd /
	if test "$status" -eq 0 && test -z "$KEEP"; then
		rm -rf "$HOME"
	else
		echo "# kept: $HOME"
	fi
	exit "$status"
}
