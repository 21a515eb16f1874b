/* SPDX-License-Identifier: Apache-2.0 */
/* The questions a batch has for its endpoints: one child each. */
#include "batch_ask.h"

#include <limits.h>

#include "ask.h"
#include "base/clock.h"
#include "base/mem.h"

bool
batch_is_to_move(const struct batch_vm *v)
{
	return v->verdict == BATCH_READY && v->run.aim == AIM_RUN;
}

bool
batch_is_handed_over(const struct batch_vm *v)
{
	const struct step_history *start =
	    v->run.state ? history_past(v->run.state->history, "start") : NULL;

	return batch_is_to_move(v) && v->recorded && v->run.schedule && start &&
	       start->state == HISTORY_DONE;
}

bool
batch_has_questions(const struct batch *b)
{
	for (size_t i = 0; i < b->nvms; i++)
		if (batch_is_to_move(&b->vms[i]) &&
		    !batch_is_handed_over(&b->vms[i]))
			return true;
	return false;
}

static int
ask_source(void *arg, struct work_link *link, json_t **ret_answer,
	   struct err *err)
{
	const struct endpoint *source = arg;
	struct inventory *inv = inventory_new();
	int rc = stages_inventory(source, inv, err);

	(void)link;
	if (rc == 0)
		*ret_answer = inventory_to_json(inv);
	inventory_free(inv);
	return rc;
}

static int64_t
inventory_deadline(const struct run_policy *policy)
{
	const char *text = json_string_value(
	    json_object_get(policy->deadlines.stage, "inventory"));
	int64_t ms;

	if (text && clock_parse_duration(text, &ms) == 0)
		return ms;
	return policy->deadlines.wait_ms;
}

int
batch_survey(struct batch *b, struct err *err)
{
	const struct endpoint *source = b->plan->source;
	CLEANUP(mem_freep)
	char *what = mem_printf("asking the source, %s %s/%s", source->o.kind,
				source->o.namespace, source->o.name);
	json_t *answer = NULL;
	int rc;

	if (ask(ask_source, (void *)b->plan->source, what,
		inventory_deadline(b->plan->policy), &answer, err) < 0)
		return -1;
	rc = inventory_from_json(answer, &b->inventory, err);
	json_decref(answer);
	return rc;
}

struct checking {
	struct batch *batch;
	bool read_data;
};

/* In a child: what validate would find, for every vm that is to be moved. */
static int
check_vms(void *arg, struct work_link *link, json_t **ret_answer,
	  struct err *err)
{
	const struct checking *c = arg;
	struct findings f = {.arena = arena_new()};
	struct work w = {.link = link};
	struct stages_checked checked = {.work = &w};

	for (size_t i = 0; i < c->batch->nvms; i++) {
		const struct batch_vm *v = &c->batch->vms[i];
		size_t before = f.n;

		if (!batch_is_to_move(v) || batch_is_handed_over(v))
			continue;
		/* each vm has its own time */
		work_progress(&w, i, c->batch->nvms);
		if (stages_check(&v->run.view, c->read_data, &checked, &f,
				 err) < 0)
			findings_add(&f, FINDING_ERROR, "CheckFailed", "%s",
				     err->text);
		for (size_t k = before; k < f.n; k++)
			if (!f.v[k].vm)
				f.v[k].vm = v->run.pvm->key;
	}
	stages_checked_done(&checked);
	*ret_answer = findings_to_json(&f);
	findings_done(&f);
	arena_free(f.arena);
	return 0;
}

int
batch_check(struct batch *b, bool read_data, struct err *err)
{
	struct checking c = {.batch = b, .read_data = read_data};
	json_t *answer = NULL;

	if (!batch_has_questions(b))
		return 0;
	if (ask(check_vms, &c, "checking the endpoints",
		b->plan->policy->deadlines.wait_ms, &answer, err) < 0)
		return -1;
	findings_add_json(&b->findings, answer);
	json_decref(answer);
	return 0;
}
