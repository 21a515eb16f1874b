/* SPDX-License-Identifier: Apache-2.0 */
/* start: hand the vm over (handover.c).  A vm that shall stay off is handed
 * over as well: its mark says so, and its operator may start it from then
 * on. */
#include <string.h>

#include "base/mem.h"
#include "stages/handover.h"
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

/* Both ends, and whose step it is. */
struct ends {
	struct work *w;
	struct place *p;
	const struct handover_ends *ends;
	bool refused;	  /* the guest at the target was not to run */
	bool has_marked;  /* what comes before its start was done */
	bool source_runs; /* when it was looked at last */
};

static int
source_power(void *arg, enum power_state *ret, struct err *err)
{
	struct ends *e = arg;
	const struct endpoint *ep = e->w->view->plan->source;

	e->source_runs = false;
	if (source_find(ep->type)->power_state(ep, e->w->view->vm, ret, err) <
	    0)
		return -1;
	e->source_runs = *ret == POWER_STATE_ON;
	return 0;
}

static int
source_same(void *arg, struct err *err)
{
	return stages_look_at_epoch(((const struct ends *)arg)->w, err);
}

static int
mark(void *arg, enum handover state, struct err *err)
{
	struct ends *e = arg;

	if (e->p->ops->mark(&e->p->vm, state, err) < 0)
		return -1;
	e->has_marked = true;
	return 0;
}

static int
on_start(void *arg, const struct process_id *id, struct err *err)
{
	const struct ends *e = arg;

	return work_target_started(e->w, id, err);
}

static int
may_run(void *arg, struct err *err)
{
	struct ends *e = arg;

	e->refused = handover_may_run(e->ends, err) < 0;
	return e->refused ? -1 : 0;
}

static int
start_target(void *arg, json_t **ret_facts, struct err *err)
{
	struct ends *e = arg;

	work_doing(e->w, "starting the vm at the target");
	e->p->vm.on_start = on_start;
	e->p->vm.may_run = may_run;
	e->p->vm.arg = e;
	if (e->p->ops->start(&e->p->vm, ret_facts, err) == 0)
		return 0;
	return e->refused ? handover_stop_again(e->ends, err) : -1;
}

/* Where nothing of the vm is, nothing was stopped either. */
static int
stop_target(void *arg, struct err *err)
{
	const struct ends *e = arg;
	const struct endpoint *target = e->w->view->plan->target;
	bool ours = false;

	if (e->p->ops->stop(&e->p->vm, 0, err) < 0 ||
	    e->p->ops->owned(&e->p->vm, &ours, err) < 0)
		return -1;
	return ours ? 0
		    : err_set(err, ERR_FAIL,
			      "Endpoint %s/%s has nothing of it: the manifest "
			      "named another target when it was made",
			      target->o.namespace, target->o.name);
}

static int
find_ends(struct ends *e, struct handover_ends *ret, struct err *err)
{
	const struct view *v = e->w->view;
	const struct source_ops *ops = source_find(v->plan->source->type);

	if (!ops)
		return err_set(err, ERR_USER,
			       "this build has no source of type '%s'",
			       v->plan->source->type);
	*ret = (struct handover_ends){
	    .source = v->vm->name,
	    .source_power = ops->power_state ? source_power : NULL,
	    .source_same = source_same,
	    .mark = mark,
	    .start = start_target,
	    .stop = stop_target,
	    .may_run = e->w->maybe_marked,
	    .arg = e,
	};
	e->ends = ret;
	return 0;
}

static int
hand_over(struct work *w, const struct handover_ends *ends, json_t **ret_facts,
	  struct err *err)
{
	if (shall_run(w))
		return handover_start(ends, ret_facts, err);
	if (handover_leave_off(ends, err) < 0)
		return -1;
	*ret_facts = json_pack("{s:s}", "power", "off");
	return 0;
}

static int
run(struct work *w, json_t **ret_facts, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};
	struct ends both = {.w = w, .p = &p};
	enum handover marked = HANDOVER_STARTED;
	struct handover_ends ends;
	struct err ignored;

	if (place_open(w->view, &p, err) < 0 ||
	    find_ends(&both, &ends, err) < 0 ||
	    handover_note_marking(w, err) < 0)
		return -1;
	if (hand_over(w, &ends, ret_facts, err) == 0)
		return 0;
	/* a mark that is not there may also have been lost */
	if (!both.has_marked && p.ops->marked(&p.vm, &marked, &ignored) == 0 &&
	    marked == HANDOVER_NONE)
		handover_note_unmarked(w, both.source_runs);
	return -1;
}

/* Without a mark nothing was started.  With one, a vm that runs was; whether
 * one that does not run ever did, nobody knows, and it shall run.  One that is
 * to stay off is marked again: of several marks some may be missing. */
static int
probe(struct work *w, bool *ret_done, json_t **ret_facts, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};
	enum handover marked = HANDOVER_NONE;
	struct ends both = {.w = w, .p = &p};
	struct handover_ends ends;
	enum power_state state;

	*ret_done = false;
	if (place_open(w->view, &p, err) < 0 ||
	    p.ops->marked(&p.vm, &marked, err) < 0)
		return -1;
	/* by another who has a copy of this journal, maybe */
	if ((marked == HANDOVER_STARTED || marked == HANDOVER_LEFT_OFF) &&
	    handover_note_marking(w, err) < 0)
		return -1;
	if (marked != HANDOVER_STARTED || !shall_run(w))
		return 0;
	if (p.ops->power_state(&p.vm, &state, err) < 0)
		return -1;
	if (state != POWER_STATE_ON)
		return 0;
	/* it runs: what is left is to wait until it does so well, and the
	 * second look at the source */
	if (find_ends(&both, &ends, err) < 0 ||
	    handover_go_on(&ends, ret_facts, err) < 0)
		return -1;
	*ret_done = true;
	return 0;
}

/* Where it stands when it does not go on from there. */
#define MARKED                                                              \
	"the target is marked as rolled back, so that nobody starts it "    \
	"again, but it is not known to be off, and until it is the source " \
	"is not started: "

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
		return err_wrap(err, MARKED "stopping the target");
	return place_must_be_off(p, err) < 0 ? err_wrap(err, MARKED "looking")
					     : 0;
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
    .says_marking = true,
    .trusts_replicas = true,
    .inputs = inputs,
    .probe = probe,
    .run = run,
    .undo = &undo_start,
};
