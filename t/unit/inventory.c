/* SPDX-License-Identifier: Apache-2.0 */
/* The inventory: its JSON form, strangers, and finding among many. */
#include "manifests/inventory.h"

#include <stdio.h>
#include <string.h>

#include "manifests/model.h"
#include "t/tap.h"

static struct inventory *
example(void)
{
	struct inventory *inv = inventory_new();
	struct inv_vm *vm = inventory_add_vm(inv);
	struct inv_disk *disk = inventory_add_disk(inv, vm);
	struct inv_nic *nic = inventory_add_nic(inv, vm);

	vm->id = "web.ova";
	vm->name = "web";
	vm->sockets = 2;
	vm->memory_bytes = 768 << 20;
	vm->efi = true;
	vm->power = POWER_STATE_OFF;
	json_array_append_new(vm->concerns, json_pack("{s:s}", "type", "Odd"));
	disk->id = "disk-0";
	disk->capacity_bytes = 1ull << 40;
	disk->unit = -1;
	disk->locator = inventory_keep(inv, json_pack("{s:i}", "offset", 512));
	nic->mac = "02:00:00:00:00:01";
	inventory_add_network(inv, "lan", "LAN");
	inventory_add_network(inv, "lan", "LAN again");
	inventory_add_storage(inv, "a.vmdk", "a.vmdk");
	return inv;
}

static void
travels_as_json(void)
{
	struct inventory *inv = example(), *back = NULL;
	json_t *first = inventory_to_json(inv, inv->nvms), *second;
	struct err err = {0};

	is_int(inv->nnetworks, 1, "a network known by its id is added once");
	ok(inventory_from_json(first, &back, &err) == 0, "what was written "
							 "can be read");
	second = inventory_to_json(back, back->nvms);
	ok(json_equal(first, second), "and is the same");
	is_int(back->vms[0].disks[0].capacity_bytes, 1ll << 40, "capacity");
	is_int(back->vms[0].disks[0].unit, -1, "unit");
	is_str(back->vms[0].nics[0].mac, "02:00:00:00:00:01", "mac");
	is_int(back->vms[0].power, POWER_STATE_OFF, "power");
	json_decref(first);
	json_decref(second);
	inventory_free(inv);
	inventory_free(back);
}

/* Changes one member and expects to be refused by its name. */
static void
refuses(const char *path, json_t *value)
{
	struct inventory *inv = example(), *back = NULL;
	json_t *json = inventory_to_json(inv, inv->nvms), *at = json;
	const char *name = strrchr(path, '/');
	struct err err = {0};

	if (!strncmp(path, "vm/", 3))
		at = json_array_get(json_object_get(json, "vms"), 0);
	if (!strncmp(path, "disk/", 5))
		at = json_array_get(
		    json_object_get(
			json_array_get(json_object_get(json, "vms"), 0),
			"disks"),
		    0);
	json_object_set_new(at, name + 1, value);
	ok(inventory_from_json(json, &back, &err) < 0 && err.class == ERR_BUG,
	   "a strange %s is refused", path);
	like(err.text, name + 1, "and named");
	json_decref(json);
	inventory_free(inv);
}

static void
refuses_strangers(void)
{
	struct inventory *back = NULL;
	struct err err = {0};
	json_t *list = json_array();

	ok(inventory_from_json(list, &back, &err) < 0, "a list is refused");
	json_decref(list);
	refuses("/version", json_integer(99));
	refuses("/vms", json_string("none"));
	refuses("vm/name", json_integer(1));
	refuses("vm/cores", json_integer(-1));
	refuses("vm/efi", json_string("yes"));
	refuses("vm/power", json_string("asleep"));
	refuses("vm/disks", json_null());
	refuses("disk/capacityBytes", json_integer(-1));
	refuses("disk/controller", json_integer(1ll << 40));
	refuses("disk/id", json_null());
}

static void
odd_names_stay_json(void)
{
	struct inventory *inv = inventory_new();
	json_t *json;

	inventory_add_vm(inv)->name = "w\xff"
				      "b";
	json = inv_vm_to_json(&inv->vms[0]);
	is_str(json_string_value(json_object_get(json, "name")), "w?b",
	       "a name that is not UTF-8 is still shown");
	json_decref(json);
	inventory_free(inv);
}

static void
finds(void)
{
	struct inventory *inv = inventory_new();
	struct source_ref by_id = {.id = "2", .name = "web"};
	struct source_ref by_name = {.name = "db"};
	struct source_ref twice = {.name = "web"};
	struct source_ref none = {.name = "mail"}, empty = {0};
	bool ambiguous;

	for (int i = 0; i < 3; i++) {
		struct inv_vm *vm = inventory_add_vm(inv);

		vm->id = i == 0 ? "1" : i == 1 ? "2" : "3";
		vm->name = i == 2 ? "db" : "web";
	}
	ok(inventory_find(inv, &by_id, &ambiguous) == &inv->vms[1],
	   "the id wins over the name");
	ok(inventory_find(inv, &by_name, &ambiguous) == &inv->vms[2],
	   "found by name");
	ok(!inventory_find(inv, &twice, &ambiguous) && ambiguous,
	   "a name two vms bear is ambiguous");
	ok(!inventory_find(inv, &none, &ambiguous) && !ambiguous, "not there");
	ok(!inventory_find(inv, &empty, &ambiguous), "an empty reference");
	inventory_add_vm(inv)->name = "mail";
	ok(inventory_find(inv, &none, &ambiguous) == &inv->vms[3],
	   "what was added later is found");
	inventory_free(inv);
}

static void
is_linear(void)
{
	enum { N = 100000 };
	static char names[N][16];
	struct inventory *inv = inventory_new();
	int nfound = 0;
	bool ambiguous;

	for (int i = 0; i < N; i++) {
		struct inv_vm *vm = inventory_add_vm(inv);

		snprintf(names[i], sizeof(names[i]), "vm-%d", i);
		vm->id = vm->name = names[i];
		inventory_add_storage(inv, names[i], names[i]);
	}
	for (int i = 0; i < N; i++) {
		struct source_ref ref = {.name = names[i]};

		nfound += inventory_find(inv, &ref, &ambiguous) == &inv->vms[i];
	}
	is_int(nfound, N, "a hundred thousand vms are found");
	inventory_free(inv);
}

int
main(void)
{
	travels_as_json();
	refuses_strangers();
	odd_names_stay_json();
	finds();
	is_linear();
	return tap_done();
}
