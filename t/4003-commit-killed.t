#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# commit for real at a local target: killed before, in the middle of and behind
# qemu-img commit, and told not to convert any more when it has begun.  The
# conversion itself is pretended: virt-v2v-in-place is a script that writes a
# pattern to each overlay; that the real one makes guests bootable, and that
# its result survives such kills, is the guest tests' to show.
. "${0%/*}/lib.sh"
. "${0%/*}/local.sh"
test_begin 'a commit that was begun is finished, whatever happens to it'
requires jq
requires qemu-img --version
requires qemu-io --version
requires nbdkit --version
fault=$(dirname "$PALLETJACK")/t/fault.so
test -e "$fault" || skip_all "$fault is not built: run make units"

head -c 3000000 /dev/urandom >one.raw
truncate -s 20M one.raw
head -c 1000000 /dev/urandom >two.raw
truncate -s 8M two.raw
# Some of each disk is written anew, elsewhere and over what was there.
pretend_conversion 'write -P 0x77 1M 1M' 'write -P 0x33 5M 2M'
# Like qemu-img, but the Nth commit (the file `cut` says which) is cut off
# halfway: a part of the overlay is in the disk, the rest is not, and nobody
# lives to tell, neither it nor the step nor the run.
cat >bin/qemu-img <<EOF
#!/bin/sh
real=$(command -v qemu-img)
here=$PWD
EOF
cat >>bin/qemu-img <<'EOF'
test "$1" = commit && test -e "$here/cut" || exec "$real" "$@"
echo >>"$here/commits"
test "$(wc -l <"$here/commits")" -eq "$(cat "$here/cut")" || exec "$real" "$@"
for overlay; do :; done
base=$("$real" info --output=json "$overlay" |
	jq -r '."full-backing-filename" // ."backing-filename"')
qemu-io -f raw -c 'write -P 0x77 1M 512k' "$base" >/dev/null
echo "$base" >"$here/cut-off"
rm "$here/cut" "$here/commits"
kill -KILL "$(cat "$here/run.pid")" $PPID $$
EOF
chmod +x bin/*
for n in one two; do
	converted $n.raw $n.want
done

local_manifest web=one.raw:fast,two.raw:fast 'targetPowerState: "off"' \
	'retry: {attempts: 1, first: 1ms, max: 1ms}'
mv m.yaml manifest.yaml
sed 's/^  targetNamespace: t/&\n  skipGuestConversion: true/' manifest.yaml \
	>raw.yaml

# converted: a run has come as far as the commit
converted() {
	rm -rf target "$PALLETJACK_STATE" commits cut cut-off
	cp manifest.yaml m.yaml
	palletjack run --until convert m.yaml
}
disks_are_right() {
	cmp one.want target/fast/web/disk-0.raw &&
		cmp two.want target/fast/web/disk-1.raw
}
attempts() {
	palletjack status m.yaml -o json |
		jq ".vms[0].steps[] | select(.step == \"$1\").attempts"
}
# cut_off N: a run that dies in the middle of the Nth qemu-img commit
cut_off() {
	echo "$1" >cut
	# exec: the pid in the file is the run's
	exits 137 sh -c 'echo $$ >run.pid; exec palletjack run m.yaml' &&
		cat cut-off && refute disks_are_right
}

check 'undisturbed' '
	converted && palletjack run m.yaml && disks_are_right &&
	test ! -e target/web/overlays
'
for n in 1 2; do
	check "killed in the middle of disk $n: the next run finishes it" '
		converted && cut_off '$n' && palletjack run m.yaml &&
		disks_are_right && test "$(attempts commit)" -eq 2 &&
		test "$(attempts convert)" -eq 1 &&
		test "$(attempts cutover/disk-0)" -eq 1
	'
done
check 'killed in the middle twice' '
	converted && cut_off 1 && cut_off 2 &&
	palletjack run m.yaml && disks_are_right && test "$(attempts commit)" -eq 3
'
check 'killed behind it, its result not on record' '
	converted && exits 137 env LD_PRELOAD="$fault" FAULT_FILE=journal \
		FAULT_WHEN=before FAULT_MATCH="\"type\":\"result\",\"step\":\"commit\"" \
		ASAN_OPTIONS=verify_asan_link_order=0 palletjack run m.yaml &&
	palletjack run m.yaml && disks_are_right
'
check 'its step killed while the ledgers are sealed' '
	for n in 1 2; do
		converted && exits 5 env LD_PRELOAD="$fault" \
			FAULT_FILE=disk-1.ledger FAULT_OPS="write fsync" \
			FAULT_AT=$n FAULT_WHEN=before \
			ASAN_OPTIONS=verify_asan_link_order=0 \
			palletjack run m.yaml &&
		palletjack run m.yaml && disks_are_right || exit 1
	done
'

# The manifest is edited when the commit has begun and is not finished.
check 'to stop converting comes too late then: nothing is done, and why is said' '
	converted; cut_off 1; cp raw.yaml m.yaml
	sha256sum target/fast/web/disk-*.raw >before
	exits 6 palletjack run m.yaml 2>err; cat err
	grep -q "not finished, and the plan no longer converts: take skipGuestConversion out" err &&
	sha256sum -c before && test ! -e target/web/handover.json
'
check 'plan says so, too' '
	palletjack plan m.yaml >plan || :; cat plan
	grep -q "take skipGuestConversion out again" plan
'
check 'with the edit taken back it finishes' '
	cp manifest.yaml m.yaml && palletjack run m.yaml && disks_are_right
'
check 'before the commit the same edit is in time: the disks stay replicas' '
	converted && cp raw.yaml m.yaml &&
	palletjack run m.yaml && cmp one.raw target/fast/web/disk-0.raw &&
	cmp two.raw target/fast/web/disk-1.raw
'
test_end
