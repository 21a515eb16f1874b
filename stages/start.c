/* SPDX-License-Identifier: Apache-2.0 */
/* start: hand the vm over.
 *
 * The source is looked at, the mark is stored at the target, the target is
 * started, the source is looked at again; if it runs, the target does not.
 * A vm that shall stay off is handed over as well: its mark says so, and its
 * operator may start it from then on. */
#include <string.h>

#include "base/mem.h"
#include "stages/place.h"
#include "stages/source/source.h"

static bool
shall_run(const struct work *w)
{
	const char *was;

	if (w->view->pvm->target_power != POWER_AUTO)
		return w->view->pvm->target_power == POWER_ON;
	was = json_string_value(
	    json_object_get(work_fact(w, "cutover"), "power"));
	return was && strcmp(was, "on") == 0;
}

static void
inputs(const struct view *v, const struct inv_disk *disk, json_t *ret)
{
	static const char *const words[] = {
	    [POWER_AUTO] = "auto", [POWER_ON] = "on", [POWER_OFF] = "off"};

	(void)disk;
	json_object_set_new(ret, "targetPowerState",
			    json_string(words[v->pvm->target_power]));
}

/* Sources that cannot run are off.  One that does not say is not known to be
 * off. */
static int
source_must_be_off(const struct view *v, struct err *err)
{
	const struct endpoint *ep = v->plan->source;
	const struct source_ops *ops = source_find(ep->type);
	enum power_state state = POWER_STATE_OFF;

	if (!ops)
		return err_set(err, ERR_USER,
			       "this build has no source of type '%s'",
			       ep->type);
	if (ops->power_state && ops->power_state(ep, v->vm, &state, err) < 0)
		return err_wrap(err, "asking whether the source runs");
	if (state == POWER_STATE_OFF)
		return 0;
	return err_set(err, state == POWER_STATE_ON ? ERR_FAIL : ERR_RETRY,
		       state == POWER_STATE_ON
			   ? "the source '%s' runs: the target must not run "
			     "beside it"
			   : "the source '%s' does not say whether it runs: "
			     "the target must not run beside it",
		       v->vm->name);
}

static int
start(struct work *w, struct place *p, json_t **ret_facts, struct err *err)
{
	json_t *facts = NULL;
	struct err stopping;

	if (source_must_be_off(w->view, err) < 0 ||
	    p->ops->mark(&p->vm, HANDOVER_STARTED, err) < 0)
		return -1;
	work_doing(w, "starting the vm at the target");
	p->vm.on_start = work_target_started;
	p->vm.arg = w;
	if (p->ops->start(&p->vm, &facts, err) < 0)
		return -1;
	if (source_must_be_off(w->view, err) == 0) {
		*ret_facts = facts;
		return 0;
	}
	json_decref(facts);
	/* at once: every second that both run costs data */
	if (p->ops->stop(&p->vm, 0, &stopping) < 0)
		return err_wrap(err,
				"the target does not stop (%.300s), STOP "
				"ONE OF THE TWO BY HAND",
				stopping.text);
	return err_wrap(err, "the target was stopped again");
}

static int
run(struct work *w, json_t **ret_facts, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};

	if (place_open(w->view, &p, err) < 0)
		return -1;
	if (shall_run(w))
		return start(w, &p, ret_facts, err);
	if (source_must_be_off(w->view, err) < 0 ||
	    p.ops->mark(&p.vm, HANDOVER_LEFT_OFF, err) < 0)
		return -1;
	*ret_facts = json_pack("{s:s}", "power", "off");
	return 0;
}

/* Without a mark nothing was started.  With one, a vm that runs was; whether
 * one that does not run ever did, nobody knows, and it shall run.  One that is
 * to stay off is marked again: of several marks some may be missing. */
static int
probe(struct work *w, bool *ret_done, json_t **ret_facts, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};
	enum handover mark = HANDOVER_NONE;
	enum power_state state;

	*ret_done = false;
	if (place_open(w->view, &p, err) < 0 ||
	    p.ops->marked(&p.vm, &mark, err) < 0)
		return -1;
	if (mark != HANDOVER_STARTED || !shall_run(w))
		return 0;
	if (p.ops->power_state(&p.vm, &state, err) < 0)
		return -1;
	if (state != POWER_STATE_ON)
		return 0;
	/* it runs: what is left is to wait until it does so well, and the
	 * second look at the source */
	if (start(w, &p, ret_facts, err) < 0)
		return -1;
	*ret_done = true;
	return 0;
}

/* The mark first: with it the start script refuses, so that whoever is not
 * running after it never will. */
static int
take_back(struct work *w, const struct place *p, struct err *err)
{
	if (place_may_undo(w->view, p, err) < 0 ||
	    p->ops->mark(&p->vm, HANDOVER_ROLLED_BACK, err) < 0)
		return -1;
	work_doing(w, "stopping the vm at the target");
	/* at once: what it writes is to be lost */
	if (p->ops->stop(&p->vm, 0, err) < 0)
		return err_wrap(err, "stopping the target");
	return place_must_be_off(p, err);
}

static int
undo(struct work *w, json_t **ret_facts, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};
	bool ours = false;

	if (place_open(w->view, &p, err) < 0 ||
	    place_holds_ours(w, &p, &ours, err) < 0 ||
	    (ours && take_back(w, &p, err) < 0))
		return -1;
	*ret_facts = json_pack("{s:s}", "say",
			       ours ? "the target is off, and marked as such"
				    : "nothing was made at the target");
	return 0;
}

/* A guest may take its time to go down. */
static int64_t
undo_deadline(const struct run_policy *policy)
{
	return policy->deadlines.shutdown_ms + policy->deadlines.wait_ms;
}

static const struct stage undo_start = {
    .name = "undo/start",
    .scope = STAGE_VM,
    .run = undo,
    .deadline_ms = undo_deadline,
};

const struct stage stage_start = {
    .name = "start",
    .scope = STAGE_VM,
    .watches_epoch = true,
    .inputs = inputs,
    .probe = probe,
    .run = run,
    .undo = &undo_start,
};
