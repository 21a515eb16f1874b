/* SPDX-License-Identifier: Apache-2.0 */
/* Warm vms within a run: when one is due, it is taken through another
 * generation, and when its time has come and the last one is fresh, through
 * its cutover. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "run.h"
#include "warm.h"

bool
vm_is_warm(const struct vm_run *vm)
{
	return vm->aim == AIM_RUN && vm->view.round > 0 &&
	       !history_is_cut_over(vm->state->history);
}

/* All of it, or what is missing, is copied once its source is off. */
static void
cold_next(const struct run *r, const struct vm_run *vm, struct warm_next *ret)
{
	*ret = (struct warm_next){.move = WARM_CUT_OVER,
				  .until_ms = vm->due.cutover_ms,
				  .copy_ms = DUE_NEVER};
	if (due_waits(&vm->due))
		ret->move = WARM_REST;
	else
		vm_heed_window(r, vm, ret);
}

char *
vm_rehearsal_text(const struct vm_run *vm)
{
	return vm_is_warm(vm)
		   ? warm_rehearsal_text(vm->state->history, &vm->view)
		   : NULL;
}

/* The next generation is tested again. */
static bool
heed_rehearsal(const struct vm_run *vm, const struct warm_run *run,
	       struct warm_next *next)
{
	CLEANUP(mem_freep) char *text = vm_rehearsal_text(vm);

	if (!text)
		return false;
	snprintf(next->why, sizeof(next->why), "%s", text);
	if (next->move == WARM_CUT_OVER) {
		bool due =
		    next->copy_ms <= run->now_ms && run->now_ms < run->stay_ms;

		next->move = due ? WARM_COPY : WARM_REST;
		next->until_ms = next->copy_ms;
	}
	return true;
}

void
vm_next(const struct run *r, const struct vm_run *vm, struct warm_next *ret)
{
	struct warm_run run = {r->begun_ms, r->opts->wait_until_ms,
			       clock_wall_ms()};
	struct warm_past past;

	/* once it is off there is nothing more to copy while it runs; and
	 * nothing is stopped, so that no rehearsal speaks against that */
	if (!vm_is_warm(vm) || vm->view.vm->power == POWER_STATE_OFF) {
		cold_next(r, vm, ret);
		return;
	}
	warm_past_of(vm->state->history, &past);
	warm_next_of(r->opts->plan->policy, &past, &vm->due, &run, ret);
	if (!heed_rehearsal(vm, &run, ret))
		vm_heed_budget(r, vm, ret);
}

/* In this run, too, whatever came of it so far. */
static bool
is_under_way(const struct vm_run *vm)
{
	const struct vm_work *w = vm->work;

	if (due_is_begun(vm->state->history, vm->view.vm))
		return true;
	for (size_t i = 0; i < w->nsteps; i++)
		if (w->steps[i].begun_ms > 0 &&
		    strcmp(w->steps[i].step->id, "cutover") == 0)
			return true;
	return false;
}

bool
vm_is_before_time(const struct run *r, const struct vm_run *vm)
{
	struct warm_next next;

	if (is_under_way(vm) || vm_goes_with_wave(vm))
		return false;
	vm_next(r, vm, &next);
	return next.move != WARM_CUT_OVER;
}

char *
vm_next_text(const struct vm_run *vm, const struct warm_next *next)
{
	struct warm_past past = {0};

	if (vm_is_warm(vm))
		warm_past_of(vm->state->history, &past);
	return warm_text(&past, next, &vm->due);
}

bool
vm_begin_round(struct run *r, struct vm_run *vm)
{
	struct schedule_opts how = {.view = &vm->view};
	struct warm_next next;
	struct graph *graph;

	if (!vm_is_warm(vm))
		return false;
	vm_next(r, vm, &next);
	if (next.move != WARM_COPY)
		return false;
	vm->view.round++;
	graph = graph_of(&vm->view);
	vm_take_up(r, vm, graph, schedule_of(&how, graph, vm->state->history));
	return true;
}
