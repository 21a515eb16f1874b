/* SPDX-License-Identifier: Apache-2.0 */
/* Giving a vm up: asked to come to a good end, ended when it does not, for a
 * person's wish or because its time, or the run's, is over.  What is being
 * given back or cleaned up is not given up: its steps have their deadlines. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "run.h"

#include <stdlib.h>

/* Steps. */

static const char *
declared_limit(const struct step_run *s)
{
	return json_string_value(json_object_get(
	    s->run->opts->plan->policy->deadlines.stage, s->step->stage->name));
}

int64_t
step_limit_ms(const struct step_run *s)
{
	const struct run_policy *policy = s->run->opts->plan->policy;
	const char *text = declared_limit(s);
	int64_t ms;

	if (text && clock_parse_duration(text, &ms) == 0)
		return ms;
	if (s->step->stage->deadline_ms)
		return s->step->stage->deadline_ms(policy);
	return s->step->stage->tells_progress ? 0 : policy->deadlines.wait_ms;
}

static void
step_is_late(void *arg)
{
	struct step_run *s = arg;

	s->deadline_timer = 0;
	s->deadline_passed = true;
	child_kill(&s->child);
}

/* One timer a pause, not one a message: it looks how long nothing moved. */
static void
look_for_stall(void *arg)
{
	struct step_run *s = arg;
	int64_t limit_ms = s->run->opts->plan->policy->deadlines.wait_ms;

	s->stall_timer = 0;
	if (clock_mono_ms() - s->moved_ms < limit_ms) {
		s->stall_timer = loop_at(s->run->loop, s->moved_ms + limit_ms,
					 look_for_stall, s);
		return;
	}
	s->stalled = true;
	child_kill(&s->child);
}

void
step_watch_deadlines(struct step_run *s)
{
	int64_t limit_ms = step_limit_ms(s),
		wait_ms = s->run->opts->plan->policy->deadlines.wait_ms;

	s->deadline_passed = s->stalled = false;
	s->done = s->total = 0;
	s->moved_ms = s->begun_ms;
	free(s->doing);
	s->doing = NULL;
	if (limit_ms)
		s->deadline_timer = loop_at(
		    s->run->loop, s->begun_ms + limit_ms, step_is_late, s);
	if (s->step->stage->tells_progress && wait_ms)
		s->stall_timer = loop_at(s->run->loop, s->begun_ms + wait_ms,
					 look_for_stall, s);
}

void
step_drop_deadlines(struct step_run *s)
{
	loop_cancel(s->run->loop, s->deadline_timer);
	loop_cancel(s->run->loop, s->stall_timer);
	s->deadline_timer = s->stall_timer = 0;
}

void
step_moved(struct step_run *s, uint64_t done, uint64_t total)
{
	if (done != s->done || total != s->total)
		s->moved_ms = clock_mono_ms();
	s->done = done;
	s->total = total;
}

static void
blame_stall(const struct step_run *s, struct err *err)
{
	const struct plan *plan = s->run->opts->plan;
	const char *disk = s->step->disk ? s->step->disk->id : "its data";
	char limit[CLOCK_TEXT_SIZE], done[UNITS_TEXT_SIZE],
	    total[UNITS_TEXT_SIZE];

	err_set(err, ERR_RETRY,
		"stood still for %s (deadlines.wait): %s at %s of %s, waiting "
		"for the source (%s %s/%s) or the target (%s %s/%s)%s%s",
		clock_format_duration(plan->policy->deadlines.wait_ms, limit),
		disk, units_format_bytes(s->done, done),
		units_format_bytes(s->total, total), plan->source->o.kind,
		plan->source->o.namespace, plan->source->o.name,
		plan->target->o.kind, plan->target->o.namespace,
		plan->target->o.name, s->doing ? "; last: " : "",
		s->doing ? s->doing : "");
}

void
step_blame_deadline(const struct step_run *s, struct err *err)
{
	const struct stage *stage = s->step->stage;
	char limit[CLOCK_TEXT_SIZE];

	if (s->stalled)
		blame_stall(s, err);
	if (!s->deadline_passed)
		return;
	clock_format_duration(step_limit_ms(s), limit);
	err_set(err, ERR_RETRY,
		"took longer than its deadline of %s (%s%s)%s%s", limit,
		declared_limit(s)    ? "deadlines.stage."
		: stage->deadline_ms ? "deadlines of "
				     : "deadlines.wait",
		declared_limit(s) || stage->deadline_ms ? stage->name : "",
		s->doing ? "; last: " : "", s->doing ? s->doing : "");
}

/* Vms and runs. */

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
		    loop_at(r->loop, clock_mono_ms() + STAGE_GRACE_MS,
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
