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
	const char *name; /* DNS-1123 subdomain; at most 63 characters unless
	                     the plan itself gives a longer one */
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

/* The names of all vms of a plan at the target, no two alike: made once a plan,
 * in linear time.  Who must give way when two want the same name, and to which
 * name, depends on nothing but plan and inventory. */
struct shape_names;
struct shape_names *shape_names_new(const struct plan *plan,
				    const struct inventory *inv);
void shape_names_free(struct shape_names *names); /* NULL is fine */
void shape_names_freep(struct shape_names **names);
const char *shape_names_get(const struct shape_names *names,
			    const struct plan_vm *pvm);

/* What cannot be mapped is left out here and reported by check_plan. */
struct shape *shape_of(struct arena *arena, const struct plan *plan,
		       const struct plan_vm *pvm, const struct inv_vm *vm,
		       const struct shape_names *names);
/* The same under a name that was chosen before. */
struct shape *shape_of_named(struct arena *arena, const struct plan *plan,
			     const struct plan_vm *pvm, const struct inv_vm *vm,
			     const char *name);

/* Forklift's renaming (section 5.3 of its rules); a valid name stays as it is.
 * Where names collide shape_names_new adds a suffix, which is a digest of plan
 * and vm instead of random.  Caller frees; "" when nothing is left. */
char *shape_valid_name(const char *name);

/* The row of the network map for each nic, by Forklift's rules for pools: the
 * first row that is not multus wins; else the first network no other nic of
 * the vm uses; a pool of one is used again.  NULL: not mapped, or the pool is
 * spent.  Caller frees the array. */
const struct network_row **shape_network_rows(const struct plan *plan,
					      const struct inv_vm *vm);
bool shape_row_matches(const struct network_row *row,
		       const struct inv_nic *nic);
/* The row of the storage map for a disk, or NULL. */
const struct storage_row *shape_storage_row(const struct plan *plan,
					    const struct inv_disk *disk);
/* Does the row stand for all storage (Forklift's name for that of an ova)? */
bool shape_is_every_storage(const struct source_ref *ref);
/* The disk that `root_disk` ("/dev/sdb", "sdb2") means, the first when it is
 * NULL; -1: it means none. */
int shape_root_disk(const char *root_disk, const struct inv_vm *vm);

#endif
