/* SPDX-License-Identifier: Apache-2.0 */
/* Plans of one manifest against each other: two that would move one vm of the
 * source, or make two vms of one name at one place. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "manifests/checker.h"

/* An entry of another plan. */
struct rival {
	const struct plan *plan;
	const struct plan_vm *pvm;
};

/* Where the plan's vms come from, or where they go. */
static bool
is_one_place(const struct endpoint *a, const struct endpoint *b)
{
	CLEANUP(mem_freep) char *one = NULL;
	CLEANUP(mem_freep) char *other = NULL;

	if (!a || !b || a == b)
		return a && a == b;
	one = endpoint_place(a);
	other = endpoint_place(b);
	return strcmp(one, other) == 0;
}

/* Only a cluster keeps the names of its namespaces apart. */
static bool
is_one_target(const struct plan *a, const struct plan *b)
{
	if (!is_one_place(a->target, b->target))
		return false;
	return !endpoint_has_namespaces(a->target) ||
	       strcmp(a->target_namespace, b->target_namespace) == 0;
}

static void
note(struct checker *c, struct strmap *map, const char *key,
     const struct rival *r)
{
	struct rival *kept;

	if (strmap_get(map, key))
		return;
	kept = arena_alloc(c->arena, sizeof(*kept));
	*kept = *r;
	strmap_add(map, arena_strdup(c->arena, key), kept);
}

static void
note_ids(struct checker *c, const struct plan *other)
{
	for (size_t i = 0; i < other->nvms; i++) {
		struct rival r = {other, &other->vms[i]};
		const struct inv_vm *vm = checker_vm(c, r.pvm);

		if (vm)
			note(c, &c->rival_ids, vm->id, &r);
	}
}

/* `inv` is empty where the other plan's source is not ours: then only what its
 * entries say is known. */
static void
note_names(struct checker *c, const struct plan *other,
	   const struct inventory *inv)
{
	CLEANUP(shape_names_freep)
	struct shape_names *names = shape_names_new(other, inv);

	for (size_t i = 0; i < other->nvms; i++) {
		struct rival r = {other, &other->vms[i]};
		bool ambiguous;

		if (r.pvm->target_name || r.pvm->ref.name ||
		    inventory_find(inv, &r.pvm->ref, &ambiguous))
			note(c, &c->rival_names, shape_names_get(names, r.pvm),
			     &r);
	}
}

void
checker_note_rivals(struct checker *c, const struct manifest *m)
{
	struct inventory *nothing = inventory_new();

	for (size_t i = 0; i < m->nplans_read; i++) {
		const struct plan *other = m->plans[i];
		bool one_source;

		if (other == c->plan || other->archived || c->plan->archived)
			continue;
		one_source = is_one_place(other->source, c->plan->source);
		if (one_source)
			note_ids(c, other);
		if (is_one_target(other, c->plan))
			note_names(c, other, one_source ? c->inv : nothing);
	}
	inventory_free(nothing);
}

static void
say_one_vm(struct checker *c, const struct plan_vm *pvm,
	   const struct inv_vm *vm, const struct rival *r)
{
	checker_about(
	    c, pvm, NULL,
	    findings_add(c->findings, FINDING_CRITICAL, "VMInOtherPlan",
			 "'%s' at the source is also spec.vms[%zu] '%s' of "
			 "Plan %s/%s (%s:%u): one plan alone can move it; "
			 "remove it from the other, or set 'archived: true' "
			 "in a plan that is done with",
			 vm->name, r->pvm->index, r->pvm->key,
			 r->plan->o.namespace, r->plan->o.name,
			 r->pvm->pos.file ? r->pvm->pos.file : "-",
			 r->pvm->pos.line));
}

static void
say_one_name(struct checker *c, const struct plan_vm *pvm,
	     const struct rival *r)
{
	checker_about(
	    c, pvm, NULL,
	    findings_add(c->findings, FINDING_CRITICAL, "TargetNameInOtherPlan",
			 "would be called '%s' at the target, and so would "
			 "spec.vms[%zu] '%s' of Plan %s/%s (%s:%u): give one "
			 "of them another 'targetName', or set 'archived: "
			 "true' in a plan that is done with",
			 shape_names_get(c->names, pvm), r->pvm->index,
			 r->pvm->key, r->plan->o.namespace, r->plan->o.name,
			 r->pvm->pos.file ? r->pvm->pos.file : "-",
			 r->pvm->pos.line));
}

/* Of one vm it goes without saying that its name is one, too. */
void
checker_rivals(struct checker *c, const struct plan_vm *pvm,
	       const struct inv_vm *vm)
{
	const struct rival *r = strmap_get(&c->rival_ids, vm->id);

	if (r) {
		say_one_vm(c, pvm, vm, r);
		return;
	}
	r = strmap_get(&c->rival_names, shape_names_get(c->names, pvm));
	if (r)
		say_one_name(c, pvm, r);
}
