/* SPDX-License-Identifier: Apache-2.0 */
/* Waves of a run policy: that they make sense, and which vms are in them. */
#include <string.h>

#include "base/mem.h"
#include "manifests/load.h"

static void
say_wave(struct reader *r, const struct run_policy *policy, size_t i,
	 const char *text)
{
	const struct wave *w = &policy->waves[i];
	CLEANUP(mem_freep) char *field = mem_printf("spec.waves[%zu]", i);

	say(r, FINDING_ERROR, "WaveNotValid", &policy->o,
	    w->pos.file ? w->pos : policy->o.pos, field, "%s", text);
}

static int
find_wave(const struct run_policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->nwaves; i++)
		if (policy->waves[i].name &&
		    strcmp(policy->waves[i].name, name) == 0)
			return (int)i;
	return -1;
}

/* The numbers of the waves it waits for, those that are there. */
static void
resolve_after(struct reader *r, struct run_policy *policy, size_t i)
{
	struct wave *w = &policy->waves[i];
	size_t n = 0;

	w->after_waves =
	    arena_alloc(r->arena, (w->nafter + 1) * sizeof(*w->after_waves));
	for (size_t k = 0; k < w->nafter; k++) {
		int found = w->after[k] ? find_wave(policy, w->after[k]) : -1;

		if (found >= 0) {
			w->after_waves[n++] = (size_t)found;
			continue;
		}
		CLEANUP(mem_freep)
		char *text = mem_printf("is after '%s', which is no wave of "
					"this policy",
					w->after[k] ? w->after[k] : "");

		say_wave(r, policy, i, text);
	}
	w->nafter = n;
}

/* Depth first; a wave met again on its own path waits for itself. */
static bool
waits_for_itself(const struct run_policy *policy, size_t i, char *seen)
{
	const struct wave *w = &policy->waves[i];

	if (seen[i])
		return seen[i] == 1;
	seen[i] = 1;
	for (size_t k = 0; k < w->nafter; k++)
		if (waits_for_itself(policy, w->after_waves[k], seen))
			return true;
	seen[i] = 2;
	return false;
}

static void
check_cycles(struct reader *r, struct run_policy *policy)
{
	CLEANUP(mem_freep) char *seen = mem_new(policy->nwaves + 1);

	for (size_t i = 0; i < policy->nwaves; i++) {
		if (!waits_for_itself(policy, i, seen))
			continue;
		say_wave(r, policy, i,
			 "waits for itself: its `after` leads back to it");
		/* one cycle said is enough, and nothing may walk along it */
		for (size_t k = 0; k < policy->nwaves; k++)
			policy->waves[k].nafter = 0;
		return;
	}
}

void
finish_waves(struct reader *r, struct run_policy *policy)
{
	const json_t *written = json_object_get(policy->o.spec, "waves");

	for (size_t i = 0; i < policy->nwaves; i++) {
		struct wave *w = &policy->waves[i];

		w->number = i;
		if (!json_is_integer(json_object_get(json_array_get(written, i),
						     "maxFailures")))
			w->max_failures = -1;
		w->known =
		    arena_alloc(r->arena, (w->nvms + 1) * sizeof(*w->known));
		if (w->name && find_wave(policy, w->name) != (int)i)
			say_wave(r, policy, i,
				 "has the name of an earlier wave; give it "
				 "another");
	}
	for (size_t i = 0; i < policy->nwaves; i++)
		resolve_after(r, policy, i);
	check_cycles(r, policy);
}

/* By name or id, as the plan's entries have them. */
static struct plan_vm *
find_vm(const struct plan *p, const struct strmap *ids, const char *name)
{
	const struct plan_vm *vm = plan_vm_find(p, name);

	return vm ? (struct plan_vm *)vm : strmap_get(ids, name);
}

static void
join(struct reader *r, const struct plan *p, struct plan_vm *vm,
     const struct run_policy *policy, size_t i)
{
	const struct wave *w = &policy->waves[i];
	CLEANUP(mem_freep) char *text = NULL;

	if (!vm->wave) {
		vm->wave = w;
		return;
	}
	text = vm->wave == w
		   ? mem_printf("names vm '%s' of Plan %s/%s twice", vm->key,
				p->o.namespace, p->o.name)
		   : mem_printf("names vm '%s' of Plan %s/%s, which is in wave "
				"'%s', too; a vm is in one wave",
				vm->key, p->o.namespace, p->o.name,
				vm->wave->name ? vm->wave->name : "");
	say_wave(r, policy, i, text);
}

void
resolve_waves(struct reader *r, struct plan *p)
{
	struct run_policy *policy = (struct run_policy *)p->policy;
	struct strmap ids = {0};

	policy->has_plan = true;
	for (size_t i = 0; policy->nwaves && i < p->nvms; i++)
		if (p->vms[i].ref.id)
			strmap_add(&ids, p->vms[i].ref.id, &p->vms[i]);
	for (size_t i = 0; i < policy->nwaves; i++)
		for (size_t k = 0; k < policy->waves[i].nvms; k++) {
			const char *name = policy->waves[i].vms[k];
			struct plan_vm *vm =
			    name ? find_vm(p, &ids, name) : NULL;

			if (!vm)
				continue;
			policy->waves[i].known[k] = true;
			join(r, p, vm, policy, i);
		}
	strmap_done(&ids);
}

/* A policy may serve several plans: a vm has to be in one of them. */
void
check_waves(struct reader *r, const struct run_policy *policy)
{
	for (size_t i = 0; policy->has_plan && i < policy->nwaves; i++)
		for (size_t k = 0; k < policy->waves[i].nvms; k++) {
			const char *name = policy->waves[i].vms[k];
			CLEANUP(mem_freep) char *text = NULL;

			if (policy->waves[i].known[k])
				continue;
			text = mem_printf("names vm '%s', which is in no plan "
					  "that uses this policy",
					  name ? name : "");
			say_wave(r, policy, i, text);
		}
}
