/* SPDX-License-Identifier: Apache-2.0 */
/* The graphs of what is done to a vm besides moving it. */
#include "aim.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static int
removal_allowed(const struct history *h, struct err *err)
{
	const struct step_history *cutover = history_past(h, "cutover");
	const char *power =
	    cutover
		? json_string_value(json_object_get(cutover->recorded, "power"))
		: NULL;

	if (h->rolled_back)
		return 0;
	if (h->finished)
		return err_set(err, ERR_FAIL,
			       "it was moved and handed over: its disks are "
			       "removed only after 'palletjack rollback'");
	if (h->rollback_begun)
		return err_set(err, ERR_FAIL,
			       "its rollback is not finished: let 'palletjack "
			       "rollback' end first");
	if (power && strcmp(power, "on") == 0)
		return err_set(err, ERR_FAIL,
			       "its source was stopped and is not given back: "
			       "let 'palletjack rollback' do that first");
	return 0;
}

int
aim_allowed(enum aim aim, const struct history *h, struct err *err)
{
	if (aim == AIM_GC)
		return 0;
	if (aim == AIM_GC_DISKS)
		return removal_allowed(h, err);
	if (h->removal_begun)
		return err_set(err, ERR_FAIL,
			       "'palletjack gc --disks' has begun to remove "
			       "its disks: let it end first");
	if (!h->rolled_back || aim == AIM_VERIFY)
		return 0;
	return err_set(err, ERR_CANCELLED,
		       "rolled back on %.10s, its disks are kept; to start "
		       "afresh: 'palletjack gc --disks', then 'palletjack run'",
		       h->rolled_back);
}

/* `about` is the step whose records it sees. */
static struct step *
add_step(struct graph *g, const struct view *view, const struct stage *stage,
	 const char *about)
{
	struct step *s;
	json_t *inputs;

	g->steps = mem_resize(g->steps, (g->nsteps + 1) * sizeof(*g->steps));
	s = &g->steps[g->nsteps];
	*s = (struct step){.id = mem_strdup(stage->name),
			   .stage = stage,
			   .view = view,
			   .about = about};
	inputs = step_inputs(s);
	digest_json(inputs, s->fingerprint);
	json_decref(inputs);
	if (g->nsteps > 0) {
		s->after = mem_new(sizeof(*s->after));
		s->after[s->nafter++] = g->nsteps - 1;
	}
	g->nsteps++;
	return s;
}

struct graph *
aim_graph(enum aim aim, const struct view *v)
{
	struct graph *g = mem_new(sizeof(*g));
	size_t n;
	const struct stage *const *stages = stages_of(v, &n);

	if (aim == AIM_GC || aim == AIM_GC_DISKS) {
		add_step(g, v, stages_gc(v, aim == AIM_GC_DISKS), "convert");
		return g;
	}
	while (aim != AIM_VERIFY && n-- > 0)
		if (stages[n]->undo &&
		    (!stages[n]->undo->applies ||
		     stages[n]->undo->applies(v)) &&
		    (aim == AIM_ROLLBACK ||
		     strcmp(stages[n]->name, "cutover") == 0))
			add_step(g, v, stages[n]->undo, stages[n]->name);
	return g;
}

/* Only a rollback goes on where it was; the others are one step. */
struct schedule *
aim_schedule(enum aim aim, const struct graph *g, const struct history *h)
{
	struct schedule *s = mem_new(sizeof(*s));

	s->steps = mem_new(g->nsteps * sizeof(*s->steps));
	s->nsteps = g->nsteps;
	for (size_t i = 0; i < g->nsteps; i++) {
		const struct step_history *past =
		    history_step(h, g->steps[i].id);
		bool done = aim == AIM_ROLLBACK && h->rollback_begun && past &&
			    past->state == HISTORY_DONE;

		s->steps[i].step = &g->steps[i];
		s->steps[i].decision = done ? DECISION_SKIP : DECISION_RUN;
		s->steps[i].why = mem_strdup(done ? "done" : "asked for");
		s->ntodo += !done;
	}
	return s;
}

const char *
aim_first_word(enum aim aim)
{
	switch (aim) {
	case AIM_ROLLBACK:
		return "rollback";
	case AIM_GC:
	case AIM_GC_DISKS:
		return "gc";
	default:
		return "run";
	}
}

const char *
aim_last_word(enum aim aim)
{
	return aim == AIM_GC_DISKS ? "afresh" : "stop";
}
