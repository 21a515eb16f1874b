/* SPDX-License-Identifier: Apache-2.0 */
/* The inventory's JSON form, by one table for each of its structs. */
#include "manifests/inventory.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

enum member_kind { TEXT, FLAG, COUNT, NUMBER, BYTES, POWER };

/* What is written to JSON, and where it is in its struct. */
struct member {
	const char *name;
	enum member_kind kind;
	size_t at;
};

static const struct member vm_members[] = {
    {"id", TEXT, offsetof(struct inv_vm, id)},
    {"name", TEXT, offsetof(struct inv_vm, name)},
    {"uuid", TEXT, offsetof(struct inv_vm, uuid)},
    {"sockets", COUNT, offsetof(struct inv_vm, sockets)},
    {"cores", COUNT, offsetof(struct inv_vm, cores)},
    {"threads", COUNT, offsetof(struct inv_vm, threads)},
    {"memoryBytes", BYTES, offsetof(struct inv_vm, memory_bytes)},
    {"efi", FLAG, offsetof(struct inv_vm, efi)},
    {"secureBoot", FLAG, offsetof(struct inv_vm, secure_boot)},
    {"tpm", FLAG, offsetof(struct inv_vm, tpm)},
    {"os", TEXT, offsetof(struct inv_vm, os)},
    {"osFamily", TEXT, offsetof(struct inv_vm, os_family)},
    {"power", POWER, offsetof(struct inv_vm, power)},
    {"host", TEXT, offsetof(struct inv_vm, host)},
    {"epoch", TEXT, offsetof(struct inv_vm, epoch)},
    {0},
};

static const struct member disk_members[] = {
    {"id", TEXT, offsetof(struct inv_disk, id)},
    {"name", TEXT, offsetof(struct inv_disk, name)},
    {"capacityBytes", BYTES, offsetof(struct inv_disk, capacity_bytes)},
    {"allocatedBytes", BYTES, offsetof(struct inv_disk, allocated_bytes)},
    {"format", TEXT, offsetof(struct inv_disk, format)},
    {"bus", TEXT, offsetof(struct inv_disk, bus)},
    {"controllerModel", TEXT, offsetof(struct inv_disk, controller_model)},
    {"controller", NUMBER, offsetof(struct inv_disk, controller)},
    {"unit", NUMBER, offsetof(struct inv_disk, unit)},
    {"blank", FLAG, offsetof(struct inv_disk, blank)},
    {"storageId", TEXT, offsetof(struct inv_disk, storage_id)},
    {"storageName", TEXT, offsetof(struct inv_disk, storage_name)},
    {"epoch", TEXT, offsetof(struct inv_disk, epoch)},
    {0},
};

static const struct member nic_members[] = {
    {"name", TEXT, offsetof(struct inv_nic, name)},
    {"mac", TEXT, offsetof(struct inv_nic, mac)},
    {"model", TEXT, offsetof(struct inv_nic, model)},
    {"networkId", TEXT, offsetof(struct inv_nic, network_id)},
    {"networkName", TEXT, offsetof(struct inv_nic, network_name)},
    {0},
};

static const struct member named_members[] = {
    {"id", TEXT, offsetof(struct inv_named, id)},
    {"name", TEXT, offsetof(struct inv_named, name)},
    {0},
};

static const char *const power_names[] = {"unknown", "off", "on"};

/* JSON is UTF-8; a name that is not is shown with its odd bytes replaced. */
static json_t *
text_to_json(const char *text)
{
	CLEANUP(mem_freep) char *plain = NULL;
	json_t *json = json_string(text);

	if (json || !text)
		return json;
	plain = mem_strdup(text);
	utf8_clean(plain);
	return json_string(plain);
}

static json_t *
member_to_json(const struct member *m, const void *at)
{
	uint64_t bytes;

	switch (m->kind) {
	case TEXT:
		return text_to_json(*(const char *const *)at);
	case FLAG:
		return json_boolean(*(const bool *)at);
	case COUNT:
		return json_integer(*(const unsigned *)at);
	case NUMBER:
		return json_integer(*(const int *)at);
	case BYTES:
		bytes = *(const uint64_t *)at;
		return json_integer(bytes > INT64_MAX ? INT64_MAX
						      : (json_int_t)bytes);
	case POWER:
		return json_string(power_names[*(const enum power_state *)at]);
	}
	return json_null();
}

static json_t *
to_json(const struct member *members, const void *one)
{
	json_t *object = json_object();

	for (; members->name; members++)
		json_object_set_new(
		    object, members->name,
		    member_to_json(members, (const char *)one + members->at));
	return object;
}

static json_t *
disk_to_json(const struct inv_disk *disk)
{
	json_t *object = to_json(disk_members, disk);

	json_object_set_new(
	    object, "locator",
	    disk->locator ? json_incref(disk->locator) : json_null());
	return object;
}

json_t *
inv_vm_to_json(const struct inv_vm *vm)
{
	json_t *object = to_json(vm_members, vm);
	json_t *disks = json_array(), *nics = json_array();

	for (size_t i = 0; i < vm->ndisks; i++)
		json_array_append_new(disks, disk_to_json(&vm->disks[i]));
	for (size_t i = 0; i < vm->nnics; i++)
		json_array_append_new(nics, to_json(nic_members, &vm->nics[i]));
	json_object_set_new(object, "disks", disks);
	json_object_set_new(object, "nics", nics);
	json_object_set(object, "concerns", vm->concerns);
	return object;
}

static json_t *
all_named(const struct inv_named *list, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(array, to_json(named_members, &list[i]));
	return array;
}

json_t *
inventory_to_json(const struct inventory *inv, size_t nvms)
{
	json_t *vms = json_array();

	for (size_t i = 0; i < nvms; i++)
		json_array_append_new(vms, inv_vm_to_json(&inv->vms[i]));
	return json_pack("{s:i, s:o, s:o, s:o, s:O}", "version",
			 INVENTORY_VERSION, "vms", vms, "networks",
			 all_named(inv->networks, inv->nnetworks), "storages",
			 all_named(inv->storages, inv->nstorages), "concerns",
			 inv->concerns);
}

static int
bad_member(const char *name, const char *wanted, struct err *err)
{
	return err_set(err, ERR_BUG, "inventory record: '%s' is not %s", name,
		       wanted);
}

static int
power_from_json(const json_t *value, enum power_state *ret)
{
	const char *name = json_string_value(value);

	for (int i = POWER_STATE_UNKNOWN; i <= POWER_STATE_ON; i++)
		if (name && !strcmp(name, power_names[i])) {
			*ret = (enum power_state)i;
			return 0;
		}
	return -1;
}

static int
whole_from_json(const struct member *m, const json_t *value, void *at,
		struct err *err)
{
	json_int_t n = json_integer_value(value);
	json_int_t low = m->kind == NUMBER ? INT_MIN : 0;
	json_int_t high = m->kind == NUMBER  ? INT_MAX
			  : m->kind == COUNT ? UINT_MAX
					     : INT64_MAX;

	if (!json_is_integer(value) || n < low || n > high)
		return bad_member(m->name, "a number in range", err);
	if (m->kind == NUMBER)
		*(int *)at = (int)n;
	else if (m->kind == COUNT)
		*(unsigned *)at = (unsigned)n;
	else
		*(uint64_t *)at = (uint64_t)n;
	return 0;
}

static int
member_from_json(struct inventory *inv, const struct member *m,
		 const json_t *value, void *at, struct err *err)
{
	switch (m->kind) {
	case TEXT:
		if (!json_is_string(value))
			return bad_member(m->name, "a string", err);
		*(const char **)at =
		    arena_strdup(inv->arena, json_string_value(value));
		return 0;
	case FLAG:
		if (!json_is_boolean(value))
			return bad_member(m->name, "true or false", err);
		*(bool *)at = json_is_true(value);
		return 0;
	case POWER:
		if (power_from_json(value, at) < 0)
			return bad_member(m->name, "a power state", err);
		return 0;
	default:
		return whole_from_json(m, value, at, err);
	}
}

static int
from_json(struct inventory *inv, const struct member *members,
	  const json_t *object, void *one, struct err *err)
{
	if (!json_is_object(object))
		return bad_member("list element", "an object", err);
	for (; members->name; members++)
		if (member_from_json(inv, members,
				     json_object_get(object, members->name),
				     (char *)one + members->at, err) < 0)
			return -1;
	return 0;
}

static int
get_array(const json_t *object, const char *name, const json_t **ret,
	  struct err *err)
{
	*ret = json_object_get(object, name);
	return json_is_array(*ret) ? 0 : bad_member(name, "a list", err);
}

static int
disks_from_json(struct inventory *inv, struct inv_vm *vm, const json_t *object,
		struct err *err)
{
	const json_t *list, *one;
	json_t *locator;
	size_t i;

	if (get_array(object, "disks", &list, err) < 0)
		return -1;
	json_array_foreach(list, i, one)
	{
		struct inv_disk *disk = inventory_add_disk(inv, vm);

		if (from_json(inv, disk_members, one, disk, err) < 0)
			return err_wrap(err, "disk %zu", i);
		locator = json_object_get(one, "locator");
		if (locator && !json_is_null(locator))
			disk->locator =
			    inventory_keep(inv, json_deep_copy(locator));
	}
	return 0;
}

static int
nics_from_json(struct inventory *inv, struct inv_vm *vm, const json_t *object,
	       struct err *err)
{
	const json_t *list, *one;
	size_t i;

	if (get_array(object, "nics", &list, err) < 0)
		return -1;
	json_array_foreach(list, i, one)
	{
		struct inv_nic *nic = inventory_add_nic(inv, vm);

		if (from_json(inv, nic_members, one, nic, err) < 0)
			return err_wrap(err, "nic %zu", i);
	}
	return 0;
}

int
inventory_add_json(struct inventory *inv, const json_t *json, struct err *err)
{
	struct inv_vm *vm = inventory_add_vm(inv);
	const json_t *concerns;
	CLEANUP(json_decrefp) json_t *copy = NULL;

	if (from_json(inv, vm_members, json, vm, err) < 0 ||
	    disks_from_json(inv, vm, json, err) < 0 ||
	    nics_from_json(inv, vm, json, err) < 0 ||
	    get_array(json, "concerns", &concerns, err) < 0) {
		inv->nvms--;
		return -1;
	}
	copy = json_deep_copy(concerns);
	json_array_extend(vm->concerns, copy);
	return 0;
}

static int
named_from_json(struct inventory *inv, const json_t *json, const char *name,
		void (*add)(struct inventory *, const char *, const char *),
		struct err *err)
{
	const json_t *list, *one;
	size_t i;

	if (get_array(json, name, &list, err) < 0)
		return -1;
	json_array_foreach(list, i, one)
	{
		struct inv_named named;

		if (from_json(inv, named_members, one, &named, err) < 0)
			return err_wrap(err, "%s %zu", name, i);
		add(inv, named.id, named.name);
	}
	return 0;
}

int
inventory_from_json(const json_t *json, struct inventory **ret, struct err *err)
{
	CLEANUP(inventory_freep) struct inventory *inv = inventory_new();
	json_int_t version =
	    json_integer_value(json_object_get(json, "version"));
	const json_t *vms, *vm, *concerns = NULL;
	json_t *copy;
	size_t i;

	if (version != INVENTORY_VERSION)
		return bad_member("version", "one this program can read", err);
	if (get_array(json, "vms", &vms, err) < 0)
		return -1;
	json_array_foreach(vms, i, vm)
	{
		if (inventory_add_json(inv, vm, err) < 0)
			return err_wrap(err, "vm %zu", i);
	}
	if (named_from_json(inv, json, "networks", inventory_add_network, err) <
		0 ||
	    named_from_json(inv, json, "storages", inventory_add_storage, err) <
		0 ||
	    (json_object_get(json, "concerns") &&
	     get_array(json, "concerns", &concerns, err) < 0))
		return -1;
	copy = json_deep_copy(concerns);
	json_array_extend(inv->concerns, copy);
	json_decref(copy);
	*ret = steal(&inv);
	return 0;
}
