/* SPDX-License-Identifier: Apache-2.0 */
/* What a step's fingerprint is made of. */
#include "stages/inputs.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "stages/fake.h"
#include "stages/fake_world.h"
#include "stages/place.h"

void
inputs_set(json_t *ret, const char *name, const char *value)
{
	json_object_set_new(ret, name, json_string(value ? value : ""));
}

#define SOURCE_DISK "source disk "

static void
add_disk(const struct view *v, const struct place *p, size_t n, json_t *ret)
{
	const struct inv_disk *disk = &v->vm->disks[n];
	CLEANUP(mem_freep) char *name = mem_printf(SOURCE_DISK "%s", disk->id);
	/* a fake target has no volumes */
	CLEANUP(mem_freep)
	char *volume = p->ops ? p->ops->name(&p->vm, n) : mem_strdup("");

	json_object_set_new(
	    ret, name,
	    json_pack("{s:s, s:I, s:s, s:s}", "name", disk->name, "capacity",
		      (json_int_t)disk->capacity_bytes, "volume", volume,
		      "format", p->ops ? v->shape->disks[n].format : ""));
}

const char *
inputs_epoch_at(const struct view *v, const char *now)
{
	bool as_left = v->epoch_left && strcmp(now, v->epoch_left) == 0;

	return as_left ? v->epoch_before : now;
}

char *
stages_epoch(const struct view *v)
{
	if (fake_is(v->plan->source->type))
		return fake_epoch(v);
	return mem_strdup(inputs_epoch_at(v, v->vm->epoch));
}

bool
stages_source_runs(const struct view *v)
{
	if (!v->vm)
		return false;
	return fake_is(v->plan->source->type) ? fake_is_now(v, "source", "on")
					      : v->vm->power == POWER_STATE_ON;
}

json_t *
stages_replica(const struct view *v)
{
	CLEANUP(mem_freep) char *epoch = stages_epoch(v);
	CLEANUP(place_done) struct place p = {0};
	json_t *replica = json_object();
	struct err ignored;

	(void)place_name(v, &p, &ignored);
	json_object_set_new(replica, "format version",
			    json_integer(INPUTS_FORMAT));
	inputs_set(replica, "source vm", v->vm->id);
	inputs_set(replica, INPUTS_EPOCH, epoch);
	for (size_t i = 0; i < v->vm->ndisks; i++)
		add_disk(v, &p, i, replica);
	return replica;
}

static bool
is_other_disk(const char *name, const struct inv_disk *disk)
{
	size_t len = strlen(SOURCE_DISK);

	return strncmp(name, SOURCE_DISK, len) == 0 &&
	       strcmp(name + len, disk->id) != 0;
}

void
inputs_replica(const struct view *v, const struct inv_disk *disk, json_t *ret)
{
	json_t *replica =
	    v->replica ? json_incref((json_t *)v->replica) : stages_replica(v);
	const char *name;
	json_t *value;

	json_object_foreach(replica, name, value)
	{
		if (!disk || !is_other_disk(name, disk))
			json_object_set(ret, name, value);
	}
	json_decref(replica);
}

void
inputs_generation(const struct view *v, const struct inv_disk *disk,
		  json_t *ret)
{
	inputs_replica(v, disk, ret);
	json_object_del(ret, INPUTS_EPOCH);
	json_object_set_new(ret, INPUTS_ROUND, json_integer(v->round));
}

void
inputs_converted(const struct view *v, json_t *ret)
{
	inputs_replica(v, NULL, ret);
	inputs_set(ret, "rootDisk", v->pvm->root_disk);
	json_object_set_new(ret, "skipGuestConversion",
			    json_boolean(v->plan->skip_guest_conversion));
	inputs_set(ret, "firmware", v->shape->efi ? "efi" : "bios");
}

void
inputs_probe(const struct view *v, json_t *ret)
{
	const struct run_policy *p = v->plan->policy;
	const struct script *script = p->boot_probe.script;

	json_object_set_new(ret, "bootProbe.serial",
			    p->boot_probe.serial
				? json_string(p->boot_probe.serial)
				: json_null());
	/* as they are mostly not there: tests of before stay done */
	if (p->boot_probe.agent)
		json_object_set_new(ret, "bootProbe.agent", json_true());
	if (script) {
		CLEANUP(mem_freep)
		char *name =
		    mem_printf("%s/%s", script->o.namespace, script->o.name);

		inputs_set(ret, "bootProbe.script", name);
	}
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
