/* SPDX-License-Identifier: Apache-2.0 */
/* create-vm: define the vm at the target, stopped. */
#include <stdlib.h>

#include "base/mem.h"
#include "stages/place.h"

static json_t *
nic_input(const struct shape_nic *nic)
{
	return json_pack("{s:s, s:s, s:s?, s:s?, s:s}", "type",
			 nic->type == NETWORK_POD ? "pod" : "multus", "mac",
			 nic->mac, "namespace", nic->namespace, "name",
			 nic->name, "model", nic->model);
}

static json_t *
disk_input(const struct shape_disk *d)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:i}", "volume", d->volume,
			 "storageClass", d->storage_class, "format", d->format,
			 "bus", d->bus, "bootOrder", (int)d->boot_order);
}

/* All of the shape: whatever of it changes, the definition does. */
static void
inputs(const struct view *v, const struct inv_disk *disk, json_t *ret)
{
	const struct shape *s = v->shape;
	json_t *nics = json_array(), *disks = json_array();

	(void)disk;
	for (size_t i = 0; i < s->nnics; i++)
		json_array_append_new(nics, nic_input(&s->nics[i]));
	for (size_t i = 0; i < s->ndisks; i++)
		json_array_append_new(disks, disk_input(&s->disks[i]));
	json_object_set_new(ret, "targetName", json_string(s->name));
	json_object_set_new(ret, "cpu",
			    json_pack("[i, i, i]", (int)s->sockets,
				      (int)s->cores, (int)s->threads));
	json_object_set_new(ret, "memory",
			    json_integer((json_int_t)s->memory_bytes));
	json_object_set_new(
	    ret, "firmware",
	    json_pack("{s:b, s:b, s:b}", "efi", s->efi, "secureBoot",
		      s->secure_boot, "tpm", s->tpm));
	json_object_set_new(ret, "networks", nics);
	json_object_set_new(ret, "disks", disks);
}

static int
run(struct work *w, json_t **ret_facts, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};

	if (place_open(w->view, &p, err) < 0 || p.ops->guard(&p.vm, err) < 0)
		return -1;
	return p.ops->create_vm(&p.vm, ret_facts, err);
}

static int
probe(struct work *w, bool *ret_done, json_t **ret_facts, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};

	if (place_open(w->view, &p, err) < 0)
		return -1;
	return p.ops->is_defined(&p.vm, ret_done, ret_facts, err);
}

static int
undo(struct work *w, json_t **ret_facts, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};
	bool ours = false;

	(void)ret_facts;
	if (place_open(w->view, &p, err) < 0 ||
	    place_holds_ours(w, &p, &ours, err) < 0)
		return -1;
	return ours ? p.ops->undefine(&p.vm, err) : 0;
}

static const struct stage undo_create_vm = {
    .name = "undo/create-vm",
    .scope = STAGE_VM,
    .run = undo,
};

const struct stage stage_create_vm = {
    .name = "create-vm",
    .scope = STAGE_VM,
    .trusts_replicas = true,
    .watches_epoch = true,
    .inputs = inputs,
    .probe = probe,
    .run = run,
    .undo = &undo_create_vm,
};
