/* SPDX-License-Identifier: Apache-2.0 */
/* The inventory's lists, and the index over them. */
#include "manifests/inventory.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "manifests/model.h"
#include "manifests/strmap.h"

struct inventory_index {
	struct strmap networks, storages; /* ids added */
	struct strmap by_id, by_name, twice;
	const struct inv_vm *vms; /* the list as it was indexed */
	size_t nvms;
};

static void
forget_vms(struct inventory_index *index)
{
	strmap_done(&index->by_id);
	strmap_done(&index->by_name);
	strmap_done(&index->twice);
}

struct inventory *
inventory_new(void)
{
	struct inventory *inv = mem_new(sizeof(*inv));

	inv->arena = arena_new();
	inv->index = mem_new(sizeof(*inv->index));
	inv->concerns = inventory_keep(inv, json_array());
	return inv;
}

void
inventory_free(struct inventory *inv)
{
	if (!inv)
		return;
	forget_vms(inv->index);
	strmap_done(&inv->index->networks);
	strmap_done(&inv->index->storages);
	free(inv->index);
	arena_free(inv->arena);
	free(inv);
}

void
inventory_freep(struct inventory **inv)
{
	inventory_free(*inv);
}

static void
release_json(void *value)
{
	json_decref(value);
}

json_t *
inventory_keep(struct inventory *inv, json_t *value)
{
	arena_defer(inv->arena, release_json, value);
	return value;
}

/* Room for one more.  The room is always a power of two, so it is spent when
 * n is one. */
static void *
grow(struct arena *a, void *list, size_t n, size_t size)
{
	void *bigger;

	if (n & (n - 1))
		return list;
	bigger = arena_alloc(a, (n ? 2 * n : 1) * size);
	if (n)
		memcpy(bigger, list, n * size);
	return bigger;
}

struct inv_vm *
inventory_add_vm(struct inventory *inv)
{
	struct inv_vm *vm;

	inv->vms = grow(inv->arena, inv->vms, inv->nvms, sizeof(*inv->vms));
	vm = &inv->vms[inv->nvms++];
	*vm = (struct inv_vm){
	    .id = "",
	    .name = "",
	    .uuid = "",
	    .os = "",
	    .os_family = "",
	    .host = "",
	    .epoch = "",
	};
	vm->concerns = inventory_keep(inv, json_array());
	return vm;
}

struct inv_disk *
inventory_add_disk(struct inventory *inv, struct inv_vm *vm)
{
	struct inv_disk *disk;

	vm->disks = grow(inv->arena, vm->disks, vm->ndisks, sizeof(*vm->disks));
	disk = &vm->disks[vm->ndisks++];
	*disk = (struct inv_disk){
	    .id = "",
	    .name = "",
	    .format = "",
	    .bus = "",
	    .controller_model = "",
	    .storage_id = "",
	    .storage_name = "",
	    .epoch = "",
	};
	return disk;
}

struct inv_nic *
inventory_add_nic(struct inventory *inv, struct inv_vm *vm)
{
	struct inv_nic *nic;

	vm->nics = grow(inv->arena, vm->nics, vm->nnics, sizeof(*vm->nics));
	nic = &vm->nics[vm->nnics++];
	*nic = (struct inv_nic){
	    .name = "",
	    .mac = "",
	    .model = "",
	    .network_id = "",
	    .network_name = "",
	};
	return nic;
}

static void
add_named(struct inventory *inv, struct inv_named **list, size_t *n,
	  struct strmap *known, const char *id, const char *name)
{
	struct inv_named *one;

	if (strmap_get(known, id))
		return;
	*list = grow(inv->arena, *list, *n, sizeof(**list));
	one = &(*list)[(*n)++];
	one->id = arena_strdup(inv->arena, id);
	one->name = arena_strdup(inv->arena, name);
	strmap_add(known, one->id, inv);
}

void
inventory_add_network(struct inventory *inv, const char *id, const char *name)
{
	add_named(inv, &inv->networks, &inv->nnetworks, &inv->index->networks,
		  id, name);
}

void
inventory_add_storage(struct inventory *inv, const char *id, const char *name)
{
	add_named(inv, &inv->storages, &inv->nstorages, &inv->index->storages,
		  id, name);
}

static void
index_vms(const struct inventory *inv)
{
	struct inventory_index *index = inv->index;

	if (index->vms == inv->vms && index->nvms == inv->nvms)
		return;
	forget_vms(index);
	for (size_t i = 0; i < inv->nvms; i++) {
		struct inv_vm *vm = &inv->vms[i];

		strmap_add(&index->by_id, vm->id, vm);
		if (strmap_add(&index->by_name, vm->name, vm))
			strmap_add(&index->twice, vm->name, vm);
	}
	index->vms = inv->vms;
	index->nvms = inv->nvms;
}

const struct inv_vm *
inventory_find(const struct inventory *inv, const struct source_ref *ref,
	       bool *ret_ambiguous)
{
	*ret_ambiguous = false;
	index_vms(inv);
	if (ref->id)
		return strmap_get(&inv->index->by_id, ref->id);
	if (!ref->name)
		return NULL;
	*ret_ambiguous = strmap_get(&inv->index->twice, ref->name) != NULL;
	return *ret_ambiguous ? NULL
			      : strmap_get(&inv->index->by_name, ref->name);
}

const struct inv_disk *
inv_vm_disk(const struct inv_vm *vm, const char *id)
{
	for (size_t i = 0; i < vm->ndisks; i++)
		if (!strcmp(vm->disks[i].id, id))
			return &vm->disks[i];
	return NULL;
}
