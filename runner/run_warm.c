/* SPDX-License-Identifier: Apache-2.0 */
/* Warm vms within a run: when one is due, it is taken through another
 * generation, and when its time has come and the last one is fresh, through
 * its cutover. */
#include <stdlib.h>

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

void
vm_warm_next(const struct run *r, const struct vm_run *vm,
	     struct warm_next *ret)
{
	struct warm_run run = {r->begun_ms, r->opts->wait_until_ms,
			       clock_wall_ms()};
	struct warm_past past;

	warm_past_of(vm->state->history, &past);
	warm_next_of(r->opts->plan->policy, &past, &vm->due, &run, ret);
	/* once it is off there is nothing more to copy while it runs */
	if (vm->view.vm->power == POWER_STATE_OFF && ret->move == WARM_COPY)
		ret->move = due_waits(&vm->due) ? WARM_REST : WARM_CUT_OVER;
	else
		vm_heed_budget(r, vm, ret);
}

bool
vm_is_before_time(const struct run *r, const struct vm_run *vm)
{
	struct warm_next next;

	if (!vm_is_warm(vm))
		return due_waits(&vm->due);
	vm_warm_next(r, vm, &next);
	return next.move != WARM_CUT_OVER;
}

char *
vm_warm_text(const struct vm_run *vm, const struct warm_next *next)
{
	struct warm_past past;

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
	vm_warm_next(r, vm, &next);
	if (next.move != WARM_COPY)
		return false;
	vm->view.round++;
	graph = graph_of(&vm->view);
	vm_take_up(r, vm, graph, schedule_of(&how, graph, vm->state->history));
	return true;
}
