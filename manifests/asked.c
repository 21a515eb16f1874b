/* SPDX-License-Identifier: Apache-2.0 */
/* What several migrations ask for one vm: cancels are united, and cutovers
 * must agree. */
#include <string.h>

#include "base/arena.h"
#include "manifests/model.h"
#include "manifests/strmap.h"

/* Whom a migration names: each vm is looked up, not each entry compared. */
struct asked_index {
	struct strmap cancel_ids, cancel_names; /* to struct source_ref */
	struct strmap cutover_ids;		/* to struct vm_cutover */
};

static void
drop_index(void *arg)
{
	struct asked_index *index = arg;

	strmap_done(&index->cancel_ids);
	strmap_done(&index->cancel_names);
	strmap_done(&index->cutover_ids);
}

/* As everywhere, the id goes before the name. */
void
migration_index(struct migration *m, struct arena *arena)
{
	struct asked_index *index = arena_alloc(arena, sizeof(*index));

	arena_defer(arena, drop_index, index);
	m->index = index;
	for (size_t i = 0; i < m->ncancel; i++) {
		struct source_ref *ref = &m->cancel[i];

		if (ref->id)
			strmap_add(&index->cancel_ids, ref->id, ref);
		else if (ref->name)
			strmap_add(&index->cancel_names, ref->name, ref);
	}
	for (size_t i = 0; i < m->nvm_cutovers; i++)
		if (m->vm_cutovers[i].id)
			strmap_add(&index->cutover_ids, m->vm_cutovers[i].id,
				   &m->vm_cutovers[i]);
}

static void *
find(const struct strmap *map, const char *word)
{
	return word ? strmap_get(map, word) : NULL;
}

static bool
is_cancelled(const struct migration *m, const struct plan_vm *vm,
	     const char *id, const char *name)
{
	return find(&m->index->cancel_ids, vm->ref.id) ||
	       find(&m->index->cancel_ids, id) ||
	       find(&m->index->cancel_names, vm->ref.name) ||
	       find(&m->index->cancel_names, name);
}

static int64_t
cutover_of(const struct migration *m, const struct plan_vm *vm, const char *id)
{
	const struct vm_cutover *its = find(&m->index->cutover_ids, vm->ref.id);

	if (!its)
		its = find(&m->index->cutover_ids, id);
	return its ? its->cutover_ms : m->cutover_ms;
}

void
plan_vm_asked(const struct plan *p, const struct plan_vm *vm, const char *id,
	      const char *name, struct vm_asked *ret)
{
	struct vm_asked asked = {0};

	for (size_t i = 0; i < p->nmigrations; i++) {
		const struct migration *m = p->migrations[i];
		int64_t cutover_ms = cutover_of(m, vm, id);

		if (!asked.cancelled_by && is_cancelled(m, vm, id, name))
			asked.cancelled_by = m;
		if (!cutover_ms)
			continue;
		if (!asked.cutover_by) {
			asked.cutover_by = m;
			asked.cutover_ms = cutover_ms;
		} else if (!asked.differs && cutover_ms != asked.cutover_ms)
			asked.differs = m;
	}
	*ret = asked;
}
