/* SPDX-License-Identifier: Apache-2.0 */
/* Deciding, step by step, what is still to be done. */
#include "schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "retries.h"

/* One vm's schedule as it is made. */
struct making {
	const struct schedule_opts *opts;
	const struct graph *graph;
	const struct history *history;
	struct schedule *schedule;
};

/* What is begun anew has no past. */
static const struct step_history *
past_of(const struct making *m, const struct step *step)
{
	const struct stage *const *all;
	size_t n;

	if (!m->opts->renew)
		return history_step(m->history, step->id);
	all = stages_all(&n);
	for (size_t i = 0; i < n; i++) {
		if (all[i] == &stage_set_aside)
			break;
		if (strcmp(all[i]->name, step->stage->name) == 0)
			return history_step(m->history, step->id);
	}
	return NULL;
}

/* The step of this name, if it has begun and that binds what comes before. */
static const struct step_history *
begun(const struct making *m, const char *id)
{
	return m->opts->renew ? NULL : history_binding(m->history, id);
}

/* "2026-11-12T10:31:05.120Z" as people read it, to the minute. */
static void
add_moment(struct buf *b, const char *rfc3339)
{
	if (rfc3339 && strlen(rfc3339) >= 16)
		buf_printf(b, " %.10s %.5s", rfc3339, rfc3339 + 11);
}

/* The names of the inputs that are not what they were. */
static void
add_changes(struct buf *b, const json_t *now, const json_t *then)
{
	const char *key, *separator = " ";
	json_t *value;

	json_object_foreach((json_t *)now, key, value)
	{
		if (json_equal(value, json_object_get(then, key)))
			continue;
		buf_printf(b, "%s%s", separator, key);
		separator = ", ";
	}
	json_object_foreach((json_t *)then, key, value)
	{
		if (json_object_get(now, key))
			continue;
		buf_printf(b, "%s%s (gone)", separator, key);
		separator = ", ";
	}
}

/* Did anything change but the source itself, or which generation it is? */
static bool
is_edited(const json_t *now, const json_t *then)
{
	static const char *const moves[] = {INPUTS_EPOCH, INPUTS_ROUND};
	json_t *a = json_copy((json_t *)now), *b = json_copy((json_t *)then);
	bool same;

	for (size_t i = 0; i < sizeof(moves) / sizeof(*moves); i++) {
		json_object_del(a, moves[i]);
		json_object_del(b, moves[i]);
	}
	same = json_equal(a, b);
	json_decref(a);
	json_decref(b);
	return !same;
}

/* A run before that leaves the step alone. */
static void
say_fresh_retries(const struct making *m, const struct step_history *past,
		  struct buf *why)
{
	char at[CLOCK_TEXT_SIZE];
	int64_t fresh = 0;

	if (m->opts->view)
		fresh = retries_fresh_at(m->opts->view->plan->policy, past);
	if (!fresh)
		return;
	buf_adds(why, "; fresh retries");
	add_moment(why, clock_format(fresh, at));
}

static enum decision
resume(const struct making *m, const struct step *step,
       const struct step_history *past, struct buf *why)
{
	struct copied copied = {0};

	if (m->opts->view && step->stage->copied)
		copied = step->stage->copied(m->opts->view, step->disk);
	if (copied.any)
		buf_printf(why, "%u %%; ", copied.percent);
	if (step_history_is_void(past)) {
		buf_adds(why, past->error);
	} else if (past->state == HISTORY_FAILED) {
		buf_printf(why, "failed before: %s", past->error);
		say_fresh_retries(m, past, why);
	} else {
		buf_adds(why, "was cut short");
		add_moment(why, past->begun);
	}
	return DECISION_RESUME;
}

/* Another generation is work that was never done. */
static enum decision
decide_anew(const struct step *step, const struct step_history *past,
	    struct buf *why)
{
	json_t *inputs = step_inputs(step);
	const json_t *round = json_object_get(inputs, INPUTS_ROUND);
	enum decision decision = DECISION_CHANGED;

	if (round && !is_edited(inputs, past->inputs)) {
		buf_printf(why, "generation %" JSON_INTEGER_FORMAT,
			   json_integer_value(round));
		decision = DECISION_RUN;
	} else {
		buf_adds(why, "changed:");
		add_changes(why, inputs, past->inputs);
	}
	json_decref(inputs);
	return decision;
}

/* Is the point that the last attempt began to let go the one that was made
 * last? */
static bool
is_let_go(const struct making *m, const struct step_history *release)
{
	const struct step_history *made =
	    history_step(m->history, stage_precopy.name);
	const json_t *last = made ? made->facts : NULL;
	const json_t *gone = json_object_get(release->recorded, WORK_RELEASING);

	return gone && json_equal(gone, json_object_get(last, "number"));
}

/* A point in time lasts until it is let go, or its holder is gone: who comes
 * back to it looks.  From one that was begun to be let go all was copied, and
 * the source may know of no earlier one any more: it is not made again. */
static bool
is_held_open(const struct making *m, const struct step *step)
{
	const struct graph *g = m->graph;

	if (step->stage->scope != STAGE_VM ||
	    strcmp(step->stage->name, stage_precopy.name) != 0)
		return false;
	for (size_t i = 0; i < g->nsteps; i++) {
		const struct step *s = &g->steps[i];
		const struct step_history *past = past_of(m, s);

		if (strcmp(s->id, stage_precopy_release.name) == 0)
			return !past || ((past->state != HISTORY_DONE ||
					  strcmp(past->fingerprint,
						 s->fingerprint) != 0) &&
					 !is_let_go(m, past));
	}
	return false;
}

/* Who doubts what the step once read back; or NULL. */
static const char *
doubted_by(const struct making *m, const struct step *step)
{
	const struct history *h = m->history;

	return m->opts->renew || !step_reads_back(step, history_is_cut_over(h))
		   ? NULL
		   : history_doubted_by(h, step->disk->id);
}

static enum decision
decide(const struct making *m, const struct step *step,
       const struct step_history *past, struct buf *why)
{
	bool same = past && strcmp(past->fingerprint, step->fingerprint) == 0;

	if (!past) {
		buf_adds(why, "new");
		return DECISION_RUN;
	}
	if (past->state == HISTORY_UNDONE) {
		buf_adds(why, "taken back");
		add_moment(why, past->ended);
		return DECISION_RUN;
	}
	if (past->state == HISTORY_AGAIN) {
		buf_adds(why, "asked for anew");
		return DECISION_REDO;
	}
	if (past->state == HISTORY_DONE && same && is_held_open(m, step)) {
		buf_adds(why, "its point in time may be gone");
		return DECISION_RESUME;
	}
	if (past->state == HISTORY_DONE && same && doubted_by(m, step)) {
		buf_printf(why, "%s found that the disk is not what was copied",
			   doubted_by(m, step));
		return DECISION_RESUME;
	}
	if (past->state == HISTORY_DONE && same) {
		buf_adds(why, "done");
		add_moment(why, past->ended);
		return DECISION_SKIP;
	}
	if (same)
		return resume(m, step, past, why);
	return decide_anew(step, past, why);
}

/* Redoing. */

static bool
is_named(const struct making *m, const struct step *step)
{
	const char *const *name = m->opts->redo;

	for (; name && *name; name++)
		if (step_is_asked_by(step, *name))
			return true;
	return false;
}

/* Is it asked for anew, by name or because its disks are?  What was never
 * begun is done anyway. */
static bool
is_redone(const struct making *m, size_t position)
{
	const struct step *step = &m->graph->steps[position];

	if (!past_of(m, step))
		return false;
	if (is_named(m, step))
		return true;
	for (size_t i = 0; i < position; i++)
		if (m->graph->steps[i].stage->writes_disks &&
		    is_named(m, &m->graph->steps[i]))
			return true;
	return false;
}

/* The commit or start that has begun and comes after this step: what it did
 * was done with this step's result. */
static const struct step *
sealed_by(const struct making *m, size_t position)
{
	for (size_t i = m->graph->nsteps; i-- > position + 1;) {
		const struct step *s = &m->graph->steps[i];

		if ((strcmp(s->stage->name, "commit") == 0 ||
		     strcmp(s->stage->name, "start") == 0) &&
		    begun(m, s->id))
			return s;
	}
	return NULL;
}

/* From the start's intent on it may have run, and only people know what of. */
#define BEGIN_AFRESH                                                        \
	"; 'palletjack rollback --discard-target-writes' gives the source " \
	"back, 'palletjack gc --disks' then removes the disks, and a run "  \
	"begins afresh"

/* What copies, and with it all that came of it, is asked for anew. */
static bool
is_wanted_anew(const struct making *m)
{
	for (size_t i = 0; i < m->graph->nsteps; i++)
		if (m->graph->steps[i].stage->copied &&
		    is_named(m, &m->graph->steps[i]))
			return true;
	return false;
}

static void
want_renewal(const struct making *m, const char *why)
{
	if (!m->schedule->renew)
		m->schedule->renew = mem_strdup(why);
}

static void
redo(const struct making *m, size_t position, struct scheduled *to,
     struct buf *why)
{
	const struct step *sealed = sealed_by(m, position);

	buf_reset(why);
	buf_adds(why, "asked for anew");
	to->decision = DECISION_REDO;
	if (!sealed)
		return;
	to->decision = DECISION_REFUSED;
	buf_printf(why, "; %s has begun, and was made of what is there now",
		   sealed->id);
	if (begun(m, "start"))
		buf_adds(why, BEGIN_AFRESH);
	else if (is_wanted_anew(m))
		want_renewal(m, "cutover asked for anew");
	else
		buf_adds(why, "; --redo cutover sets that aside and copies "
			      "anew");
}

/* The first of what is begun anew: the licence is for all of it. */
static const struct stage *
stage_that_renews(const struct making *m)
{
	for (size_t i = 0; i < m->graph->nsteps; i++)
		if (strcmp(m->graph->steps[i].stage->name,
			   stage_set_aside.name) == 0)
			return m->graph->steps[i].stage;
	return NULL;
}

static bool
was_edited(const struct step *step, const struct step_history *past)
{
	json_t *inputs = step_inputs(step);
	bool edited = is_edited(inputs, past->inputs);

	json_decref(inputs);
	return edited;
}

/* Repeating a copy wants a licence where there is something to repeat.  An
 * epoch that is void gives one: nobody decided that, and the copy is worth
 * nothing.  Nor is a licence asked twice: once journalled, a redo is due. */
static bool
needs_accept(const struct making *m, const struct scheduled *s)
{
	const struct step_history *past = past_of(m, s->step);

	if (m->opts->renew && s->step->stage == stage_that_renews(m))
		return !m->opts->accepted;
	if (!s->step->stage->copied || m->opts->accepted || !past)
		return false;
	if (s->decision == DECISION_REDO && past->state == HISTORY_AGAIN)
		return false;
	if (s->decision == DECISION_CHANGED && !was_edited(s->step, past))
		return false;
	if (s->decision != DECISION_CHANGED && s->decision != DECISION_REDO)
		return false;
	return past->state == HISTORY_DONE ||
	       (m->opts->view &&
		s->step->stage->copied(m->opts->view, s->step->disk).any);
}

/* From the commit's intent on the replica is gone: what would write or read
 * it again needs another disk. */
static bool
is_beyond_repeat(const struct making *m, const struct step *step)
{
	const struct step_history *commit = begun(m, "commit");
	const struct step_history *start = begun(m, "start");

	if (!step->stage->writes_disks)
		return false;
	if (strcmp(step->id, "commit") == 0)
		return start != NULL;
	return commit != NULL || start != NULL;
}

/* A step nobody asked for in time: a hook or a check added to the manifest
 * when what it comes before has already happened. */
static bool
is_too_late(const struct making *m, size_t position)
{
	const struct graph *g = m->graph;

	for (size_t i = position + 1; i < g->nsteps; i++) {
		const char *stage = g->steps[i].stage->name;

		if ((strcmp(stage, "commit") == 0 ||
		     strcmp(stage, "start") == 0) &&
		    begun(m, g->steps[i].id))
			return !past_of(m, &g->steps[position]);
	}
	return false;
}

/* From the start's intent on the target's definition is its operator's. */
static bool
is_handed_over(const struct making *m, const struct step *step)
{
	const struct step_history *past = past_of(m, step);

	return !step->stage->writes_disks && begun(m, "start") &&
	       strcmp(step->stage->name, "start") != 0 &&
	       past->state == HISTORY_DONE;
}

/* What a step found or made is worth nothing once what it rests on was begun
 * again after it, or is about to be. */
static void
distrust(const struct making *m, size_t position, struct scheduled *to,
	 struct buf *why)
{
	const struct step_history *past = past_of(m, to->step);

	for (size_t i = 0; i < position; i++) {
		const struct scheduled *before = &m->schedule->steps[i];
		const struct step_history *its = past_of(m, before->step);

		if (!step_rests_on(to->step, before->step) ||
		    (before->decision == DECISION_SKIP &&
		     (!its || !past || its->begun_seq < past->done_seq)))
			continue;
		to->decision = DECISION_CHANGED;
		buf_reset(why);
		buf_printf(why, "changed: rests on %s, which is done again",
			   before->step->id);
		return;
	}
}

static void
leave_alone(struct scheduled *s, struct buf *why, const char *because)
{
	if (s->decision != DECISION_SKIP)
		buf_printf(why, "; %s", because);
	s->decision = DECISION_SKIP;
}

/* Before the start's intent all can be made anew beside what is there. */
static void
refuse(const struct making *m, struct scheduled *s, struct buf *why)
{
	s->decision = DECISION_REFUSED;
	if (!begun(m, "start") && strcmp(s->step->id, "commit") != 0) {
		CLEANUP(mem_freep)
		char *what = mem_printf("%s: %s", s->step->id,
					why->len ? why->data : "");

		want_renewal(m, what);
	}
	buf_adds(why, "; the target's disk is no longer the replica (it was "
		      "converted in place or handed over)");
	if (begun(m, "start"))
		buf_adds(why, BEGIN_AFRESH);
}

static void
say_what_is_set_aside(const struct making *m, struct buf *why)
{
	CLEANUP(mem_freep) char *what = stages_aside_text(m->opts->view);

	buf_reset(why);
	buf_printf(why,
		   "%s, and the disk there is committed: sets aside %s, kept "
		   "until 'gc --disks', and all is copied anew",
		   m->opts->renew, what);
}

/* Is it the start, or before it? */
static bool
leads_to_start(const struct making *m, size_t position)
{
	for (size_t i = position; i < m->graph->nsteps; i++)
		if (strcmp(m->graph->steps[i].id, "start") == 0)
			return true;
	return false;
}

/* Once the start is done nothing up to it is asked again, whatever the source
 * is now: the target is the vm. */
static bool
is_settled_by_start(const struct making *m, size_t position)
{
	const struct step_history *start = history_past(m->history, "start");

	return start && start->state == HISTORY_DONE &&
	       leads_to_start(m, position);
}

static void
see_to_start(struct scheduled *to, struct buf *why)
{
	if (strcmp(to->step->id, "start") != 0) {
		leave_alone(to, why, "the vm is handed over");
		return;
	}
	buf_reset(why);
	buf_adds(why, "the source runs, and the target may: it is stopped");
	to->decision = DECISION_RESUME;
}

static void
schedule_step(const struct making *m, size_t position, struct buf *why)
{
	const struct history *h = m->history;
	struct scheduled *to = &m->schedule->steps[position];

	to->step = &m->graph->steps[position];
	to->decision = decide(m, to->step, past_of(m, to->step), why);
	if (m->opts->renew && to->step->stage == stage_that_renews(m))
		say_what_is_set_aside(m, why);
	if (to->decision == DECISION_SKIP && !h->finished)
		distrust(m, position, to, why);
	if (h->finished)
		leave_alone(to, why, "the vm is finished");
	else if (m->schedule->beside && leads_to_start(m, position))
		see_to_start(to, why);
	else if (is_redone(m, position))
		redo(m, position, to, why);
	else if (is_settled_by_start(m, position))
		leave_alone(to, why, "the vm is handed over");
	else if ((to->decision == DECISION_CHANGED ||
		  to->decision == DECISION_RESUME) &&
		 is_beyond_repeat(m, to->step))
		refuse(m, to, why);
	else if (to->decision == DECISION_CHANGED &&
		 is_handed_over(m, to->step))
		leave_alone(to, why, "the vm is handed over");
	else if (step_is_rehearsal(to->step) && history_is_cut_over(h))
		leave_alone(to, why, "the source is stopped already");
	if (!h->finished && is_too_late(m, position)) {
		to->decision = DECISION_SKIP;
		buf_reset(why);
		buf_adds(why, "too late: what it comes before has begun");
	}
	to->needs_accept = needs_accept(m, to);
}

/* Follows the first step that will not be done down to all that wait for it. */
static void
find_block(struct schedule *s, size_t position)
{
	struct scheduled *to = &s->steps[position];

	if (!scheduled_is_todo(to))
		return;
	for (size_t i = 0; i < to->step->nafter && !to->blocked_by; i++) {
		const struct scheduled *before = &s->steps[to->step->after[i]];

		if (before->decision == DECISION_REFUSED ||
		    before->needs_accept)
			to->blocked_by = before->step;
		else
			to->blocked_by = before->blocked_by;
	}
}

struct schedule *
schedule_of(const struct schedule_opts *opts, const struct graph *g,
	    const struct history *h)
{
	struct schedule *s = mem_new(sizeof(*s));
	struct making m = {opts, g, h, s};

	s->steps = mem_new(g->nsteps * sizeof(*s->steps));
	s->nsteps = g->nsteps;
	s->beside = !opts->renew && history_may_run(h) &&
		    stages_source_runs(opts->view);
	for (size_t i = 0; i < g->nsteps; i++) {
		struct scheduled *to = &s->steps[i];
		struct buf why = {0};

		schedule_step(&m, i, &why);
		to->why = buf_steal(&why);
		find_block(s, i);
		if (to->decision == DECISION_REFUSED && !s->refused)
			s->refused = to;
		if (to->needs_accept && !s->accept)
			s->accept = to;
		s->ntodo += scheduled_is_todo(to);
	}
	return s;
}
