/* SPDX-License-Identifier: Apache-2.0 */
/* Plans against inventories: every condition, and none for a sound plan. */
#include "manifests/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "t/plan.h"
#include "t/tap.h"

/* A plan of one sound vm, and what was found about it after a change. */
struct bench {
	struct test_plan t;
	struct inv_vm *vm;
	struct plan_vm *entry;
	struct findings found;
};

static void
set_up(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	test_plan_init(&b->t);
	b->found.arena = arena_new();
	b->vm = test_plan_vm(&b->t, "1", "web");
	b->entry = test_plan_entry(&b->t, "web");
	test_plan_nic(&b->t, b->vm, "lan", "00:50:56:00:00:01");
	b->vm->nics[0].name = "eth0";
	inventory_add_network(b->t.inv, "lan", "lan");
	inventory_add_storage(b->t.inv, "a.vmdk", "a.vmdk");
	test_plan_map_network(&b->t, "lan", NULL);
	test_plan_map_storage(&b->t, "a.vmdk", "fast");
}

static void
tear_down(struct bench *b)
{
	findings_done(&b->found);
	arena_free(b->found.arena);
	test_plan_done(&b->t);
}

static void
check_all(struct test_plan *t, struct findings *found)
{
	struct checker *c = checker_new(NULL, &t->plan, t->inv);

	check_plan(c, found);
	checker_free(c);
}

static void
check_one(struct test_plan *t, const struct plan_vm *pvm,
	  struct findings *found)
{
	struct checker *c = checker_new(NULL, &t->plan, t->inv);

	check_plan_vm(c, pvm, found);
	checker_free(c);
}

/* Exactly one finding, of this type and category, that says so. */
static void
only(struct bench *b, enum finding_category category, const char *type,
     const char *part)
{
	const struct finding *f = b->found.v;

	check_all(&b->t, &b->found);
	is_int(b->found.n, 1, type);
	for (size_t i = 1; i < b->found.n; i++)
		tap_diag("%s: %s", b->found.v[i].type, b->found.v[i].message);
	f = b->found.v;
	if (b->found.n > 0) {
		is_str(f->type, type, "its type");
		is_int(f->category, category, "its category");
		like(f->message, part, "its message");
	}
	tear_down(b);
}

static void
sound(void)
{
	struct bench b;

	set_up(&b);
	check_all(&b.t, &b.found);
	is_int(b.found.n, 0, "nothing to say about a sound plan");
	check_one(&b.t, b.entry, &b.found);
	is_int(b.found.n, 0, "nor about its vm");
	tear_down(&b);
}

static void
references(void)
{
	struct bench b;

	set_up(&b);
	b.entry->ref.name = "wbe";
	b.entry->key = "wbe";
	check_all(&b.t, &b.found);
	is_int(b.found.v[0].pos.line, 10, "the line of the entry");
	is_str(b.found.v[0].field, "spec.vms[0].name", "the field");
	is_str(b.found.v[0].vm, "wbe", "the vm");
	is_str(b.found.v[0].object, "Plan demo/first", "the object");
	tear_down(&b);

	set_up(&b);
	b.entry->ref.name = "wbe";
	only(&b, FINDING_CRITICAL, "VMNotFound", "did you mean 'web'?");
	set_up(&b);
	b.entry->ref.id = "7";
	only(&b, FINDING_CRITICAL, "VMNotFound", "no vm with the id '7'");
	set_up(&b);
	b.entry->ref.name = NULL;
	check_all(&b.t, &b.found);
	is_int(b.found.n, 0, "what the reader said is not said again");
	tear_down(&b);
	set_up(&b);
	test_plan_vm(&b.t, "2", "web");
	only(&b, FINDING_CRITICAL, "DuplicateVM", "them: '1', '2'");
	set_up(&b);
	test_plan_entry(&b.t, "again")->ref.id = "1";
	check_all(&b.t, &b.found);
	is_int(findings_blocking(&b.found, "again"), 1,
	       "the second is kept "
	       "back");
	is_int(findings_blocking(&b.found, "web"), 0, "the first is not");
	tear_down(&b);
}

static void
names(void)
{
	struct bench b;

	set_up(&b);
	b.vm->name = "Web Server";
	b.entry->ref.name = "Web Server";
	only(&b, FINDING_WARN, "TargetNameNotValid", "becomes 'web-server'");
	set_up(&b);
	test_plan_vm(&b.t, "2", "db");
	b.entry->target_name = "db";
	test_plan_entry(&b.t, "db");
	only(&b, FINDING_WARN, "TargetNameNotValid", "name of another vm");
}

static void
disks(void)
{
	struct bench b;

	set_up(&b);
	b.vm->disks[0].capacity_bytes = 0;
	only(&b, FINDING_CRITICAL, "InvalidDiskSizes", "capacity of 0 B");
	set_up(&b);
	b.vm->disks[0].capacity_bytes = UINT64_MAX;
	only(&b, FINDING_CRITICAL, "InvalidDiskSizes", "absurd capacity");
	set_up(&b);
	b.vm->ndisks = 0;
	only(&b, FINDING_ERROR, "VMHasNoDisks", "no disks");
	set_up(&b);
	b.vm->disks[0].storage_id = b.vm->disks[0].storage_name = "b.vmdk";
	only(&b, FINDING_CRITICAL, "VMStorageNotMapped", "'b.vmdk'");
	set_up(&b);
	for (int i = 0; i < 165; i++)
		*inventory_add_disk(b.t.inv, b.vm) = b.vm->disks[0];
	only(&b, FINDING_WARN, "VMDiskCountExceedsLimit", "166 disks");
	set_up(&b);
	b.entry->root_disk = "sdx";
	only(&b, FINDING_WARN, "RootDiskNotValid", "'sdx'");
}

static void
nics(void)
{
	struct bench b;

	set_up(&b);
	b.vm->nics[0].network_id = b.vm->nics[0].network_name = "dmz";
	only(&b, FINDING_CRITICAL, "VMNetworksNotMapped",
	     "nic 'eth0' has no place on network 'dmz'");
	set_up(&b);
	b.t.plan.network_map = NULL;
	only(&b, FINDING_CRITICAL, "VMNetworksNotMapped", "no network map");
	set_up(&b);
	test_plan_nic(&b.t, b.vm, "lan", "");
	only(&b, FINDING_CRITICAL, "VMMultiplePodNetworkMappings", "2 nics");
	set_up(&b);
	b.t.network_rows[0].type = NETWORK_MULTUS;
	b.t.network_rows[0].name = "a";
	test_plan_map_network(&b.t, "lan", "b");
	test_plan_nic(&b.t, b.vm, "lan", "");
	test_plan_nic(&b.t, b.vm, "lan", "");
	only(&b, FINDING_CRITICAL, "VMNetworksNotMapped", "use up");
	set_up(&b);
	test_plan_map_network(&b.t, "nowhere", "a");
	only(&b, FINDING_WARN, "SourceNetworkNotValid", "no 'nowhere'");
	set_up(&b);
	test_plan_map_storage(&b.t, "nowhere", "a");
	only(&b, FINDING_WARN, "SourceStorageNotValid", "no 'nowhere'");
	set_up(&b);
	test_plan_map_storage(&b.t, "Dummy storage for source provider x", "");
	check_all(&b.t, &b.found);
	is_int(b.found.n, 0, "the dummy storage is always there");
	tear_down(&b);
}

static void
macs(void)
{
	struct bench b;

	set_up(&b);
	test_plan_nic(&b.t, test_plan_vm(&b.t, "2", "db"), "lan",
		      "00:50:56:00:00:01");
	test_plan_entry(&b.t, "db");
	only(&b, FINDING_CRITICAL, "MacConflicts", "which 'web'");
	set_up(&b);
	test_plan_map_network(&b.t, "dmz", "dmz");
	inventory_add_network(b.t.inv, "dmz", "dmz");
	test_plan_nic(&b.t, b.vm, "dmz", "00:50:56:00:00:01");
	only(&b, FINDING_CRITICAL, "MacConflicts", "00:50:56:00:00:01");
}

static void
firmware(void)
{
	struct bench b;

	set_up(&b);
	b.vm->tpm = true;
	only(&b, FINDING_WARN, "TPMStateLost", "empty TPM");
	set_up(&b);
	b.vm->secure_boot = true;
	only(&b, FINDING_WARN, "SecureBootWithoutEFI", "BIOS");
	set_up(&b);
	b.vm->efi = true;
	only(&b, FINDING_INFORMATION, "EFIVariablesLost", "fallback");
	set_up(&b);
	b.vm->memory_bytes = 768;
	only(&b, FINDING_ERROR, "VMMemoryNotValid", "768 bytes");
}

static void
concerns(void)
{
	struct bench b;

	set_up(&b);
	json_array_append_new(
	    b.vm->concerns,
	    json_pack("{s:s, s:s, s:s}", "category", "Critical", "type",
		      "DiskTruncated", "message", "half of it"));
	check_all(&b.t, &b.found);
	is_int(findings_blocking(&b.found, "web"), 1,
	       "the source's concerns keep the vm back");
	is_str(b.found.v[0].vm, "web", "and bear its name");
	is_int(b.found.v[0].pos.line, 10, "and place");
	tear_down(&b);
}

static void
is_linear(void)
{
	enum { N = 100000 };
	struct test_plan t;
	struct findings found = {.arena = arena_new()};
	struct plan_vm *vms = mem_new(N * sizeof(*vms));
	char(*ids)[16] = mem_new(N * sizeof(*ids));

	test_plan_init(&t);
	test_plan_map_network(&t, "lan", NULL);
	test_plan_map_storage(&t, "a.vmdk", "fast");
	inventory_add_network(t.inv, "lan", "lan");
	inventory_add_storage(t.inv, "a.vmdk", "a.vmdk");
	t.plan.vms = vms;
	t.plan.nvms = N;
	for (size_t i = 0; i < N; i++) {
		snprintf(ids[i], sizeof(*ids), "vm-%zu", i);
		test_plan_nic(&t, test_plan_vm(&t, ids[i], ids[i]), "lan", "");
		/* half of them are not there */
		vms[i].ref.name = vms[i].key = i % 2 ? ids[i] : "missing";
		vms[i].index = i;
	}
	check_all(&t, &found);
	is_int(found.n, N / 2, "a hundred thousand vms are checked");
	findings_done(&found);
	arena_free(found.arena);
	test_plan_done(&t);
	free(vms);
	free(ids);
}

int
main(void)
{
	sound();
	references();
	names();
	disks();
	nics();
	macs();
	firmware();
	concerns();
	is_linear();
	return tap_done();
}
