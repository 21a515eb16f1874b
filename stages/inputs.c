/* SPDX-License-Identifier: Apache-2.0 */
/* What a step's fingerprint is made of. */
#include "stages/inputs.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "stages/inside.h"

void
inputs_set(json_t *ret, const char *name, const char *value)
{
	json_object_set_new(ret, name, json_string(value ? value : ""));
}

static void
add_disk(const struct view *v, size_t n, json_t *ret)
{
	const struct target_ops *ops = target_find(v->plan->target->type);
	const struct inv_disk *disk = &v->vm->disks[n];
	struct target_vm t = stages_target(v);
	struct volume volume = {0};
	CLEANUP(mem_freep) char *name = mem_printf("source disk %s", disk->id);

	if (ops)
		ops->volume(&t, n, &volume);
	json_object_set_new(
	    ret, name,
	    json_pack("{s:s, s:I, s:s, s:s}", "name", disk->name, "capacity",
		      (json_int_t)disk->capacity_bytes, "volume",
		      volume.path ? volume.path : "", "format",
		      volume.format ? volume.format : ""));
	volume_done(&volume);
}

void
inputs_replica(const struct view *v, const struct inv_disk *disk, json_t *ret)
{
	json_object_set_new(ret, "format version", json_integer(INPUTS_FORMAT));
	inputs_set(ret, "source vm", v->vm->id);
	inputs_set(ret, "source epoch", v->vm->epoch);
	for (size_t i = 0; i < v->vm->ndisks; i++)
		if (!disk || disk == &v->vm->disks[i])
			add_disk(v, i, ret);
}

static json_t *
nics_of(const struct shape *shape)
{
	json_t *nics = json_array();

	for (size_t i = 0; i < shape->nnics; i++) {
		const struct shape_nic *nic = &shape->nics[i];

		json_array_append_new(
		    nics, json_pack("{s:s, s:s, s:i, s:s}", "mac", nic->mac,
				    "model", nic->model, "type", (int)nic->type,
				    "name", nic->name ? nic->name : ""));
	}
	return nics;
}

void
inputs_shape(const struct view *v, json_t *ret)
{
	const struct shape *s = v->shape;

	inputs_set(ret, "target name", s->name);
	json_object_set_new(ret, "cpus",
			    json_pack("[i, i, i]", (int)s->sockets,
				      (int)s->cores, (int)s->threads));
	json_object_set_new(ret, "memory",
			    json_integer((json_int_t)s->memory_bytes));
	json_object_set_new(
	    ret, "firmware",
	    json_pack("[b, b, b]", s->efi, s->secure_boot, s->tpm));
	json_object_set_new(ret, "nics", nics_of(s));
}
