/* SPDX-License-Identifier: Apache-2.0 */
/* What several migrations ask for one vm: cancels are united, and cutovers
 * must agree. */
#include <string.h>

#include "manifests/model.h"

static bool
is_either(const char *word, const char *one, const char *other)
{
	return (one && strcmp(word, one) == 0) ||
	       (other && strcmp(word, other) == 0);
}

bool
plan_vm_meant(const struct source_ref *ref, const struct plan_vm *vm,
	      const char *id, const char *name)
{
	if (ref->id)
		return is_either(ref->id, vm->ref.id, id);
	return ref->name && is_either(ref->name, vm->ref.name, name);
}

static bool
is_cancelled(const struct migration *m, const struct plan_vm *vm,
	     const char *id, const char *name)
{
	for (size_t i = 0; i < m->ncancel; i++)
		if (plan_vm_meant(&m->cancel[i], vm, id, name))
			return true;
	return false;
}

static int64_t
cutover_of(const struct migration *m, const struct plan_vm *vm, const char *id)
{
	for (size_t i = 0; i < m->nvm_cutovers; i++)
		if (m->vm_cutovers[i].id &&
		    is_either(m->vm_cutovers[i].id, vm->ref.id, id))
			return m->vm_cutovers[i].cutover_ms;
	return m->cutover_ms;
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
