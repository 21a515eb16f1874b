/* SPDX-License-Identifier: Apache-2.0 */
/* Giving a vm up: asked to come to a good end, ended when it does not, for a
 * person's wish or because its time, or the run's, is over.  What is being
 * given back or cleaned up is not given up: its steps have their deadlines. */
#include "base/clock.h"
#include "base/mem.h"
#include "run.h"

static void
grace_is_over(void *arg)
{
	struct vm_run *vm = arg;

	vm->work->kill_timer = 0;
	vm_kill(vm);
}

void
vm_abandon(struct run *r, struct vm_run *vm, enum err_class class,
	   const char *text)
{
	vm->work->abandoned = true;
	vm_note_failure(vm, class, text);
	vm_stop(vm);
	vm_ask_to_stop(vm);
	if (!vm->work->kill_timer)
		vm->work->kill_timer =
		    loop_at(r->loop, clock_mono_ms() + STOP_GRACE_MS,
			    grace_is_over, vm);
}

static void
give_up(struct run *r, struct vm_run *vm, const char *what, int64_t limit_ms)
{
	char limit[CLOCK_TEXT_SIZE];
	CLEANUP(mem_freep)
	char *text =
	    mem_printf("%s took longer than its deadline of %s; what is done "
		       "stays done",
		       what, clock_format_duration(limit_ms, limit));

	vm_abandon(r, vm, ERR_RETRY, text);
}

static void
vm_is_late(void *arg)
{
	struct vm_run *vm = arg;
	struct run *r = vm->work->run;

	vm->work->deadline_timer = 0;
	give_up(r, vm, "the vm (deadlines.vm)",
		r->opts->plan->policy->deadlines.vm_ms);
	run_advance(r);
}

void
vm_watch_deadline(struct run *r, struct vm_run *vm)
{
	int64_t limit_ms = r->opts->plan->policy->deadlines.vm_ms;

	if (limit_ms && vm->aim == AIM_RUN && !vm->work->deadline_timer)
		vm->work->deadline_timer = loop_at(
		    r->loop, clock_mono_ms() + limit_ms, vm_is_late, vm);
}

static void
run_is_late(void *arg)
{
	struct run *r = arg;

	for (size_t i = 0; i < r->nvms; i++)
		if (!r->vms[i].work->ended && r->vms[i].aim == AIM_RUN)
			give_up(r, &r->vms[i], "the run (deadlines.run)",
				r->opts->plan->policy->deadlines.run_ms);
	run_advance(r);
}

void
run_watch_deadline(struct run *r)
{
	int64_t limit_ms = r->opts->plan->policy->deadlines.run_ms;

	if (limit_ms)
		loop_at(r->loop, clock_mono_ms() + limit_ms, run_is_late, r);
}
