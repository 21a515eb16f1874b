/* SPDX-License-Identifier: Apache-2.0 */
/* Shapes: names, networks, disks, and that they are always the same. */
#include "manifests/shape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "t/plan.h"
#include "t/tap.h"

static void
name_is(const char *from, const char *want)
{
	char *got = shape_valid_name(from);
	char *title = mem_printf("'%.40s'", from);

	is_str(got, want, title);
	free(got);
	free(title);
}

static void
renames(void)
{
	char sixty[61];
	char *from, *to;

	name_is("web-1", "web-1");
	name_is("web--1", "web--1");
	name_is("web.example.com", "web.example.com");
	name_is("Web_Server 01", "web-server-01");
	name_is("a+b*c/d\\e", "a-b-c-d-e");
	name_is("-.web.-", "web");
	name_is("web (old)!", "web-old");
	name_is("a..b", "a.b");
	name_is("_", "");
	name_is("\xc3\xbc", "");
	memset(sixty, 'x', 60);
	sixty[60] = '\0';
	from = mem_printf("%s. -%s", sixty, sixty);
	to = mem_printf("%s.xx", sixty);
	name_is(from, to);
	free(from);
	free(to);
}

static void
names_are_unique(void)
{
	struct test_plan t;
	struct shape_names *n, *again;
	const char *third;

	test_plan_init(&t);
	test_plan_vm(&t, "1", "Web");
	test_plan_vm(&t, "2", "web");
	test_plan_vm(&t, "3", "WEB");
	test_plan_vm(&t, "4", "other");
	test_plan_vm(&t, "5", "!");
	for (size_t i = 0; i < 5; i++)
		test_plan_entry(&t, t.inv->vms[i].name);
	test_plan_entry(&t, "Gone")->target_name = NULL;
	test_plan_entry(&t, "gone");
	t.vms[3].target_name = "db";
	n = shape_names_new(&t.plan, t.inv);
	is_str(shape_names_get(n, &t.vms[1]), "web",
	       "who needs no new name keeps it");
	like(shape_names_get(n, &t.vms[0]), "web-", "others give way");
	third = shape_names_get(n, &t.vms[2]);
	ok(!strncmp(third, "web-", 4) && strlen(third) == 8 &&
	       strcmp(third, shape_names_get(n, &t.vms[0])) != 0,
	   "each to a name of its own (%s)", third);
	is_str(shape_names_get(n, &t.vms[3]), "db", "as the plan says");
	like(shape_names_get(n, &t.vms[4]), "vm-", "nothing left of the name");
	like(shape_names_get(n, &t.vms[5]), "gone-",
	     "a vm that is gone keeps its place");

	inventory_add_vm(t.inv)->name = "unrelated";
	again = shape_names_new(&t.plan, t.inv);
	is_str(shape_names_get(again, &t.vms[2]), third,
	       "the same suffix every time");
	shape_names_free(n);
	shape_names_free(again);
	test_plan_done(&t);
}

static void
names_are_linear(void)
{
	enum { N = 100000 };
	struct inventory *inv = inventory_new();
	struct plan_vm *vms = mem_new(N * sizeof(*vms));
	struct plan plan = {
	    .o = {.namespace = "a", .name = "b"}, .vms = vms, .nvms = N};
	char(*ids)[16] = mem_new(N * sizeof(*ids));
	struct shape_names *n;

	for (size_t i = 0; i < N; i++) {
		struct inv_vm *vm = inventory_add_vm(inv);

		snprintf(ids[i], sizeof(*ids), "%zu", i);
		vm->id = vms[i].ref.id = vms[i].key = ids[i];
		vm->name = "Clone";
		vms[i].index = i;
	}
	n = shape_names_new(&plan, inv);
	is_str(shape_names_get(n, &vms[0]), "clone", "the first of many");
	like(shape_names_get(n, &vms[N - 1]), "clone-", "and the last");
	shape_names_free(n);
	inventory_free(inv);
	free(vms);
	free(ids);
}

/* "pod", "name", "-" for no nic, of each nic in turn. */
static char *
networks_of(struct test_plan *t)
{
	const struct network_row **rows =
	    shape_network_rows(&t->plan, &t->inv->vms[0]);
	struct buf b = {0};

	for (size_t i = 0; i < t->inv->vms[0].nnics; i++)
		buf_printf(&b, "%s%s", i ? " " : "",
			   !rows[i]			     ? "-"
			   : rows[i]->type == NETWORK_POD    ? "pod"
			   : rows[i]->type == NETWORK_MULTUS ? rows[i]->name
							     : "ignored");
	free(rows);
	return buf_steal(&b);
}

static void
pool_is(const char *map, int nnics, const char *want)
{
	struct test_plan t;
	char *copy = mem_strdup(map), *save = NULL, *got;

	test_plan_init(&t);
	test_plan_vm(&t, "1", "web");
	for (int i = 0; i < nnics; i++)
		test_plan_nic(&t, &t.inv->vms[0], "lan", "");
	for (char *row = strtok_r(copy, " ", &save); row;
	     row = strtok_r(NULL, " ", &save))
		test_plan_map_network(&t, "lan",
				      strcmp(row, "pod") == 0	    ? NULL
				      : strcmp(row, "ignored") == 0 ? ""
								    : row);
	got = networks_of(&t);
	is_str(got, want, map);
	free(got);
	free(copy);
	test_plan_done(&t);
}

static void
pools(void)
{
	pool_is("a b", 2, "a b");
	pool_is("a b", 3, "a b -");
	pool_is("a", 3, "a a a");
	pool_is("a pod b", 2, "pod pod");
	pool_is("a ignored", 1, "ignored");
	pool_is("a a", 2, "a -");
	pool_is("", 1, "-");
}

static void
shapes(void)
{
	struct test_plan t;
	struct arena *arena = arena_new();
	struct shape_names *names;
	struct shape *s, *again;
	struct inv_vm *vm;

	test_plan_init(&t);
	vm = test_plan_vm(&t, "1", "Web");
	inventory_add_disk(t.inv, vm)->id = "disk-1";
	vm->secure_boot = vm->efi = true;
	test_plan_nic(&t, vm, "lan", "00:50:56:00:00:01");
	test_plan_nic(&t, vm, "dmz", "");
	test_plan_nic(&t, vm, "backup", "");
	test_plan_nic(&t, vm, "forgotten", "");
	test_plan_map_network(&t, "lan", NULL);
	test_plan_map_network(&t, "dmz", "dmz");
	test_plan_map_network(&t, "backup", "");
	test_plan_map_storage(&t, "a.vmdk", "fast");
	test_plan_entry(&t, "Web")->root_disk = "/dev/sdb2";
	names = shape_names_new(&t.plan, t.inv);
	s = shape_of(arena, &t.plan, &t.vms[0], vm, names);

	is_str(s->name, "web", "name");
	ok(s->renamed && s->converted && s->efi && s->secure_boot, "flags");
	is_int(s->sockets * s->cores * s->threads, 1, "at least one cpu");
	is_int(s->nnics, 2, "no nic for ignored and unmapped networks");
	is_str(s->nics[0].mac, "00:50:56:00:00:01", "the source's mac");
	is_int(strlen(s->nics[1].mac), 17, "a mac where there was none");
	ok(strchr("26ae", s->nics[1].mac[1]), "locally administered unicast");
	is_str(s->nics[1].name, "dmz", "multus");
	is_str(s->nics[1].model, "virtio", "virtio nic");
	is_str(s->disks[0].storage_class, "fast", "storage class");
	is_str(s->disks[1].storage_class, "", "no storage class");
	is_str(s->disks[0].bus, "virtio", "virtio disk");
	is_str(s->disks[0].format, "raw", "raw by default");
	is_int(s->disks[0].boot_order, 0, "not the root disk");
	is_int(s->disks[1].boot_order, 1, "the root disk boots");

	t.plan.skip_guest_conversion = true;
	t.vms[0].root_disk = NULL;
	json_object_set_new(t.target.settings, "format", json_string("qcow2"));
	again = shape_of(arena, &t.plan, &t.vms[0], vm, names);
	is_str(again->nics[1].mac, s->nics[1].mac, "the same mac every time");
	is_str(again->disks[0].bus, "sata", "raw copy: sata");
	is_str(again->nics[0].model, "e1000e", "raw copy: e1000e");
	is_str(again->disks[0].format, "qcow2", "the endpoint's format");
	is_int(again->disks[0].boot_order, 1, "the first disk boots");
	t.plan.use_compatibility_mode = false;
	again = shape_of(arena, &t.plan, &t.vms[0], vm, names);
	is_str(again->disks[0].bus, "virtio", "raw copy without emulation");
	shape_names_free(names);
	arena_free(arena);
	test_plan_done(&t);
}

static void
maps_storage(void)
{
	struct test_plan t;
	const struct inv_disk *disk;

	test_plan_init(&t);
	disk = &test_plan_vm(&t, "1", "web")->disks[0];
	test_plan_map_storage(&t, "b.vmdk", "slow");
	ok(!shape_storage_row(&t.plan, disk), "no row");
	test_plan_map_storage(&t, "Dummy storage for source provider x", "one");
	is_str(shape_storage_row(&t.plan, disk)->storage_class, "one",
	       "Forklift's one storage of an ova provider");
	t.storage_rows[0].source = (struct source_ref){.id = "a.vmdk"};
	is_str(shape_storage_row(&t.plan, disk)->storage_class, "slow",
	       "by id");
	t.plan.storage_map = NULL;
	ok(!shape_storage_row(&t.plan, disk), "no map");
	test_plan_done(&t);
}

static void
root_disks(void)
{
	struct inv_vm vm = {.ndisks = 30};

	is_int(shape_root_disk(NULL, &vm), 0, "none given: the first");
	is_int(shape_root_disk("sdc", &vm), 2, "sdc");
	is_int(shape_root_disk("/dev/sdab1", &vm), 27, "sdab");
	is_int(shape_root_disk("sdzz", &vm), -1, "beyond the last");
	is_int(shape_root_disk("sdaaaaaaaaaaaaaaaaaaaaaaaaa", &vm), -1, "far");
	is_int(shape_root_disk("disk 1", &vm), -1, "not a device");
	is_int(shape_root_disk("sd", &vm), -1, "no letter");
}

int
main(void)
{
	renames();
	names_are_unique();
	names_are_linear();
	pools();
	shapes();
	maps_storage();
	root_disks();
	return tap_done();
}
