/* SPDX-License-Identifier: Apache-2.0 */
/* cutover: remember the power state, stop the source, see that it is off;
 * cutover_copy.c then copies what is still missing. */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "stages/inputs.h"
#include "stages/overlay.h"
#include "stages/place.h"
#include "stages/source/source.h"

static void
cutover_inputs(const struct view *v, const struct inv_disk *disk, json_t *ret)
{
	inputs_replica(v, disk, ret);
}

/* Stopping the source. */

static bool
was_on(const json_t *power)
{
	const char *text = json_string_value(power);

	return text && strcmp(text, "on") == 0;
}

/* Remembered before it is stopped.  Only that it ran holds for good: found off
 * by a later attempt, it may be off because an earlier one stopped it.  One
 * that was off may have been started since. */
static int
remember_power(struct work *w, const struct source_ops *ops,
	       const char **ret_was, struct err *err)
{
	enum power_state now = POWER_STATE_OFF;

	*ret_was = "on";
	if (was_on(work_recorded(w, "power")))
		return 0;
	if (ops->power_state &&
	    ops->power_state(w->view->plan->source, w->view->vm, &now, err) < 0)
		return err_wrap(err, "asking whether the source runs");
	*ret_was = now == POWER_STATE_ON ? "on" : "off";
	return work_record(w, "power", json_string(*ret_was), err);
}

/* The key under which cutover records what kept its source from starting, and
 * what was done to it. */
#define WAS "sourceWas"
#define FENCED "fence"

static enum fence
fence_of(const struct work *w)
{
	const json_t *known = work_recorded(w, FENCED);

	/* what was begun is what has to be undone, whatever the policy says
	 * by now */
	return known ? (enum fence)json_integer_value(known)
		     : w->view->plan->policy->cutover.fence;
}

/* Recorded first: what changes it must know how it was, an earlier attempt
 * having changed it already. */
static int
remember_settings(struct work *w, const struct source_ops *ops, struct err *err)
{
	json_t *was = NULL;

	if (!ops->fence || work_recorded(w, WAS))
		return 0;
	if (ops->settings(w->view->plan->source, w->view->vm, fence_of(w), &was,
			  err) < 0)
		return err_wrap(err, "asking how the source is started");
	return work_record(w, WAS, was, err);
}

/* Its autostart before it is stopped, the fence once it is off. */
static int
fence_source(struct work *w, const struct source_ops *ops, enum fence how,
	     struct err *err)
{
	if (!ops->fence)
		return 0;
	if (how != FENCE_NONE &&
	    work_record(w, FENCED, json_integer(how), err) < 0)
		return -1;
	if (ops->fence(w->view->plan->source, w->view->vm, how,
		       work_recorded(w, WAS), err) < 0)
		return err_wrap(err, "keeping the source from starting again");
	return 0;
}

static int
unfence_source(struct work *w, const struct source_ops *ops, struct err *err)
{
	const json_t *was = work_recorded(w, WAS);

	if (!ops->unfence || !was)
		return 0;
	if (ops->unfence(w->view->plan->source, w->view->vm, fence_of(w), was,
			 err) < 0)
		return err_wrap(err, "letting the source be started again");
	return 0;
}

/* One that is not on record as running is not stopped: started this very
 * moment, the next attempt has it so. */
static int
stop_source(struct work *w, const struct source_ops *ops, bool ran,
	    struct err *err)
{
	const struct endpoint *source = w->view->plan->source;
	int64_t deadline =
	    clock_mono_ms() + w->view->plan->policy->deadlines.shutdown_ms;
	enum hard_power_off hard =
	    w->view->plan->policy->cutover.hard_power_off;
	enum power_state now;

	if (!ops->power_off)
		return 0;
	work_doing(w, "waiting for the source to be off");
	if ((ran &&
	     ops->power_off(source, w->view->vm, hard, deadline, err) < 0) ||
	    ops->power_state(source, w->view->vm, &now, err) < 0)
		return err_wrap(err, "stopping the source");
	if (now != POWER_STATE_OFF)
		return err_set(err, ERR_RETRY, "the source is not off");
	return 0;
}

/* How it was, and what it was left as: what comes after it works on a source
 * that nobody started since. */
static int
tell_cutover(struct work *w, const struct source_ops *ops, const char *was,
	     json_t **ret_facts, struct err *err)
{
	CLEANUP(mem_freep) char *before = stages_epoch(w->view);
	CLEANUP(mem_freep) char *left = NULL;

	if (ops->power_off && ops->epoch &&
	    ops->epoch(w->view->plan->source, w->view->vm, &left, err) < 0)
		return err_wrap(err, "looking at the stopped source");
	*ret_facts = json_pack("{s:s}", "power", was);
	if (left) {
		json_object_set_new(*ret_facts, CUTOVER_BEFORE,
				    json_string(before));
		json_object_set_new(*ret_facts, CUTOVER_LEFT,
				    json_string(left));
	}
	return 0;
}

static int
cutover_run(struct work *w, json_t **ret_facts, struct err *err)
{
	const struct source_ops *source =
	    source_find(w->view->plan->source->type);
	CLEANUP(place_done) struct place p = {0};
	const char *was = "off";

	if (place_open(w->view, &p, err) < 0)
		return -1;
	if (place_claim(w, &p, err) < 0)
		return err_wrap(err, "claiming the target");
	if (remember_power(w, source, &was, err) < 0 ||
	    remember_settings(w, source, err) < 0 ||
	    p.ops->note_power(&p.vm, was, err) < 0 ||
	    fence_source(w, source, FENCE_NONE, err) < 0 ||
	    stop_source(w, source, strcmp(was, "on") == 0, err) < 0 ||
	    fence_source(w, source, fence_of(w), err) < 0)
		return -1;
	return tell_cutover(w, source, was, ret_facts, err);
}

/* Claimed, known how it was, and off: stopping it is over.  Whether it is
 * fenced is not asked: run() sees that it is, and does what is left. */
static int
cutover_probe(struct work *w, bool *ret_done, json_t **ret_facts,
	      struct err *err)
{
	const struct source_ops *ops = source_find(w->view->plan->source->type);
	const json_t *was = work_recorded(w, "power");
	enum power_state now = POWER_STATE_OFF;
	CLEANUP(place_done) struct place p = {0};
	bool ours = false;

	if (!was || ops->fence)
		return 0;
	if (place_open(w->view, &p, err) < 0 ||
	    p.ops->owned(&p.vm, &ours, err) < 0)
		return -1;
	if (ops->power_state &&
	    ops->power_state(w->view->plan->source, w->view->vm, &now, err) < 0)
		return err_wrap(err, "asking whether the source runs");
	*ret_done = ours && now == POWER_STATE_OFF;
	if (!*ret_done)
		return 0;
	/* one that was off before may have been killed before that */
	if (p.ops->note_power(&p.vm, json_string_value(was), err) < 0)
		return -1;
	return tell_cutover(w, ops, json_string_value(was), ret_facts, err);
}

/* Giving the source back. */

/* Never beside its target. */
static int
target_must_be_off(struct work *w, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};
	enum handover mark = HANDOVER_NONE;
	bool ours = false;

	if (place_open(w->view, &p, err) < 0 ||
	    place_holds_ours(w, &p, &ours, err) < 0)
		return -1;
	if (!ours)
		return 0;
	if (p.ops->marked(&p.vm, &mark, err) < 0)
		return -1;
	if (mark == HANDOVER_STARTED || mark == HANDOVER_LEFT_OFF)
		return err_set(err, ERR_FAIL,
			       "the target '%s' was handed over and may have "
			       "run: only a rollback gives the source back",
			       p.vm.shape->name);
	return place_must_be_off(&p, err);
}

static int
switch_source_on(struct work *w, const struct source_ops *ops, struct err *err)
{
	const struct endpoint *source = w->view->plan->source;
	enum power_state now;

	work_doing(w, "starting the source");
	if (ops->power_state(source, w->view->vm, &now, err) < 0)
		return err_wrap(err, "asking whether the source runs");
	if (now == POWER_STATE_ON)
		return 0;
	if (ops->power_on(source, w->view->vm, err) < 0 ||
	    ops->power_state(source, w->view->vm, &now, err) < 0)
		return err_wrap(err, "starting the source");
	if (now != POWER_STATE_ON)
		return err_set(err, ERR_RETRY, "the source is not on");
	return 0;
}

/* A source that runs again makes what was converted worthless, but for what is
 * half committed.  It runs whether or not that can be removed now. */
static void
throw_converted_away(struct work *w, const struct place *p)
{
	CLEANUP(mem_freep) char *scratch = p->ops->scratch(&p->vm);
	bool ours = false, committed = true;
	struct err err;

	if (p->ops->owned(&p->vm, &ours, &err) < 0 ||
	    (ours && place_is_committed(p, &committed, &err) < 0) ||
	    (!committed &&
	     (work_record(w, WORK_VOID, json_string(stage_convert.name), &err) <
		  0 ||
	      overlays_clear(scratch, false, NULL, &err) < 0)))
		work_log(w, LOG_LEVEL_WARNING,
			 "what was converted is not removed: %s", err.text);
}

/* The source is back by now, whatever becomes of this: a target that is full,
 * or gone since, must not have it said that it is off. */
static void
tidy_target(struct work *w, bool ran)
{
	CLEANUP(place_done) struct place p = {0};
	struct err err;
	bool open = place_open(w->view, &p, &err) == 0;

	if (!open || place_forget_power(&p, &err) < 0)
		work_log(w, LOG_LEVEL_WARNING,
			 "the claim at the target still says how the source "
			 "was: %s",
			 err.text);
	if (ran && open)
		throw_converted_away(w, &p);
}

static int
undo_cutover_run(struct work *w, json_t **ret_facts, struct err *err)
{
	const struct source_ops *ops = source_find(w->view->plan->source->type);
	bool ran = was_on(work_recorded(w, "power")) && ops->power_on;
	const char *say = "the source was off and stays off";

	if (!work_recorded(w, "power")) /* warm, and not cut over yet */
		say = "the source was not stopped";
	else if (ran)
		say = "the source runs again";
	if (target_must_be_off(w, err) < 0 ||
	    (work_recorded(w, "power") &&
	     place_source_is_itself(w->view, err) < 0) ||
	    unfence_source(w, ops, err) < 0 ||
	    (ran && switch_source_on(w, ops, err) < 0))
		return -1;
	tidy_target(w, ran);
	*ret_facts =
	    json_pack("{s:s, s:s}", "power", ran ? "on" : "off", "say", say);
	return 0;
}

/* A guest may take its time to go down. */
static int64_t
power_deadline(const struct run_policy *policy)
{
	return policy->deadlines.shutdown_ms + policy->deadlines.wait_ms;
}

static const struct stage undo_cutover = {
    .name = "undo/cutover",
    .scope = STAGE_VM,
    .run = undo_cutover_run,
    .deadline_ms = power_deadline,
};

const struct stage stage_cutover = {
    .name = "cutover",
    .scope = STAGE_VM,
    .trusts_replicas = true,
    .writes_disks = true,
    .inputs = cutover_inputs,
    .probe = cutover_probe,
    .run = cutover_run,
    .deadline_ms = power_deadline,
    .undo = &undo_cutover,
};
