/* SPDX-License-Identifier: Apache-2.0 */
/* The inventory model: what an endpoint said about its vms.  Every source
 * fills it; targets, rules and hooks read it.  Plain data; travels as JSON. */
#ifndef MANIFESTS_INVENTORY_H
#define MANIFESTS_INVENTORY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "manifests/finding.h"

#define INVENTORY_VERSION 1

enum power_state { POWER_STATE_UNKNOWN, POWER_STATE_OFF, POWER_STATE_ON };

struct inv_disk {
	const char *id;	  /* stable within its vm, names ledger and volume; only
	                     [a-z0-9-], at most 40 characters: "disk-0" */
	const char *name; /* the source's own: a file name, a key */
	uint64_t capacity_bytes;
	uint64_t allocated_bytes; /* 0: unknown */
	const char *format;	  /* raw, qcow2, vmdk, vhdx, vdi, "" unknown */
	const char *bus;	  /* scsi, sata, ide, nvme, virtio */
	const char *controller_model; /* pvscsi, lsilogic, ahci, ... or "" */
	int controller, unit;
	bool blank; /* no content at the source: all zeroes */
	const char *storage_id, *storage_name; /* for the storage map */
	/* How the source finds the disk again; only its source reads it. */
	json_t *locator;
	/* What changes when somebody writes the disk behind our back. */
	const char *epoch;
};

struct inv_nic {
	const char *name;
	const char *mac;   /* lower case with colons; "" where there is none */
	const char *model; /* vmxnet3, e1000, e1000e, virtio, ... or "" */
	const char *network_id, *network_name; /* for the network map */
};

struct inv_vm {
	const char *id;	  /* the source's stable id */
	const char *name; /* the source's name, any characters */
	const char *uuid; /* "" where there is none */
	unsigned sockets, cores, threads;
	uint64_t memory_bytes;
	bool efi, secure_boot, tpm;
	const char *os;	       /* the source's word: "debian11_64Guest" */
	const char *os_family; /* linux, windows, other, "" unknown */
	enum power_state power;
	const char *host; /* pools count disks by it; "" where there is none */
	/* What identifies an uninterrupted stretch of the source: changes when
	 * the vm ran, or its images were written, since. */
	const char *epoch;
	struct inv_disk *disks; /* in boot order */
	size_t ndisks;
	struct inv_nic *nics;
	size_t nnics;
	/* What the source has to say about this vm already (findings_to_json),
	 * never NULL: a truncated disk, a device nobody can carry. */
	json_t *concerns;
};

struct inv_named {
	const char *id, *name;
};

struct inventory {
	struct arena *arena; /* owns it all */
	struct inv_vm *vms;
	size_t nvms;
	struct inv_named *networks, *storages;
	size_t nnetworks, nstorages;
	/* What the source has to say about itself (findings_to_json), never
	 * NULL: a directory that cannot be listed. */
	json_t *concerns;
	struct inventory_index *index; /* inventory_find's own */
};

struct inventory *inventory_new(void);
void inventory_free(struct inventory *inv); /* NULL is fine */
void inventory_freep(struct inventory **inv);

/* Grow the lists; the element is zeroed except that strings are "" and
 * concerns an empty array, and is valid until the next of its kind is added. */
struct inv_vm *inventory_add_vm(struct inventory *inv);
struct inv_disk *inventory_add_disk(struct inventory *inv, struct inv_vm *vm);
struct inv_nic *inventory_add_nic(struct inventory *inv, struct inv_vm *vm);
/* The arena lets go of `value` at its end: for locators.  Gives it back. */
json_t *inventory_keep(struct inventory *inv, json_t *value);
/* Adds a network or storage unless one with that id is there. */
void inventory_add_network(struct inventory *inv, const char *id,
			   const char *name);
void inventory_add_storage(struct inventory *inv, const char *id,
			   const char *name);

/* By id, then by name when the reference has no id (Forklift's order).  NULL:
 * not there; *ret_ambiguous: several bear that name.  Constant time: call it
 * only when ids and names are final. */
struct source_ref;
const struct inv_vm *inventory_find(const struct inventory *inv,
				    const struct source_ref *ref,
				    bool *ret_ambiguous);
const struct inv_disk *inv_vm_disk(const struct inv_vm *vm, const char *id);

/* {"version": 1, "vms": [...], "networks": [...], "storages": [...]} and back;
 * a stranger's JSON is an ERR_BUG that names the member.  Members are called
 * as the struct's, in camel case: memoryBytes, disks[].storageName.  Of the
 * vms the first nvms. */
json_t *inventory_to_json(const struct inventory *inv, size_t nvms);
json_t *inv_vm_to_json(const struct inv_vm *vm);
/* Adds the vm that inv_vm_to_json gave. */
int inventory_add_json(struct inventory *inv, const json_t *vm,
		       struct err *err);
int inventory_from_json(const json_t *json, struct inventory **ret,
			struct err *err);

#endif
