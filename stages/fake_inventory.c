/* SPDX-License-Identifier: Apache-2.0 */
/* The vms that the fake endpoint says it has. */
#include "stages/fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "stages/fake_faults.h"
#include "stages/fake_writer.h"

#define VMS_MAX 1000000
#define DISKS_MAX 256
#define MILLIS_MAX 3600000

bool
fake_is(const char *endpoint_type)
{
	return strcmp(endpoint_type, "fake") == 0;
}

static int
number_setting(const struct endpoint *ep, const char *key, const char *fallback,
	       unsigned long max, unsigned long *ret, struct err *err)
{
	const char *text = endpoint_setting(ep, key, fallback);
	char *end;

	*ret = strtoul(text, &end, 10);
	if (end != text && !*end && *ret <= max)
		return 0;
	return err_set(err, ERR_USER,
		       "spec.settings.%s: '%s' is not a number from 0 to %lu",
		       key, text, max);
}

/* One of two words, the first of which is the default; *ret: the second. */
static int
word_setting(const struct endpoint *ep, const char *key, const char *first,
	     const char *second, bool *ret, struct err *err)
{
	const char *text = endpoint_setting(ep, key, first);

	*ret = strcmp(text, second) == 0;
	if (*ret || strcmp(text, first) == 0)
		return 0;
	return err_set(err, ERR_USER,
		       "spec.settings.%s: '%s' is neither '%s' nor '%s'", key,
		       text, first, second);
}

static void
add_disks(struct inventory *inv, struct inv_vm *vm, unsigned long ndisks,
	  uint64_t capacity)
{
	for (unsigned long d = 0; d < ndisks; d++) {
		struct inv_disk *disk = inventory_add_disk(inv, vm);

		disk->id = arena_printf(inv->arena, "disk-%lu", d);
		disk->name = disk->id;
		disk->capacity_bytes = capacity;
		disk->format = "raw";
		disk->bus = "scsi";
		disk->unit = (int)d;
		disk->storage_id = disk->storage_name = "fake";
	}
}

static void
add_vm(struct inventory *inv, unsigned long number, unsigned long ndisks,
       uint64_t capacity, const char *seed, enum power_state power)
{
	struct inv_vm *vm = inventory_add_vm(inv);
	struct inv_nic *nic = inventory_add_nic(inv, vm);

	vm->name = arena_printf(inv->arena, "vm-%05lu", number);
	vm->id = vm->name;
	vm->sockets = vm->cores = vm->threads = 1;
	vm->memory_bytes = 1024UL * 1024 * 1024;
	vm->os_family = "linux";
	vm->power = power;
	vm->epoch = arena_printf(inv->arena, "seed %s", seed);
	nic->name = "nic-0";
	nic->network_id = nic->network_name = "fake";
	add_disks(inv, vm, ndisks, capacity);
}

static int
check_writer(const struct endpoint *ep, bool is_made_up, struct err *err)
{
	const char *kind = endpoint_setting(ep, "writer", NULL);

	if (!kind)
		return 0;
	if (!fake_writer_is_kind(kind))
		return err_set(err, ERR_USER,
			       "spec.settings.writer: '%s' is "
			       "none of constant, burst, hot-set, growing, "
			       "mixed",
			       kind);
	if (is_made_up)
		return 0;
	return err_set(err, ERR_USER,
		       "spec.settings.writer: what it writes "
		       "is made up, so it wants content: none");
}

/* What only its steps read: a typing error would else be no fault at all. */
static int
check_settings(const struct endpoint *ep, struct err *err)
{
	unsigned long millis, percent;
	bool none;

	if (number_setting(ep, "stepMillis", "0", MILLIS_MAX, &millis, err) <
		0 ||
	    number_setting(ep, "dirtyPercent", "0", 100, &percent, err) < 0 ||
	    word_setting(ep, "content", "stamped", "none", &none, err) < 0 ||
	    check_writer(ep, none, err) < 0)
		return -1;
	return fake_faults_check(ep, err);
}

/* Where the vm has a setting of its own. */
static int
own_ndisks(const struct endpoint *ep, unsigned long number, unsigned long *ret,
	   struct err *err)
{
	char key[64];

	snprintf(key, sizeof(key), "vm-%05lu.disksPerVM", number);
	if (!endpoint_setting(ep, key, NULL))
		return 0;
	return number_setting(ep, key, "1", DISKS_MAX, ret, err);
}

int
fake_inventory(const struct endpoint *ep, struct inventory *ret,
	       struct err *err)
{
	const char *size = endpoint_setting(ep, "diskSize", "1Mi");
	const char *seed = endpoint_setting(ep, "seed", "0");
	unsigned long nvms, ndisks;
	uint64_t capacity;
	bool on;

	if (number_setting(ep, "vms", "1", VMS_MAX, &nvms, err) < 0 ||
	    number_setting(ep, "disksPerVM", "1", DISKS_MAX, &ndisks, err) <
		0 ||
	    word_setting(ep, "power", "off", "on", &on, err) < 0 ||
	    check_settings(ep, err) < 0)
		return -1;
	if (units_parse_quantity(size, &capacity) < 0)
		return err_set(err, ERR_USER,
			       "spec.settings.diskSize: '%s' "
			       "is not a quantity",
			       size);
	inventory_add_network(ret, "fake", "fake");
	inventory_add_storage(ret, "fake", "fake");
	for (unsigned long i = 1; i <= nvms; i++) {
		unsigned long own = ndisks;

		if (own_ndisks(ep, i, &own, err) < 0)
			return -1;
		add_vm(ret, i, own, capacity, seed,
		       on ? POWER_STATE_ON : POWER_STATE_OFF);
	}
	return 0;
}
