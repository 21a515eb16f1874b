/* SPDX-License-Identifier: Apache-2.0 */
/* The target as one vm's stages see it. */
#include "stages/place.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"

#define MARGIN_MS 3000
#define UNLIMITED_MS ((int64_t)24 * 60 * 60 * 1000)

int
place_open(const struct view *v, struct place *ret, struct err *err)
{
	const struct target_ops *ops = target_find(v->plan->target->type);

	if (!ops)
		return err_set(err, ERR_USER,
			       "this build has no target of type '%s'",
			       v->plan->target->type);
	*ret = (struct place){
	    .ops = ops,
	    .vm = {.endpoint = v->plan->target,
		   .plan = v->plan,
		   .pvm = v->pvm,
		   .vm = v->vm,
		   .shape = v->shape,
		   .state_uuid = v->state_uuid},
	};
	ret->volumes = mem_new((v->shape->ndisks + 1) * sizeof(*ret->volumes));
	for (size_t i = 0; i < v->shape->ndisks; i++)
		ops->volume(&ret->vm, i, &ret->volumes[i]);
	return 0;
}

void
place_done(struct place *p)
{
	for (size_t i = 0; p->volumes && i < p->vm.shape->ndisks; i++)
		volume_done(&p->volumes[i]);
	free(p->volumes);
	p->volumes = NULL;
}

char *
place_ledger(const struct view *v, const struct inv_disk *disk)
{
	return mem_printf("%s/ledger/%s.ledger", v->state_dir, disk->id);
}

int64_t
place_deadline(const struct work *w, int64_t limit_ms)
{
	int64_t own = clock_mono_ms() + (limit_ms ? limit_ms : UNLIMITED_MS);
	int64_t step = w->mono_deadline_ms - MARGIN_MS;

	return w->mono_deadline_ms && step < own ? step : own;
}
