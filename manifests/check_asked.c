/* SPDX-License-Identifier: Apache-2.0 */
/* Migrations against the plan: do they speak of vms it has? */
#include <string.h>

#include "manifests/checker.h"
#include "manifests/text.h"

/* Whom migrations can mean (manifests/asked.c), the other way round. */
struct known {
	struct strmap ids, names;
};

static void
note(struct strmap *map, const char *word, const struct plan_vm *pvm)
{
	if (word)
		strmap_add(map, word, (void *)pvm);
}

static void
note_all(const struct checker *c, struct known *known)
{
	for (size_t i = 0; i < c->plan->nvms; i++) {
		const struct plan_vm *pvm = &c->plan->vms[i];
		const struct inv_vm *vm = checker_vm(c, pvm);

		note(&known->ids, pvm->ref.id, pvm);
		note(&known->names, pvm->ref.name, pvm);
		if (!vm)
			continue;
		note(&known->ids, vm->id, pvm);
		note(&known->names, vm->name, pvm);
	}
}

static bool
is_known(const struct known *known, const struct source_ref *ref)
{
	if (ref->id)
		return strmap_get(&known->ids, ref->id) != NULL;
	return ref->name && strmap_get(&known->names, ref->name);
}

static const char *
nearest_key(const struct checker *c, const char *name)
{
	const char *nearest = NULL;
	size_t best = 0, distance;

	for (size_t i = 0; i < c->plan->nvms; i++) {
		const char *key = c->plan->vms[i].key;

		if (!text_is_near(name, key, &distance) ||
		    (nearest && distance >= best))
			continue;
		nearest = key;
		best = distance;
	}
	return nearest;
}

static void
check_ref(struct checker *c, const struct known *known,
	  const struct migration *m, const char *field, size_t n,
	  const struct source_ref *ref)
{
	const char *wanted = ref->id ? ref->id : ref->name;
	const char *nearest;
	struct finding *f;

	/* one that names nothing was reported when it was read */
	if (!wanted || is_known(known, ref))
		return;
	nearest = c->nsuggestions++ < MOST_SUGGESTIONS ? nearest_key(c, wanted)
						       : NULL;
	f = findings_add(c->findings, FINDING_ERROR, "VMNotFound",
			 "%s[%zu] names '%s', which is no vm of the plan%s%s%s",
			 field, n, wanted, nearest ? "; did you mean '" : "",
			 nearest ? nearest : "", nearest ? "'?" : "");
	f->object = arena_printf(c->findings->arena, "Migration %s/%s",
				 m->o.namespace, m->o.name);
	f->field = arena_printf(c->findings->arena, "%s[%zu]", field, n);
	f->pos = ref->pos.file ? ref->pos : m->o.pos;
}

static void
check_migration(struct checker *c, const struct known *known,
		const struct migration *m)
{
	for (size_t n = 0; n < m->ncancel; n++)
		check_ref(c, known, m, "spec.cancel", n, &m->cancel[n]);
	for (size_t n = 0; n < m->nvm_cutovers; n++)
		check_ref(c, known, m, "spec.vmCutovers", n,
			  &(struct source_ref){.id = m->vm_cutovers[n].id,
					       .pos = m->vm_cutovers[n].pos});
}

void
checker_asked(struct checker *c)
{
	struct known known = {0};

	if (c->plan->nmigrations == 0)
		return;
	note_all(c, &known);
	for (size_t i = 0; i < c->plan->nmigrations; i++)
		check_migration(c, &known, c->plan->migrations[i]);
	strmap_done(&known.ids);
	strmap_done(&known.names);
}
