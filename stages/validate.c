/* SPDX-License-Identifier: Apache-2.0 */
/* validate: nothing is touched before it passes. */
#include <stdlib.h>

#include "base/arena.h"
#include "base/mem.h"
#include "manifests/check.h"
#include "stages/inputs.h"
#include "stages/stage.h"

static void
validate_inputs(const struct view *v, const struct inv_disk *disk, json_t *ret)
{
	(void)disk;
	inputs_replica(v, NULL, ret);
	inputs_shape(v, ret);
}

/* Names and maps that are wrong are findings. */
static int
look_at_mark(struct work *w, struct err *err)
{
	if (stages_look_at_mark(w->view, err) == 0 || err->class == ERR_USER)
		return 0;
	return -1;
}

/* The first finding that blocks, as the step's error; the others are in the
 * log. */
static int
refuse(struct work *w, const struct findings *f, struct err *err)
{
	const struct finding *first = NULL;
	size_t nblocking = 0;

	for (size_t i = 0; i < f->n; i++) {
		if (!finding_blocks(&f->v[i]))
			continue;
		work_log(w, LOG_LEVEL_ERROR, "%s %s: %s",
			 finding_category_name(f->v[i].category), f->v[i].type,
			 f->v[i].message);
		nblocking++;
		if (!first)
			first = &f->v[i];
	}
	if (!first)
		return 0;
	/* taken by another since it was looked at: that is why */
	if (look_at_mark(w, err) < 0)
		return -1;
	if (nblocking == 1)
		return err_set(err, ERR_NOT_READY, "%s: %s", first->type,
			       first->message);
	return err_set(err, ERR_NOT_READY, "%s: %s (and %zu more findings)",
		       first->type, first->message, nblocking - 1);
}

/* Who can collide with whom was found for the whole plan before; this process
 * has it from its parent. */
static void
check_against_others(const struct view *v, struct findings *findings)
{
	CLEANUP(checker_freep) struct checker *own = NULL;

	if (!v->checker)
		own = checker_new(v->manifest, v->plan, v->inventory);
	check_plan_vm(own ? own : v->checker, v->pvm, findings);
}

static int
validate_run(struct work *w, json_t **ret_facts, struct err *err)
{
	struct findings findings = {.arena = arena_new()};
	struct stages_checked checked = {.work = w};

	/* before all else: an exit code of its own says that it is taken */
	if (look_at_mark(w, err) < 0)
		return -1;
	work_doing(w, "asking source and target");
	check_against_others(w->view, &findings);
	if (stages_check(w->view, true, &checked, &findings, err) < 0 ||
	    refuse(w, &findings, err) < 0)
		return -1;
	*ret_facts =
	    json_pack("{s:o}", "findings", findings_to_json(&findings));
	return 0;
}

/* No probe: it changes nothing, and what it says is as old as it is. */
const struct stage stage_validate = {
    .name = "validate",
    .scope = STAGE_VM,
    .inputs = validate_inputs,
    .run = validate_run,
    .tells_progress = true,
};
