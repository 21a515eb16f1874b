#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the benches say of the figures that missed what was wanted of them.
. "${0%/*}/lib.sh"
test_begin 'a figure that is not what was wanted is named in the end'
requires jq
requires /usr/bin/time --version

mkdir -p top/t/bench top/build
cp "$TOP/t/bench/figures" "$TOP/t/bench/bench.sh" top/t/bench
cp "$TOP/t/fake.sh" "$TOP/t/lib.sh" top/t
export PALLETJACK="$PWD/top/build/palletjack"
# bench NAME: a bench of the figures on stdin
bench() {
	{
		echo '#!/bin/sh'
		echo 'set -eu; . "${0%/*}/figures"'
		echo "figures_begin $1"
		cat
		echo figures_end
	} >"top/t/bench/$1.sh"
	chmod +x "top/t/bench/$1.sh"
}

bench good <<'END'
figure 'a copy' 2 s ''
figure '  wall, of nbdcopy' 1.03 x 'at most 1.03, aim 0.85'
figure '  memory' 99.9 MiB 'under 100 MiB'
figure '  children' 0 '' none
figure '  written' 4096 byte 4096
figure '  each' 7 us 'alike for all sizes'
END
check 'alone, a bench says that none missed' '
	sh top/t/bench/good.sh >out
	cat out; tail -n 1 out >last
	echo "0 of 4 figures missed what was wanted of them." | cmp_ok last -
'
bench bad <<'END'
figure 'a copy' 2 s 'at most 2'
figure '  wall, of nbdcopy' 1.04 x 'at most 1.03, aim 0.85'
figure '  memory' 100 MiB 'under 100 MiB'
figure 'a run again' 0.4 s 'under 0.5 s'
figure '  children' 1 '' none
figure '  written' 0 byte 4096
measure 'slow and large' 'under 0 s, 0 MiB' true
END
cat >want <<'END'
6 of 12 figures missed what was wanted of them:
  a copy, wall, of nbdcopy: 1.04 x, wanted: at most 1.03, aim 0.85
  a copy, memory: 100 MiB, wanted: under 100 MiB
  a run again, children: 1 , wanted: none
  a run again, written: 0 byte, wanted: 4096
END
check 'all together name theirs in the end, and do not fail' '
	sh top/t/bench/bench.sh >out
	cat out; sed "1,/^== in all/d" out >end
	sed -n "1,5p" end | cmp_ok want -
	sed -n 6p end | grep "^  slow and large: .* s, wanted: under 0 s"
	sed -n 7p end | grep "^  slow and large, memory: .* MiB, wanted: under 0 MiB"
	test "$(wc -l <end)" -eq 7
'
check 'so do the files, for a program to read' '
	jq -e "[.figures[] | select(.missed) | .what] | length == 6" top/build/bench/bad.json
	jq -e "all(.figures[]; .missed | not)" top/build/bench/good.json
'
ln -s "$(command -v false)" top/t/bench/broken.sh
check 'one that does not end well is a failure, and the others are counted' '
	exits 1 sh top/t/bench/bench.sh >out 2>err; cat out err
	grep -q "did not end well: broken.sh" err
	grep -q "^6 of 12 figures" out
'
test_end
