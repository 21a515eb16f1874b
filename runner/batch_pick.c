/* SPDX-License-Identifier: Apache-2.0 */
/* Which vms a batch is about. */
#include "batch_pick.h"

#include <string.h>

#include "base/mem.h"
#include "leftover.h"

static bool
is_wanted(const struct plan_vm *pvm, const char *const *only)
{
	if (!only || !only[0])
		return true;
	for (; *only; only++)
		if (strcmp(*only, pvm->key) == 0)
			return true;
	return false;
}

static void
add_vm(struct batch *b, const struct plan_vm *pvm)
{
	struct batch_vm *v = &b->vms[b->nvms++];

	v->run.pvm = pvm;
	v->run.log_fd = -1;
}

/* --vm may name it twice. */
static bool
is_added(const struct batch *b, const struct plan_vm *pvm)
{
	for (size_t i = 0; i < b->nvms; i++)
		if (b->vms[i].run.pvm == pvm)
			return true;
	return false;
}

/* A vm that the plan has no entry for any more is given back and cleaned up
 * by its records: that takes no entry. */
static int
add_leftovers(struct batch *b, const struct batch_opts *opts,
	      const struct plan_vm *all, size_t n, struct err *err)
{
	const struct plan *p = b->plan;
	bool may = opts->aim != AIM_RUN && opts->aim != AIM_VERIFY;

	for (const char *const *only = opts->only; only && *only; only++) {
		const struct plan_vm *pvm = leftover_find(all, n, *only);

		if (plan_vm_find(p, *only))
			continue;
		if (!pvm)
			return err_set(err, ERR_USER,
				       "plan %s/%s has no vm '%s'",
				       p->o.namespace, p->o.name, *only);
		if (!may)
			return err_set(err, ERR_USER,
				       "plan %s/%s has no vm '%s' any more, "
				       "but its state is there: put its entry "
				       "back to go on, or see 'palletjack "
				       "status'",
				       p->o.namespace, p->o.name, *only);
		if (!is_added(b, pvm))
			add_vm(b, pvm);
	}
	return 0;
}

/* Reading an archived plan does not ask for all that it names. */
static int
check_whole(const struct plan *p, struct err *err)
{
	const char *missing = !p->source	? "source"
			      : !p->target	? "destination"
			      : !p->storage_map ? "storage map"
						: NULL;

	if (!missing)
		return 0;
	return err_set(err, ERR_NOT_READY,
		       "plan %s/%s is archived, and its %s is not in the "
		       "manifest, or cannot be used: put it back for this",
		       p->o.namespace, p->o.name, missing);
}

int
batch_pick(struct batch *b, const struct batch_opts *opts, struct err *err)
{
	const struct plan *p = b->plan;
	size_t n;
	const struct plan_vm *left = leftovers(b->root, p, b->arena, &n);

	b->vms = mem_new((p->nvms + n + 1) * sizeof(*b->vms));
	if (opts->aim != AIM_RUN && check_whole(p, err) < 0)
		return -1;
	for (size_t i = 0; i < p->nvms; i++)
		if (is_wanted(&p->vms[i], opts->only))
			add_vm(b, &p->vms[i]);
	return add_leftovers(b, opts, left, n, err);
}
