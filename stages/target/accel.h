/* SPDX-License-Identifier: Apache-2.0 */
/* Can guests run in hardware here?  /dev/kvm may open, run a boot sector and
 * yet hang every ordinary kernel: only a kernel that came up is an answer. */
#ifndef TARGET_ACCEL_H
#define TARGET_ACCEL_H

enum accel { ACCEL_TCG, ACCEL_KVM };

struct accel_info {
	enum accel accel;
	char reason[300]; /* why: "there is no /dev/kvm" */
};

/* PALLETJACK_ACCEL=kvm or tcg decides unasked.  Else the host's own kernel is
 * booted with KVM, without disks, for at most 20 s; the answer is kept until
 * the next boot.  Never fails: when in doubt, software. */
void accel_probe(struct accel_info *ret);

const char *accel_name(enum accel accel); /* "tcg", "kvm" */

#endif
