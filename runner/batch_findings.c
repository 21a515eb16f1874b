/* SPDX-License-Identifier: Apache-2.0 */
/* From findings to verdicts. */
#include "batch_findings.h"

#include <string.h>

#include "base/mem.h"
#include "batch_ask.h"

/* `plan` is how findings name the plan, or NULL when they are all about it. */
static void
add_blocking(struct strmap *blocking, const struct findings *f,
	     const char *plan)
{
	for (size_t i = 0; i < f->n; i++) {
		struct finding *one = &f->v[i];

		if (finding_blocks(one) &&
		    (!plan || (one->vm && one->object &&
			       strcmp(one->object, plan) == 0)))
			strmap_add(blocking, one->vm ? one->vm : "", one);
	}
}

void
batch_find_blocking(const struct batch *b, const struct batch_opts *opts,
		    struct strmap *ret)
{
	CLEANUP(mem_freep)
	char *plan =
	    mem_printf("Plan %s/%s", b->plan->o.namespace, b->plan->o.name);

	if (opts->read)
		add_blocking(ret, opts->read, plan);
	add_blocking(ret, &b->findings, NULL);
}

int
batch_check_findings(const struct strmap *blocking, const struct batch_vm *v,
		     struct err *err)
{
	const struct finding *f = strmap_get(blocking, v->run.pvm->key);

	if (!f)
		f = strmap_get(blocking, "");
	if (!f)
		return 0;
	return err_set(err, ERR_NOT_READY, "%s: %s", f->type, f->message);
}

void
batch_heed_findings(struct batch *b)
{
	CLEANUP(strmap_done) struct strmap blocking = {0};

	add_blocking(&blocking, &b->findings, NULL);
	for (size_t i = 0; i < b->nvms; i++) {
		struct batch_vm *v = &b->vms[i];

		if (!batch_is_to_move(v) || batch_is_handed_over(v) ||
		    batch_check_findings(&blocking, v, &v->error) == 0)
			continue;
		v->verdict = BATCH_BACK;
		v->digest[0] = '\0';
	}
}
