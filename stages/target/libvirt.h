/* SPDX-License-Identifier: Apache-2.0 */
/* Target type `libvirt`: volumes in the storage pools of a daemon of this
 * machine, and a domain.  What is not told here, files.h does.
 *
 *   POOL/.palletjack/VM/            the vm's home, in its first disk's pool
 *     disk-0.raw                    a volume
 *     domain.xml                    what the domain is defined from
 *   OTHER/.palletjack/VM/           of the disks in another pool
 *   POOL/VM-disk-0.raw              the volume's second name, by which libvirt
 *                                   lists it and the domain knows it
 *
 * A storage class is a pool, `default` where the map names none.  It must be a
 * directory (dir, fs, netfs) whose files are files of this machine, and active:
 * what is not mounted is another directory.
 *
 * The domain says itself whose it is, in an element of its metadata:
 *
 *   <palletjack:claim plan='demo/move' vm='web' state='...' uuid='...'
 *     home='...' definition='...'/>
 *
 * Ours is who names this state there, and himself by his uuid: a clone has the
 * same words, and another uuid.  `definition` is the digest of what it was
 * defined from.  domain.xml is written before, so that its uuid is known of
 * whatever is there afterwards; a domain of that uuid that runs counts as the
 * vm, even without a word of ours.  Others of its name are left alone, and
 * nothing is written while there is one.
 *
 * It may be undefined, and defined anew by somebody.  So it is off only while
 * no domain at all runs that has its name or its disks, and none of these is
 * open in QEMU; until then neither side is started, and no disk removed.
 *
 * The uuid is the source's, as the guest can see it, unless the daemon has a
 * domain with it: that may be the source.
 *
 * Anybody whom the daemon lets in can start a domain.  Until it is handed over
 * this one's disks are not there under the names that it knows.  One that runs
 * all the same keeps every run from writing its disks and from handing it over;
 * a rollback stops it. */
#ifndef TARGET_LIBVIRT_H
#define TARGET_LIBVIRT_H

#include "io/libvirt.h"
#include "io/libvirt_define.h"
#include "stages/target/files.h"

#define LIBVIRT_HIDDEN ".palletjack"
#define LIBVIRT_CLAIM_NS "https://palletjack.io/libvirt/claim/1"

struct target_at {
	struct virt *virt;
	struct virt_pool_list pools;
};

/* The pool that disk number n goes to, by its name. */
const char *libvirt_pool_name(const struct target_vm *t, size_t n);
/* Does none of the disks before go to that pool? */
bool libvirt_is_first_of_pool(const struct target_vm *t, size_t n);
/* libvirt_domain.c */
/* Its domain, NULL if there is none; *ret_ours: it says so. */
int libvirt_find_target(const struct target_vm *t, struct virt_domain **ret,
			bool *ret_ours, struct err *err);
/* ERR_FAIL while another's domain has its name. */
int libvirt_name_is_free(const struct target_vm *t, struct err *err);
/* What an attribute of its claim says; caller frees; NULL: nothing. */
int libvirt_claim_says(struct virt_domain *d, const char *attribute, char **ret,
		       struct err *err);
/* The uuid in domain.xml; caller frees; NULL: none was to be defined yet. */
int libvirt_recorded(const struct target_vm *t, char **ret, struct err *err);
int libvirt_withdraw(const struct target_vm *t, struct err *err);

/* libvirt_others.c */
/* ERR_FAIL while a domain runs that is not `ours` (NULL: there is none) and has
 * the vm's name, or one of its volumes, by either name, among its disks. */
int libvirt_no_other_runs(const struct target_vm *t, struct virt_domain *ours,
			  struct err *err);

/* libvirt_power.c */
int libvirt_target_power(const struct target_vm *t, enum power_state *ret,
			 struct err *err);
int libvirt_start(const struct target_vm *t, json_t **ret_facts,
		  struct err *err);
int libvirt_may_stop(const struct target_vm *t, struct err *err);
int libvirt_stop(const struct target_vm *t, int64_t grace_ms, struct err *err);

/* libvirt_vm.c */
int libvirt_create_vm(const struct target_vm *t, json_t **ret_facts,
		      struct err *err);
int libvirt_is_defined(const struct target_vm *t, bool *ret, json_t **ret_facts,
		       struct err *err);

/* libvirt_check.c */
int libvirt_check(const struct target_vm *t, struct findings *findings,
		  struct err *err);

#endif
