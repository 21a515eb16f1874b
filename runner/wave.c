/* SPDX-License-Identifier: Apache-2.0 */
/* Counting how far waves are. */
#include "wave.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* The first vm that came to such an end. */
struct blame {
	const char *vm;
	char *why;
};

struct wave_state {
	const struct wave *def;
	size_t n, nended, nfailed;
	size_t nundone, nresting; /* nundone counts those that rest, too */
	size_t nready[WAVE_NBARRIERS];
	struct blame failed, undone, resting;
};

struct member {
	bool ended;
	bool ready[WAVE_NBARRIERS];
};

struct waves {
	const struct plan *plan;
	struct wave_state *waves;
	struct member *members; /* by index in the plan */
	size_t nwaves;
	bool changed;
};

struct waves *
waves_new(const struct plan *plan)
{
	struct waves *ws;

	if (plan->policy->nwaves == 0)
		return NULL;
	ws = mem_new(sizeof(*ws));
	ws->plan = plan;
	ws->nwaves = plan->policy->nwaves;
	ws->waves = mem_new(ws->nwaves * sizeof(*ws->waves));
	ws->members = mem_new((plan->nvms + 1) * sizeof(*ws->members));
	for (size_t i = 0; i < ws->nwaves; i++)
		ws->waves[i].def = &plan->policy->waves[i];
	for (size_t i = 0; i < plan->nvms; i++)
		if (plan->vms[i].wave)
			ws->waves[plan->vms[i].wave->number].n++;
	return ws;
}

void
waves_free(struct waves *ws)
{
	if (!ws)
		return;
	for (size_t i = 0; i < ws->nwaves; i++) {
		free(ws->waves[i].failed.why);
		free(ws->waves[i].undone.why);
		free(ws->waves[i].resting.why);
	}
	free(ws->waves);
	free(ws->members);
	free(ws);
}

static struct wave_state *
wave_of(const struct waves *ws, const struct plan_vm *vm)
{
	return ws && vm->wave ? &ws->waves[vm->wave->number] : NULL;
}

static void
blame(struct blame *b, const struct plan_vm *vm, const char *why)
{
	if (b->vm)
		return;
	b->vm = vm->key;
	b->why = mem_strdup(why ? why : "");
}

/* From then on it is all of them, and nothing is taken back. */
static bool
is_past(const struct wave_state *w, enum wave_barrier barrier)
{
	return w->nready[barrier] == w->n;
}

static bool
is_broken(const struct wave_state *w)
{
	return w->def->atomic && w->nfailed + w->nundone > 0 &&
	       !is_past(w, WAVE_START);
}

void
waves_ready(struct waves *ws, const struct plan_vm *vm,
	    enum wave_barrier barrier)
{
	struct wave_state *w = wave_of(ws, vm);
	struct member *m;

	if (!w)
		return;
	m = &ws->members[vm->index];
	if (m->ready[barrier])
		return;
	m->ready[barrier] = true;
	w->nready[barrier]++;
	if (w->def->atomic && is_past(w, barrier))
		ws->changed = true;
}

void
waves_unready(struct waves *ws, const struct plan_vm *vm,
	      enum wave_barrier barrier)
{
	struct wave_state *w = wave_of(ws, vm);
	struct member *m;

	if (!w || is_past(w, barrier))
		return;
	m = &ws->members[vm->index];
	w->nready[barrier] -= m->ready[barrier];
	m->ready[barrier] = false;
}

bool
waves_are_past(const struct waves *ws, const struct plan_vm *vm,
	       enum wave_barrier barrier)
{
	const struct wave_state *w = wave_of(ws, vm);

	return w && w->def->atomic && is_past(w, barrier);
}

void
waves_ended(struct waves *ws, const struct plan_vm *vm, enum wave_end end,
	    const char *why)
{
	struct wave_state *w = wave_of(ws, vm);
	struct member *m;

	if (!w)
		return;
	m = &ws->members[vm->index];
	if (m->ended)
		return;
	m->ended = true;
	w->nended++;
	if (end == WAVE_MOVED)
		for (int b = 0; b < WAVE_NBARRIERS; b++)
			waves_ready(ws, vm, (enum wave_barrier)b);
	w->nfailed += end == WAVE_FAILED;
	w->nundone += end == WAVE_UNDONE || end == WAVE_RESTS;
	w->nresting += end == WAVE_RESTS;
	if (end == WAVE_FAILED)
		blame(&w->failed, vm, why);
	if (end == WAVE_UNDONE)
		blame(&w->undone, vm, why);
	if (end == WAVE_RESTS)
		blame(&w->resting, vm, why);
	if (end != WAVE_MOVED || w->nended == w->n)
		ws->changed = true;
}

static size_t
failures_allowed(const struct wave_state *w, size_t unless_said)
{
	return w->def->max_failures < 0 ? unless_said
					: (size_t)w->def->max_failures;
}

static char *
why_failed(const struct wave_state *w)
{
	return mem_printf("held back by wave '%s', of which %zu failed: '%s' "
			  "(%s)",
			  w->def->name, w->nfailed, w->failed.vm,
			  w->failed.why);
}

/* Rather one that is more than a matter of time. */
static const struct blame *
undone_of(const struct wave_state *w)
{
	return w->undone.vm ? &w->undone : &w->resting;
}

static enum wave_door
after(const struct wave_state *w, char **ret_why)
{
	if (w->nfailed > failures_allowed(w, 0)) {
		*ret_why = why_failed(w);
		return WAVE_SHUT;
	}
	if (w->nundone > 0) {
		*ret_why = mem_printf("waits for wave '%s', which has not "
				      "ended: '%s' (%s)",
				      w->def->name, undone_of(w)->vm,
				      undone_of(w)->why);
		return WAVE_SHUT;
	}
	if (w->nended == w->n)
		return WAVE_OPEN;
	*ret_why = mem_printf("waits for wave '%s' to end: %zu of %zu vms have",
			      w->def->name, w->nended, w->n);
	return WAVE_WAIT;
}

/* The vm of its wave that the others will not go without. */
static char *
why_broken(const struct wave_state *w)
{
	const struct blame *b = w->nfailed ? &w->failed : undone_of(w);

	return mem_printf("its wave '%s' goes together or not at all, and '%s' "
			  "does not: %s",
			  w->def->name, b->vm, b->why);
}

enum wave_door
waves_may_begin(const struct waves *ws, const struct plan_vm *vm,
		char **ret_why)
{
	const struct wave_state *w = wave_of(ws, vm);
	enum wave_door door = WAVE_OPEN;

	if (!w)
		return WAVE_OPEN;
	for (size_t i = 0; i < w->def->nafter; i++) {
		char *why = NULL;
		enum wave_door one =
		    after(&ws->waves[w->def->after_waves[i]], &why);

		if (one <= door) {
			free(why);
			continue;
		}
		if (door != WAVE_OPEN)
			free(*ret_why);
		*ret_why = why;
		door = one;
	}
	if (door != WAVE_OPEN)
		return door;
	if (w->nfailed > failures_allowed(w, w->n)) {
		*ret_why = why_failed(w);
		return WAVE_SHUT;
	}
	if (!is_broken(w) || w->nfailed + w->nundone == w->nresting)
		return WAVE_OPEN;
	*ret_why = why_broken(w);
	return WAVE_SHUT;
}

enum wave_door
waves_may_pass(const struct waves *ws, const struct plan_vm *vm,
	       enum wave_barrier barrier, char **ret_why)
{
	const struct wave_state *w = wave_of(ws, vm);

	if (!w || !w->def->atomic || is_past(w, WAVE_START))
		return WAVE_OPEN;
	if (is_broken(w)) {
		*ret_why = why_broken(w);
		return WAVE_SHUT;
	}
	if (is_past(w, barrier))
		return WAVE_OPEN;
	*ret_why = mem_printf("for the others of wave '%s': %zu of %zu vms are "
			      "as far",
			      w->def->name, w->nready[barrier], w->n);
	return WAVE_WAIT;
}

bool
waves_changed(struct waves *ws)
{
	bool changed = ws && ws->changed;

	if (ws)
		ws->changed = false;
	return changed;
}
