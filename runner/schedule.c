/* SPDX-License-Identifier: Apache-2.0 */
/* Deciding, step by step, what is still to be done. */
#include "schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

static const char *const names[] = {
    [DECISION_SKIP] = "skip",	    [DECISION_RUN] = "run",
    [DECISION_RESUME] = "resume",   [DECISION_CHANGED] = "changed",
    [DECISION_REFUSED] = "refused",
};

const char *
decision_name(enum decision d)
{
	return names[d];
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

static enum decision
decide(const struct step *step, const struct step_history *past,
       struct buf *why)
{
	bool same = past && strcmp(past->fingerprint, step->fingerprint) == 0;

	if (!past) {
		buf_adds(why, "new");
		return DECISION_RUN;
	}
	if (past->state == HISTORY_DONE && same) {
		buf_adds(why, "done");
		add_moment(why, past->ended);
		return DECISION_SKIP;
	}
	if (!same) {
		json_t *inputs = step_inputs(step);

		buf_adds(why, "changed:");
		add_changes(why, inputs, past->inputs);
		json_decref(inputs);
		return DECISION_CHANGED;
	}
	if (past->state == HISTORY_FAILED)
		buf_printf(why, "failed before: %s", past->error);
	else {
		buf_adds(why, "was cut short");
		add_moment(why, past->begun);
	}
	return DECISION_RESUME;
}

/* From the commit's intent on the replica is gone: what would write or read
 * it again needs another disk. */
static bool
is_beyond_repeat(const struct step *step, const struct history *h)
{
	const struct step_history *commit = history_step(h, "commit");
	const struct step_history *start = history_step(h, "start");

	if (!step->stage->writes_disks)
		return false;
	if (strcmp(step->id, "commit") == 0)
		return start != NULL;
	return commit != NULL || start != NULL;
}

/* A step nobody asked for in time: a hook or a check added to the manifest
 * when what it comes before has already happened. */
static bool
is_too_late(const struct graph *g, size_t position, const struct history *h)
{
	for (size_t i = position + 1; i < g->nsteps; i++) {
		const char *stage = g->steps[i].stage->name;

		if ((strcmp(stage, "commit") == 0 ||
		     strcmp(stage, "start") == 0) &&
		    history_step(h, g->steps[i].id))
			return !history_step(h, g->steps[position].id);
	}
	return false;
}

/* From the start's intent on the target's definition is its operator's. */
static bool
is_handed_over(const struct step *step, const struct history *h)
{
	return !step->stage->writes_disks && history_step(h, "start") &&
	       strcmp(step->stage->name, "start") != 0;
}

static void
leave_alone(struct scheduled *s, struct buf *why, const char *because)
{
	if (s->decision == DECISION_CHANGED)
		buf_printf(why, "; %s", because);
	s->decision = DECISION_SKIP;
}

static void
refuse(struct scheduled *s, struct buf *why)
{
	s->decision = DECISION_REFUSED;
	buf_adds(why, "; the target's disk is no longer the replica (it was "
		      "converted in place or handed over), and copying into a "
		      "new volume is not in this build yet");
}

struct schedule *
schedule_of(const struct graph *g, const struct history *h)
{
	struct schedule *s = mem_new(sizeof(*s));

	s->steps = mem_new(g->nsteps * sizeof(*s->steps));
	s->nsteps = g->nsteps;
	for (size_t i = 0; i < g->nsteps; i++) {
		struct scheduled *to = &s->steps[i];
		struct buf why = {0};

		to->step = &g->steps[i];
		to->decision =
		    decide(to->step, history_step(h, to->step->id), &why);
		if (h->finished)
			leave_alone(to, &why, "the vm is finished");
		else if (to->decision == DECISION_CHANGED &&
			 is_beyond_repeat(to->step, h))
			refuse(to, &why);
		else if (to->decision == DECISION_CHANGED &&
			 is_handed_over(to->step, h))
			leave_alone(to, &why, "the vm is handed over");
		if (!h->finished && is_too_late(g, i, h)) {
			to->decision = DECISION_SKIP;
			buf_reset(&why);
			buf_adds(&why, "too late: what it comes before has "
				       "begun");
		}
		to->why = buf_steal(&why);
		if (to->decision == DECISION_REFUSED && !s->refused)
			s->refused = to;
		if (to->decision != DECISION_SKIP &&
		    to->decision != DECISION_REFUSED)
			s->ntodo++;
	}
	return s;
}

void
schedule_free(struct schedule *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->nsteps; i++)
		free(s->steps[i].why);
	free(s->steps);
	free(s);
}
