/* SPDX-License-Identifier: Apache-2.0 */
/* The questions a batch has for its endpoints: one child each. */
#include "batch_ask.h"

#include <limits.h>

#include "ask.h"
#include "base/clock.h"
#include "base/mem.h"

#define TELL_EVERY_MS 10

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

/* First what all vms share, then vm after vm. */
static int
ask_source(void *arg, struct answer *to, struct work_link *link,
	   struct err *err)
{
	const struct batch *b = arg;
	struct inventory *inv = inventory_new();
	int rc = stages_inventory(b->plan->source, inv, err);

	(void)link;
	if (rc == 0) {
		answer_add(to, inventory_to_json(inv, 0));
		for (size_t i = 0; i < inv->nvms; i++)
			answer_add(to, inv_vm_to_json(&inv->vms[i]));
	}
	inventory_free(inv);
	return rc;
}

static int
take_inventory(void *arg, const json_t *piece, struct err *err)
{
	struct batch *b = arg;

	if (!b->inventory)
		return inventory_from_json(piece, &b->inventory, err);
	return inventory_add_json(b->inventory, piece, err);
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
	struct question q = {ask_source, take_inventory, b, what,
			     inventory_deadline(b->plan->policy)};

	return ask(&q, err);
}

struct checking {
	struct batch *batch;
	bool read_data;
};

/* In a child: what validate would find, for every vm that is to be moved. */
static int
check_vms(void *arg, struct answer *to, struct work_link *link, struct err *err)
{
	const struct checking *c = arg;
	struct findings f = {.arena = arena_new()};
	struct work w = {.link = link};
	struct stages_checked checked = {.work = &w};
	int64_t told = clock_mono_ms();

	for (size_t i = 0; i < c->batch->nvms; i++) {
		const struct batch_vm *v = &c->batch->vms[i];
		size_t before = f.n;

		if (!batch_is_to_move(v) || batch_is_handed_over(v))
			continue;
		/* each vm has its own time */
		if (clock_mono_ms() - told >= TELL_EVERY_MS) {
			work_progress(&w, i, c->batch->nvms);
			told = clock_mono_ms();
		}
		if (stages_check(&v->run.view, c->read_data, &checked, &f,
				 err) < 0)
			findings_add(&f, FINDING_ERROR, "CheckFailed", "%s",
				     err->text);
		for (size_t k = before; k < f.n; k++)
			if (!f.v[k].vm)
				f.v[k].vm = v->run.pvm->key;
	}
	stages_checked_done(&checked);
	answer_add(to, findings_to_json(&f));
	findings_done(&f);
	arena_free(f.arena);
	return 0;
}

static int
take_findings(void *arg, const json_t *piece, struct err *err)
{
	const struct checking *c = arg;

	(void)err;
	findings_add_json(&c->batch->findings, piece);
	return 0;
}

int
batch_check(struct batch *b, bool read_data, struct err *err)
{
	struct checking c = {.batch = b, .read_data = read_data};
	struct question q = {check_vms, take_findings, &c,
			     "checking the endpoints",
			     b->plan->policy->deadlines.wait_ms};

	return batch_has_questions(b) ? ask(&q, err) : 0;
}
