/* SPDX-License-Identifier: Apache-2.0 */
/* A plan and an inventory made by hand, for unit tests. */
#ifndef T_PLAN_H
#define T_PLAN_H

#include <string.h>

#include "manifests/inventory.h"
#include "manifests/model.h"

#define PLAN_VMS 8
#define PLAN_ROWS 8

struct test_plan {
	struct plan plan;
	struct plan_vm vms[PLAN_VMS];
	struct network_map networks;
	struct network_row network_rows[PLAN_ROWS];
	struct storage_map storages;
	struct storage_row storage_rows[PLAN_ROWS];
	struct endpoint target;
	struct inventory *inv;
};

static inline void
test_plan_init(struct test_plan *t)
{
	memset(t, 0, sizeof(*t));
	t->inv = inventory_new();
	t->target.settings = json_object();
	t->networks.o = (struct object){
	    .kind = "NetworkMap", .namespace = "demo", .name = "nets"};
	t->networks.rows = t->network_rows;
	t->storages.o = (struct object){
	    .kind = "StorageMap", .namespace = "demo", .name = "disks"};
	t->storages.rows = t->storage_rows;
	t->plan = (struct plan){
	    .o = {.kind = "Plan", .namespace = "demo", .name = "first"},
	    .target = &t->target,
	    .network_map = &t->networks,
	    .storage_map = &t->storages,
	    .type = "cold",
	    .use_compatibility_mode = true,
	    .vms = t->vms,
	};
}

static inline void
test_plan_done(struct test_plan *t)
{
	json_decref(t->target.settings);
	inventory_free(t->inv);
}

/* An entry of the plan that names a vm. */
static inline struct plan_vm *
test_plan_entry(struct test_plan *t, const char *name)
{
	struct plan_vm *pvm = &t->vms[t->plan.nvms];

	pvm->ref.name = pvm->key = name;
	pvm->index = t->plan.nvms++;
	pvm->pos = (struct pos){"plan.yaml", 10 + (unsigned)pvm->index, 7};
	return pvm;
}

/* A vm at the source with one disk of 1 GiB. */
static inline struct inv_vm *
test_plan_vm(struct test_plan *t, const char *id, const char *name)
{
	struct inv_vm *vm = inventory_add_vm(t->inv);
	struct inv_disk *disk = inventory_add_disk(t->inv, vm);

	vm->id = id;
	vm->name = name;
	vm->memory_bytes = 1 << 30;
	disk->id = "disk-0";
	disk->name = disk->storage_id = disk->storage_name = "a.vmdk";
	disk->capacity_bytes = 1 << 30;
	return vm;
}

static inline struct inv_nic *
test_plan_nic(struct test_plan *t, struct inv_vm *vm, const char *network,
	      const char *mac)
{
	struct inv_nic *nic = inventory_add_nic(t->inv, vm);

	nic->network_id = nic->network_name = network;
	nic->mac = mac;
	return nic;
}

/* `name` NULL: the pod network; "": ignored; else multus demo/name. */
static inline void
test_plan_map_network(struct test_plan *t, const char *source, const char *name)
{
	struct network_row *row = &t->network_rows[t->networks.nrows++];

	row->source.name = source;
	row->type = !name   ? NETWORK_POD
		    : *name ? NETWORK_MULTUS
			    : NETWORK_IGNORED;
	row->namespace = "demo";
	row->name = name;
}

static inline void
test_plan_map_storage(struct test_plan *t, const char *source,
		      const char *storage_class)
{
	struct storage_row *row = &t->storage_rows[t->storages.nrows++];

	row->source.name = source;
	row->storage_class = storage_class;
}

#endif
