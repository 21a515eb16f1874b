/* SPDX-License-Identifier: Apache-2.0 */
/* The shape a vm shall have at the target: plan, maps and inventory put
 * together.  A pure function; every target builds from the same answer. */
#ifndef MANIFESTS_SHAPE_H
#define MANIFESTS_SHAPE_H

#include "manifests/inventory.h"
#include "manifests/model.h"

struct shape_disk {
	const struct inv_disk *source;
	const char *storage_class; /* "" where the map names none */
	const char *format;	   /* raw or qcow2 */
	const char *bus;	   /* virtio, sata */
	const char *volume;	   /* file name stem, the disk's id */
	unsigned boot_order;	   /* 1 is first; 0 is none */
};

struct shape_nic {
	const struct inv_nic *source;
	enum network_type type; /* never NETWORK_IGNORED: those have no nic */
	const char *namespace, *name; /* multus */
	const char *mac;   /* the source's, else derived from plan, vm
	                                 and nic; locally administered */
	const char *model; /* virtio, e1000e */
};

struct shape {
	const char *name; /* DNS-1123 label, at most 63 characters */
	bool renamed;	  /* not the source's own name */
	unsigned sockets, cores, threads;
	uint64_t memory_bytes;
	bool efi, secure_boot, tpm;
	bool converted; /* false: raw copy mode */
	struct shape_disk *disks;
	size_t ndisks;
	struct shape_nic *nics;
	size_t nnics;
};

/* `inv` holds all vms of the source (names must not collide within the plan).
 * What cannot be mapped is left out here and reported by check_plan. */
struct shape *shape_of(struct arena *arena, const struct plan *plan,
		       const struct plan_vm *pvm, const struct inv_vm *vm,
		       const struct inventory *inv);

/* Forklift's renaming (section 5.3 of its rules), but with a suffix that is a
 * digest of plan and vm instead of random. */
char *shape_valid_name(const char *name); /* caller frees; "" when nothing is
                                             left */

#endif
