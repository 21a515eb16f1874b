/* SPDX-License-Identifier: Apache-2.0 */
/* Plan, maps and inventory put together: what the target shall build. */
#include "manifests/shape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "manifests/digest.h"

#define DISK_PREFIX "sd"
/* Forklift's inventory of an ova provider has one storage, called this and the
 * provider's name. */
#define DUMMY_STORAGE "Dummy storage for source provider"

static bool
source_matches(const struct source_ref *ref, const char *id, const char *name)
{
	if (ref->id)
		return !strcmp(ref->id, id);
	return ref->name && !strcmp(ref->name, name);
}

bool
shape_row_matches(const struct network_row *row, const struct inv_nic *nic)
{
	return source_matches(&row->source, nic->network_id, nic->network_name);
}

static bool
is_same_network(const struct network_row *a, const struct network_row *b)
{
	return a->type == NETWORK_MULTUS && a->name && b->name &&
	       !strcmp(a->name, b->name) &&
	       !strcmp(a->namespace ? a->namespace : "",
		       b->namespace ? b->namespace : "");
}

static bool
is_used(const struct network_row **rows, size_t n,
	const struct network_row *wanted)
{
	for (size_t i = 0; i < n; i++)
		if (rows[i] && is_same_network(rows[i], wanted))
			return true;
	return false;
}

/* `rows` are those the nics before this one got. */
static const struct network_row *
pick_row(const struct network_map *map, const struct inv_nic *nic,
	 const struct network_row **rows, size_t nrows)
{
	const struct network_row *first = NULL, *unused = NULL;
	size_t npool = 0;

	for (size_t i = 0; i < map->nrows; i++) {
		const struct network_row *row = &map->rows[i];

		if (!shape_row_matches(row, nic))
			continue;
		if (row->type != NETWORK_MULTUS)
			return row;
		if (npool++ == 0)
			first = row;
		if (!unused && !is_used(rows, nrows, row))
			unused = row;
	}
	return npool == 1 ? first : unused;
}

const struct network_row **
shape_network_rows(const struct plan *plan, const struct inv_vm *vm)
{
	const struct network_row **rows =
	    mem_new((vm->nnics + 1) * sizeof(*rows));

	for (size_t i = 0; plan->network_map && i < vm->nnics; i++)
		rows[i] = pick_row(plan->network_map, &vm->nics[i], rows, i);
	return rows;
}

bool
shape_is_every_storage(const struct source_ref *ref)
{
	return !ref->id && ref->name &&
	       !strncmp(ref->name, DUMMY_STORAGE, strlen(DUMMY_STORAGE));
}

const struct storage_row *
shape_storage_row(const struct plan *plan, const struct inv_disk *disk)
{
	const struct storage_map *map = plan->storage_map;

	for (size_t i = 0; map && i < map->nrows; i++) {
		const struct source_ref *ref = &map->rows[i].source;

		if (source_matches(ref, disk->storage_id, disk->storage_name))
			return &map->rows[i];
		if (shape_is_every_storage(ref))
			return &map->rows[i];
	}
	return NULL;
}

int
shape_root_disk(const char *root_disk, const struct inv_vm *vm)
{
	const char *letter = root_disk;
	size_t n = 0;

	if (!root_disk || !*root_disk)
		return vm->ndisks ? 0 : -1;
	if (!strncmp(letter, "/dev/", 5))
		letter += 5;
	if (strncmp(letter, DISK_PREFIX, 2) != 0)
		return -1;
	/* sda, sdb, ... sdz, sdaa, sdab, ... */
	for (letter += 2; *letter >= 'a' && *letter <= 'z'; letter++) {
		n = n * 26 + (size_t)(*letter - 'a') + 1;
		if (n > vm->ndisks)
			return -1;
	}
	return (int)n - 1;
}

/* A pool of addresses is what a source without any asks for: unicast, locally
 * administered, and never 0xfe, which libvirt keeps for itself. */
static const char *
derive_mac(struct arena *arena, const struct plan *plan,
	   const struct inv_vm *vm, size_t nic)
{
	CLEANUP(mem_freep)
	char *text = mem_printf("mac %s/%s %s %zu", plan->o.namespace,
				plan->o.name, vm->id, nic);
	char hex[DIGEST_HEX_SIZE];
	char first[3] = "";

	digest_bytes(text, strlen(text), hex);
	memcpy(first, hex, 2);
	return arena_printf(arena, "%02lx:%.2s:%.2s:%.2s:%.2s:%.2s",
			    (strtoul(first, NULL, 16) & 0x7c) | 0x02, hex + 2,
			    hex + 4, hex + 6, hex + 8, hex + 10);
}

static void
add_disks(struct arena *arena, const struct plan *plan,
	  const struct plan_vm *pvm, const struct inv_vm *vm,
	  struct shape *shape)
{
	int root = shape_root_disk(pvm->root_disk, vm);
	bool emulated = !shape->converted && plan->use_compatibility_mode;

	shape->ndisks = vm->ndisks;
	shape->disks = arena_alloc(arena, vm->ndisks * sizeof(*shape->disks));
	for (size_t i = 0; i < vm->ndisks; i++) {
		const struct storage_row *row =
		    shape_storage_row(plan, &vm->disks[i]);
		bool first = i == (size_t)(root < 0 ? 0 : root);

		shape->disks[i] = (struct shape_disk){
		    .source = &vm->disks[i],
		    .storage_class =
			row && row->storage_class ? row->storage_class : "",
		    .format = plan->target ? endpoint_setting(plan->target,
							      "format", "raw")
					   : "raw",
		    .bus = emulated ? "sata" : "virtio",
		    .volume = vm->disks[i].id,
		    .boot_order = first ? 1 : 0,
		};
	}
}

static void
add_nics(struct arena *arena, const struct plan *plan, const struct inv_vm *vm,
	 struct shape *shape)
{
	CLEANUP(mem_freep)
	const struct network_row **rows = shape_network_rows(plan, vm);
	bool emulated = !shape->converted && plan->use_compatibility_mode;

	shape->nics = arena_alloc(arena, vm->nnics * sizeof(*shape->nics));
	for (size_t i = 0; i < vm->nnics; i++) {
		const struct inv_nic *nic = &vm->nics[i];

		if (!rows[i] || rows[i]->type == NETWORK_IGNORED)
			continue;
		shape->nics[shape->nnics++] = (struct shape_nic){
		    .source = nic,
		    .type = rows[i]->type,
		    .namespace = rows[i]->namespace,
		    .name = rows[i]->name,
		    .mac =
			*nic->mac ? nic->mac : derive_mac(arena, plan, vm, i),
		    .model = emulated ? "e1000e" : "virtio",
		};
	}
}

static unsigned
at_least_one(unsigned n)
{
	return n ? n : 1;
}

struct shape *
shape_of(struct arena *arena, const struct plan *plan,
	 const struct plan_vm *pvm, const struct inv_vm *vm,
	 const struct shape_names *names)
{
	return shape_of_named(arena, plan, pvm, vm,
			      shape_names_get(names, pvm));
}

struct shape *
shape_of_named(struct arena *arena, const struct plan *plan,
	       const struct plan_vm *pvm, const struct inv_vm *vm,
	       const char *name)
{
	struct shape *shape = arena_alloc(arena, sizeof(*shape));

	*shape = (struct shape){
	    .name = arena_strdup(arena, name),
	    .sockets = at_least_one(vm->sockets),
	    .cores = at_least_one(vm->cores),
	    .threads = at_least_one(vm->threads),
	    .memory_bytes = vm->memory_bytes,
	    .efi = vm->efi,
	    .secure_boot = vm->efi && vm->secure_boot,
	    .tpm = vm->tpm,
	    .converted = !plan->skip_guest_conversion,
	};
	shape->renamed = strcmp(shape->name, vm->name) != 0;
	add_disks(arena, plan, pvm, vm, shape);
	add_nics(arena, plan, vm, shape);
	return shape;
}
