#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The guest as it is before migration: boots on VMware's devices, and on those
# only, so that booting elsewhere is proof of its conversion.
. "${0%/*}/../lib.sh"
test_begin 'the real guest, unconverted'
requires mmdebstrap
requires qemu-system-x86_64 --version
requires qemu-img

echo '# making the guest, unless it is there'
guest=$("$TOP/t/testbed/guest.sh") || exit 1
boot=$TOP/t/testbed/boot.sh

check 'it boots on pvscsi and vmxnet3 with its data intact' '
"$boot" --hardware vmware --log console \
	--expect "GUEST-UP root=/dev/sda1 rootdrv=vmw_pvscsi data=/dev/sdb1:ok net=\[eth0=vmxnet3=00:50:56:11:22:33=10\.0\.2\.77/24\]" \
	"$guest/system.raw" "$guest/data.raw"'

check 'it notices when its data disk is missing' '
"$boot" --hardware vmware --expect "GUEST-UP .* data=none" "$guest/system.raw"'

check_exit 1 'it does not boot on virtio' '
"$boot" --hardware virtio "$guest/system.raw" "$guest/data.raw" >line || status=$?
cat line
grep -q "Gave up waiting for root" line
exit $status'

check 'the archive begins with its descriptor and manifest' '
cat >want <<END
quickstart.ovf
quickstart.mf
quickstart-disk1.vmdk
quickstart-disk2.vmdk
END
tar -tf "$guest/quickstart.ova" >got
cmp_ok want got'

check 'the manifest has the right sum of every other file' '
tar -xf "$guest/quickstart.ova"
sed -n "s/^SHA256(\(.*\))= \([0-9a-f]\{64\}\)\$/\2  \1/p" quickstart.mf >sums
test "$(wc -l <sums)" -eq 3
sha256sum -c sums'

check 'the disks in the archive are those of the guest' '
qemu-img compare -f vmdk -F raw quickstart-disk1.vmdk "$guest/system.raw"
qemu-img compare -f vmdk -F raw quickstart-disk2.vmdk "$guest/data.raw"'

test_end
