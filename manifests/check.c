/* SPDX-License-Identifier: Apache-2.0 */
/* Plan against inventory: what Forklift's controller would have refused. */
#include "manifests/check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/units.h"
#include "manifests/checker.h"
#include "manifests/text.h"

#define LARGEST_DISK_BYTES ((uint64_t)64 << 40)
#define LEAST_MEMORY_BYTES ((uint64_t)1 << 20)
#define MOST_MEMORY_BYTES ((uint64_t)64 << 40)
#define MOST_CPUS 4096
#define MOST_DISKS 165
#define NAMES_A_SUGGESTION 3

static void
note_macs(struct checker *c, const struct plan_vm *pvm, const struct inv_vm *vm)
{
	struct shape *shape = shape_of(c->arena, c->plan, pvm, vm, c->names);

	for (size_t i = 0; i < shape->nnics; i++)
		strmap_add(&c->macs, shape->nics[i].mac, (void *)pvm);
}

const struct inv_vm *
checker_vm(const struct checker *c, const struct plan_vm *pvm)
{
	bool ambiguous;

	return inventory_find(c->inv, &pvm->ref, &ambiguous);
}

struct checker *
checker_new(const struct manifest *m, const struct plan *plan,
	    const struct inventory *inv)
{
	struct checker *c = mem_new(sizeof(*c));

	c->plan = plan;
	c->inv = inv;
	c->arena = arena_new();
	c->names = shape_names_new(plan, inv);
	for (size_t i = 0; i < plan->nvms; i++) {
		const struct plan_vm *pvm = &plan->vms[i];
		const struct inv_vm *vm = checker_vm(c, pvm);

		if (!vm || strmap_add(&c->vms, vm->id, (void *)pvm))
			continue;
		note_macs(c, pvm, vm);
	}
	if (m)
		checker_note_rivals(c, m);
	return c;
}

void
checker_free(struct checker *c)
{
	if (!c)
		return;
	shape_names_free(c->names);
	strmap_done(&c->vms);
	strmap_done(&c->macs);
	strmap_done(&c->rival_ids);
	strmap_done(&c->rival_names);
	arena_free(c->arena);
	free(c);
}

void
checker_freep(struct checker **c)
{
	checker_free(*c);
}

const struct shape_names *
checker_names(const struct checker *c)
{
	return c->names;
}

/* With findings and an object of its own. */
static struct checker
checker_for(const struct checker *shared, struct findings *findings)
{
	struct checker c = *shared;

	c.findings = findings;
	c.object = arena_printf(findings->arena, "Plan %s/%s",
				c.plan->o.namespace, c.plan->o.name);
	return c;
}

void
checker_about(const struct checker *c, const struct plan_vm *pvm,
	      const char *field, struct finding *f)
{
	f->object = c->object;
	f->vm = pvm->key;
	f->field =
	    arena_printf(c->findings->arena, "spec.vms[%zu]%s%s", pvm->index,
			 field ? "." : "", field ? field : "");
	f->pos = pvm->pos;
}

/* The finding keeps back this vm, but what must be mended is in a map. */
static void
about_map(const struct checker *c, const struct plan_vm *pvm,
	  const struct object *map, struct finding *f)
{
	checker_about(c, pvm, NULL, f);
	if (!map)
		return;
	f->object = arena_printf(c->findings->arena, "%s %s/%s", map->kind,
				 map->namespace, map->name);
	f->field = "spec.map";
	f->pos = map->pos;
}

/* ", did you mean 'web-1' or 'web-2'?" */
static char *
suggest(struct checker *c, const char *name)
{
	CLEANUP(buf_done) struct buf b = {0};
	size_t distance;
	int n = 0;

	if (!name || c->nsuggestions++ >= MOST_SUGGESTIONS)
		return mem_strdup("");
	for (size_t i = 0; i < c->inv->nvms && n < NAMES_A_SUGGESTION; i++) {
		const char *there = c->inv->vms[i].name;

		if (!text_is_near(name, there, &distance))
			continue;
		buf_printf(&b, "%s '%s'", n++ ? " or" : ", did you mean",
			   there);
	}
	buf_adds(&b, n ? "?" : "");
	return buf_steal(&b);
}

static void
check_ambiguous(struct checker *c, const struct plan_vm *pvm)
{
	CLEANUP(buf_done) struct buf ids = {0};
	int n = c->nsuggestions++ < MOST_SUGGESTIONS ? NAMES_A_SUGGESTION : 0;

	for (size_t i = 0; n > 0 && i < c->inv->nvms; i++)
		if (!strcmp(c->inv->vms[i].name, pvm->ref.name) && n--)
			buf_printf(&ids, "%s '%s'", ids.len ? "," : ":",
				   c->inv->vms[i].id);
	checker_about(
	    c, pvm, "name",
	    findings_add(c->findings, FINDING_CRITICAL, "DuplicateVM",
			 "several vms of the source are called '%s'; give "
			 "the 'id' of one of them%s",
			 pvm->ref.name, ids.len ? ids.data : ""));
}

/* The vm the entry means; NULL when it means none, which was reported. */
static const struct inv_vm *
check_reference(struct checker *c, const struct plan_vm *pvm)
{
	CLEANUP(mem_freep) char *meant = NULL;
	const struct inv_vm *vm;
	bool ambiguous;

	/* an entry that names nothing was reported when it was read */
	if (!pvm->ref.id && !pvm->ref.name)
		return NULL;
	vm = inventory_find(c->inv, &pvm->ref, &ambiguous);
	if (ambiguous)
		check_ambiguous(c, pvm);
	if (vm || ambiguous)
		return vm;
	meant = suggest(c, pvm->ref.name);
	checker_about(
	    c, pvm, pvm->ref.id ? "id" : "name",
	    findings_add(c->findings, FINDING_CRITICAL, "VMNotFound",
			 "the source has no vm with the %s '%s'%s",
			 pvm->ref.id ? "id" : "name",
			 pvm->ref.id ? pvm->ref.id : pvm->ref.name, meant));
	return NULL;
}

/* The reader compares what entries say; that two of them, one by id and one by
 * name, mean the same vm only the inventory tells. */
static void
check_duplicate(struct checker *c, const struct plan_vm *pvm,
		const struct inv_vm *vm)
{
	const struct plan_vm *first = strmap_get(&c->vms, vm->id);

	if (!first || first == pvm || !strcmp(first->key, pvm->key) ||
	    (first->ref.id && pvm->ref.id))
		return;
	checker_about(c, pvm, NULL,
		      findings_add(c->findings, FINDING_CRITICAL, "DuplicateVM",
				   "this is the same vm as spec.vms[%zu] '%s'; "
				   "remove one of the entries",
				   first->index, first->key));
}

static void
check_name(struct checker *c, const struct plan_vm *pvm,
	   const struct inv_vm *vm)
{
	const char *name = shape_names_get(c->names, pvm);
	CLEANUP(mem_freep) char *valid = shape_valid_name(vm->name);

	if (pvm->target_name || !strcmp(name, vm->name))
		return;
	checker_about(
	    c, pvm, NULL,
	    findings_add(c->findings, FINDING_WARN, "TargetNameNotValid",
			 "'%s' %s; at the target it becomes '%s', unless "
			 "'targetName' says otherwise",
			 vm->name,
			 !strcmp(valid, vm->name)
			     ? "is the name of another vm of the plan"
			     : "is no valid name there",
			 name));
}

static void
check_disk_size(struct checker *c, const struct plan_vm *pvm,
		const struct inv_disk *disk)
{
	char size[UNITS_TEXT_SIZE];
	uint64_t bytes = disk->capacity_bytes;

	if (bytes > 0 && bytes <= LARGEST_DISK_BYTES)
		return;
	units_format_bytes(bytes, size);
	checker_about(
	    c, pvm, NULL,
	    findings_add(c->findings, FINDING_CRITICAL, "InvalidDiskSizes",
			 "%s '%s' has %s of %s; mend it at the source",
			 disk->id, disk->name,
			 bytes ? "an absurd capacity" : "a capacity", size));
}

static void
check_storage(struct checker *c, const struct plan_vm *pvm,
	      const struct inv_disk *disk)
{
	const struct storage_map *map = c->plan->storage_map;

	/* a plan without a map was reported when it was read */
	if (!map || shape_storage_row(c->plan, disk))
		return;
	about_map(
	    c, pvm, &map->o,
	    findings_add(c->findings, FINDING_CRITICAL, "VMStorageNotMapped",
			 "%s '%s' is on storage '%s', which the map "
			 "does not name; add a row for it",
			 disk->id, disk->name, disk->storage_name));
}

static void
check_disks(struct checker *c, const struct plan_vm *pvm,
	    const struct inv_vm *vm)
{
	if (vm->ndisks == 0)
		checker_about(
		    c, pvm, NULL,
		    findings_add(c->findings, FINDING_ERROR, "VMHasNoDisks",
				 "the vm has no disks: there is nothing to "
				 "move; take it out of the plan"));
	if (vm->ndisks > MOST_DISKS)
		checker_about(
		    c, pvm, NULL,
		    findings_add(c->findings, FINDING_WARN,
				 "VMDiskCountExceedsLimit",
				 "the vm has %zu disks, more than the %d a "
				 "target can attach",
				 vm->ndisks, MOST_DISKS));
	for (size_t i = 0; i < vm->ndisks; i++) {
		check_disk_size(c, pvm, &vm->disks[i]);
		check_storage(c, pvm, &vm->disks[i]);
	}
	if (pvm->root_disk && vm->ndisks &&
	    shape_root_disk(pvm->root_disk, vm) < 0)
		checker_about(
		    c, pvm, "rootDisk",
		    findings_add(c->findings, FINDING_WARN, "RootDiskNotValid",
				 "'%s' is none of the vm's %zu disks (sda "
				 "is the first); the first will boot",
				 pvm->root_disk, vm->ndisks));
}

/* The nic got no row: no row names its network, or all were used up. */
static void
check_unmapped(struct checker *c, const struct plan_vm *pvm,
	       const struct inv_nic *nic)
{
	const struct network_map *map = c->plan->network_map;
	const char *why = "which no network map names; add a row for it";
	size_t npool = 0;

	for (size_t i = 0; map && i < map->nrows; i++)
		npool += shape_row_matches(&map->rows[i], nic);
	if (npool)
		why = "whose rows in the map other nics of this vm use up; "
		      "add one with another network";
	else if (!*nic->network_name)
		why = "because it is connected to none; connect it at the "
		      "source";
	about_map(
	    c, pvm, map ? &map->o : NULL,
	    findings_add(c->findings, FINDING_CRITICAL, "VMNetworksNotMapped",
			 "nic '%s' has no place on network '%s', %s", nic->name,
			 nic->network_name, why));
}

static void
check_nics(struct checker *c, const struct plan_vm *pvm,
	   const struct inv_vm *vm)
{
	CLEANUP(mem_freep)
	const struct network_row **rows = shape_network_rows(c->plan, vm);
	size_t npod = 0;

	for (size_t i = 0; i < vm->nnics; i++) {
		if (!rows[i])
			check_unmapped(c, pvm, &vm->nics[i]);
		else
			npod += rows[i]->type == NETWORK_POD;
	}
	if (npod > 1)
		about_map(c, pvm, &c->plan->network_map->o,
			  findings_add(c->findings, FINDING_CRITICAL,
				       "VMMultiplePodNetworkMappings",
				       "%zu nics would be on the pod network, "
				       "which takes one of each vm; map the "
				       "others to 'multus' or 'ignored'",
				       npod));
}

static void
check_macs(struct checker *c, const struct plan_vm *pvm,
	   const struct inv_vm *vm)
{
	struct shape *shape = shape_of(c->arena, c->plan, pvm, vm, c->names);

	for (size_t i = 0; i < shape->nnics; i++) {
		const struct shape_nic *nic = &shape->nics[i];
		const struct plan_vm *first = strmap_get(&c->macs, nic->mac);
		bool again = false;

		for (size_t j = 0; j < i; j++)
			again |= !strcmp(shape->nics[j].mac, nic->mac);
		if ((!first || first == pvm) && !again)
			continue;
		checker_about(
		    c, pvm, NULL,
		    findings_add(c->findings, FINDING_CRITICAL, "MacConflicts",
				 "nic '%s' has the address %s, which '%s' "
				 "of this plan has, too; change one of them "
				 "at the source",
				 nic->source->name, nic->mac,
				 first ? first->key : pvm->key));
	}
}

static void
check_firmware(struct checker *c, const struct plan_vm *pvm,
	       const struct inv_vm *vm)
{
	if (vm->tpm)
		checker_about(
		    c, pvm, NULL,
		    findings_add(c->findings, FINDING_WARN, "TPMStateLost",
				 "the vm gets a new, empty TPM: suspend what "
				 "is sealed to the old one (BitLocker, "
				 "clevis) before the cutover"));
	if (vm->secure_boot && !vm->efi)
		checker_about(
		    c, pvm, NULL,
		    findings_add(c->findings, FINDING_WARN,
				 "SecureBootWithoutEFI",
				 "the source asks for secure boot with BIOS "
				 "firmware; the target boots without it"));
	if (vm->efi)
		checker_about(
		    c, pvm, NULL,
		    findings_add(c->findings, FINDING_INFORMATION,
				 "EFIVariablesLost",
				 "the firmware's variables are not carried "
				 "over: the guest boots by its fallback "
				 "path"));
}

static void
check_size(struct checker *c, const struct plan_vm *pvm,
	   const struct inv_vm *vm)
{
	/* none of the three is so large that this wraps */
	bool sane = vm->sockets <= MOST_CPUS && vm->cores <= MOST_CPUS &&
		    vm->threads <= MOST_CPUS;
	uint64_t cpus =
	    sane ? (uint64_t)vm->sockets * vm->cores * vm->threads : UINT64_MAX;

	if (cpus > MOST_CPUS)
		checker_about(
		    c, pvm, NULL,
		    findings_add(c->findings, FINDING_ERROR, "VMCpuNotValid",
				 "the source says more than %d processors; "
				 "mend it there",
				 MOST_CPUS));
	if (vm->memory_bytes < LEAST_MEMORY_BYTES ||
	    vm->memory_bytes > MOST_MEMORY_BYTES)
		checker_about(
		    c, pvm, NULL,
		    findings_add(c->findings, FINDING_ERROR, "VMMemoryNotValid",
				 "the source says %" PRIu64 " bytes of "
				 "memory; mend it there",
				 vm->memory_bytes));
}

static void
pass_on_concerns(struct checker *c, const struct plan_vm *pvm,
		 const struct inv_vm *vm)
{
	size_t n = c->findings->n;

	findings_add_json(c->findings, vm->concerns);
	for (; n < c->findings->n; n++)
		checker_about(c, pvm, NULL, &c->findings->v[n]);
}

/* Those that reading the manifest could not see: named by the source's id. */
static void
check_cutover(struct checker *c, const struct plan_vm *pvm,
	      const struct inv_vm *vm)
{
	struct vm_asked before, now;
	struct finding *f;

	plan_vm_asked(c->plan, pvm, NULL, NULL, &before);
	plan_vm_asked(c->plan, pvm, vm->id, vm->name, &now);
	if (before.differs || !now.differs)
		return;
	f = findings_add(c->findings, FINDING_ERROR, "CutoverDiffers",
			 "Migrations '%s' and '%s' set different cutover times "
			 "for it; leave only one",
			 now.cutover_by->o.name, now.differs->o.name);
	f->object = c->object;
	f->vm = pvm->key;
	f->pos = now.differs->o.pos;
}

static void
check_vm(struct checker *c, const struct plan_vm *pvm)
{
	const struct inv_vm *vm = check_reference(c, pvm);

	if (!vm)
		return;
	pass_on_concerns(c, pvm, vm);
	check_duplicate(c, pvm, vm);
	checker_rivals(c, pvm, vm);
	check_name(c, pvm, vm);
	check_disks(c, pvm, vm);
	check_nics(c, pvm, vm);
	if (strmap_get(&c->vms, vm->id) == pvm)
		check_macs(c, pvm, vm);
	check_firmware(c, pvm, vm);
	check_cutover(c, pvm, vm);
	check_size(c, pvm, vm);
}

/* `known` are the ids and names the source has. */
static void
check_row(struct checker *c, const struct object *map, size_t n,
	  const struct source_ref *ref, const struct strmap *known)
{
	const char *type = !strcmp(map->kind, "NetworkMap")
			       ? "SourceNetworkNotValid"
			       : "SourceStorageNotValid";
	const char *wanted = ref->id ? ref->id : ref->name;
	struct finding *f;

	if (!wanted || strmap_get(known, wanted))
		return;
	f = findings_add(c->findings, FINDING_WARN, type,
			 "the source has no '%s'; the row does nothing",
			 wanted);
	f->object = arena_printf(c->findings->arena, "%s %s/%s", map->kind,
				 map->namespace, map->name);
	f->field = arena_printf(c->findings->arena, "spec.map[%zu].source", n);
	f->pos = ref->pos.file ? ref->pos : map->pos;
}

static void
note_named(struct strmap *known, const struct inv_named *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		strmap_add(known, list[i].id, (void *)&list[i]);
		strmap_add(known, list[i].name, (void *)&list[i]);
	}
}

static void
check_maps(struct checker *c)
{
	CLEANUP(strmap_done) struct strmap networks = {0}, storages = {0};
	const struct network_map *nets = c->plan->network_map;
	const struct storage_map *disks = c->plan->storage_map;

	note_named(&networks, c->inv->networks, c->inv->nnetworks);
	note_named(&storages, c->inv->storages, c->inv->nstorages);
	for (size_t i = 0; nets && i < nets->nrows; i++)
		check_row(c, &nets->o, i, &nets->rows[i].source, &networks);
	for (size_t i = 0; disks && i < disks->nrows; i++)
		if (!shape_is_every_storage(&disks->rows[i].source))
			check_row(c, &disks->o, i, &disks->rows[i].source,
				  &storages);
}

void
check_plan(const struct checker *shared, struct findings *findings)
{
	struct checker c = checker_for(shared, findings);

	findings_add_json(findings, c.inv->concerns);
	check_maps(&c);
	checker_asked(&c);
	for (size_t i = 0; i < c.plan->nvms; i++)
		check_vm(&c, &c.plan->vms[i]);
}

void
check_plan_vm(const struct checker *shared, const struct plan_vm *pvm,
	      struct findings *findings)
{
	struct checker c = checker_for(shared, findings);

	check_vm(&c, pvm);
}
