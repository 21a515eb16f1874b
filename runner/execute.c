/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop that starts steps, hears them and writes down what happened.
 *
 * vm_advance() is the only place where work is started; it is called whenever
 * anything changed that concerns the vm (run_pools.c). */
#include "run.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "backout.h"
#include "downtime.h"
#include "io/interrupt.h"
#include "io/loop.h"
#include "step.h"

void
run_emit(struct run *r, const struct event *e)
{
	if (r->opts->printer)
		r->opts->printer->print(r->opts->printer, e);
}

void
vm_kill(struct vm_run *vm)
{
	for (size_t i = 0; i < vm->work->nsteps; i++)
		if (vm->work->steps[i].phase == PHASE_RUNNING)
			child_kill(&vm->work->steps[i].child);
}

void
vm_ask_to_stop(struct vm_run *vm)
{
	for (size_t i = 0; i < vm->work->nsteps; i++)
		if (vm->work->steps[i].phase == PHASE_RUNNING)
			child_ask_to_stop(&vm->work->steps[i].child);
}

void
run_kill(struct run *r)
{
	for (size_t i = 0; i < r->nvms; i++)
		vm_kill(&r->vms[i]);
}

void
run_break(struct run *r, const struct err *err)
{
	if (!r->broken)
		r->error = *err;
	r->broken = true;
	run_kill(r);
}

int
run_write_down(struct run *r, struct vm_run *vm, const char *type,
	       json_t *fields)
{
	struct err err;

	journal_add(vm->state->journal, type, fields);
	if (journal_sync(vm->state->journal, &err) == 0) {
		state_tidy(vm->state);
		return 0;
	}
	err_wrap(&err, "%s", vm->pvm->key);
	run_break(r, &err);
	return -1;
}

void
vm_stop(struct vm_run *vm)
{
	vm->work->stopping = true;
	for (size_t i = 0; i < vm->work->nsteps; i++) {
		struct step_run *s = &vm->work->steps[i];

		if (s->phase != PHASE_PAUSED)
			continue;
		loop_cancel(s->run->loop, s->retry_timer);
		s->retry_timer = 0;
		s->phase = PHASE_LEFT;
		vm->work->nopen--;
		/* unless it is stopped for a reason of its own */
		vm_note_failure(vm, ERR_CANCELLED,
				"stopped by a signal, state saved");
	}
}

void
vm_note_failure(struct vm_run *vm, enum err_class class, const char *text)
{
	if (vm->outcome != ERR_NONE)
		return;
	vm->outcome = class;
	free(vm->error);
	vm->error = mem_strdup(text);
}

static bool
is_all_done(const struct vm_run *vm)
{
	for (size_t i = 0; i < vm->work->nsteps; i++)
		if (vm->work->steps[i].phase != PHASE_DONE)
			return false;
	return true;
}

/* Of gc. */
static bool
has_removed_nothing(const struct vm_run *vm)
{
	bool nothing = vm->work->nsteps > 0;

	for (size_t i = 0; i < vm->work->nsteps; i++) {
		const struct step_history *s = history_step(
		    vm->state->history, vm->work->steps[i].step->id);

		nothing &=
		    s && json_is_false(json_object_get(s->facts, "removed"));
	}
	return nothing;
}

static enum event_type
last_event(const struct vm_run *vm, bool done)
{
	if (done && vm->aim == AIM_ROLLBACK)
		return EVENT_VM_ROLLED_BACK;
	if (vm->outcome == ERR_WAITING)
		return EVENT_VM_WAITING;
	if (vm->outcome != ERR_NONE)
		return EVENT_VM_FAILED;
	if (done && vm->aim == AIM_RUN)
		return EVENT_VM_DONE;
	return done && !has_removed_nothing(vm) ? EVENT_VM_CLEANED
						: EVENT_VM_SKIPPED;
}

static void
drop_timers(struct run *r, struct vm_run *vm)
{
	loop_cancel(r->loop, vm->work->kill_timer);
	loop_cancel(r->loop, vm->work->deadline_timer);
	vm->work->kill_timer = vm->work->deadline_timer = 0;
}

static void
vm_end(struct run *r, struct vm_run *vm)
{
	bool done = is_all_done(vm), failed = vm->outcome != ERR_NONE;
	CLEANUP(mem_freep) char *down = downtime_text(vm->state->history);
	struct event e = {.vm = vm->pvm->key};
	json_t *fields = json_object();

	e.type = last_event(vm, done);
	e.text = done && e.type == EVENT_VM_SKIPPED
		     ? "nothing was to be removed"
		 : e.type == EVENT_VM_SKIPPED ? "stopped where --until says"
		 : e.type == EVENT_VM_DONE    ? down
					      : vm->error;
	json_object_set_new(
	    fields, "finished",
	    json_boolean(done && !failed && vm->aim == AIM_RUN));
	if (done && vm->aim == AIM_ROLLBACK) {
		json_object_set_new(fields, "rolledBack", json_true());
		vm_note_failure(vm, ERR_CANCELLED, "rolled back");
	}
	if (failed) {
		json_object_set_new(fields, "class",
				    json_string(err_class_name(vm->outcome)));
		json_object_set_new(fields, "error", json_string(vm->error));
	}
	drop_timers(r, vm);
	vm->work->ended = true;
	if (vm->held_fd > 0)
		close(vm->held_fd);
	vm->held_fd = 0;
	r->nended++;
	vm_leave_place(r, vm);
	if (!r->broken)
		run_write_down(r, vm, done ? aim_last_word(vm->aim) : "stop",
			       fields);
	else
		json_decref(fields);
	run_emit(r, &e);
	if (vm->outcome == ERR_NONE)
		history_forget(vm->state->history);
}

/* All before it is done. */
static bool
is_next(const struct step_run *s)
{
	const struct step *step = s->step;

	if (s->phase != PHASE_WAITING)
		return false;
	for (size_t i = 0; i < step->nafter; i++)
		if (s->vm->work->steps[step->after[i]].phase != PHASE_DONE)
			return false;
	return true;
}

static bool
is_before_time(const struct step_run *s)
{
	return strcmp(s->step->id, "cutover") == 0 &&
	       vm_is_before_time(s->run, s->vm);
}

/* Its time has not come, or others of its wave have not. */
static bool
is_early(const struct step_run *s)
{
	return is_before_time(s) || step_is_barred(s);
}

static bool
is_ready(const struct step_run *s)
{
	return is_next(s) && !is_early(s);
}

static bool
has_work(const struct vm_run *vm)
{
	for (size_t i = 0; i < vm->work->nsteps; i++)
		if (is_ready(&vm->work->steps[i]))
			return true;
	return false;
}

/* A step that is done already still waits for those before it: where one of
 * them is done again, nothing behind it may overtake. */
static void
settle_skipped(struct vm_run *vm)
{
	for (size_t i = 0; i < vm->work->nsteps; i++) {
		struct step_run *s = &vm->work->steps[i];

		if (s->skip && is_next(s))
			s->phase = PHASE_DONE;
	}
}

bool
stage_is_behind(const struct stage *stage, const char *until)
{
	const struct stage *const *all;
	size_t nall, len = strlen(until);
	bool seen = false;

	/* "precopy-release" is a part of "precopy" */
	if (strncmp(stage->name, until, len) == 0 && stage->name[len] == '-')
		return false;
	all = stages_all(&nall);
	for (size_t i = 0; i < nall; i++) {
		if (strcmp(all[i]->name, stage->name) == 0)
			return seen;
		seen |= strcmp(all[i]->name, until) == 0;
	}
	return false;
}

/* Taking back and cleaning up is asked for each time anew. */
static void
count_retries(struct step_run *s)
{
	const struct step_history *past =
	    history_step(s->vm->state->history, s->step->id);

	if (past && s->vm->aim == AIM_RUN)
		s->retries = (struct retries){past->tried, past->paused_ms};
}

static void
prepare_steps(struct run *r, struct vm_run *vm, const struct graph *g,
	      const struct schedule *schedule)
{
	const char *until = vm->aim == AIM_RUN ? r->opts->until : NULL;
	struct vm_work *w = vm->work;

	w->nsteps = g->nsteps;
	w->steps = mem_new(w->nsteps * sizeof(*w->steps));
	for (size_t i = 0; i < w->nsteps; i++) {
		struct step_run *s = &w->steps[i];

		s->run = r;
		s->vm = vm;
		s->step = &g->steps[i];
		s->child.pidfd = s->child.socket = -1;
		count_retries(s);
		s->skip = schedule->steps[i].decision == DECISION_SKIP;
		if (!s->skip && until && stage_is_behind(s->step->stage, until))
			s->phase = PHASE_LEFT;
	}
	settle_skipped(vm);
}

void
vm_take_up(struct run *r, struct vm_run *vm, struct graph *graph,
	   struct schedule *schedule)
{
	struct vm_work *w = vm->work;

	free(w->steps);
	graph_free(w->graph);
	schedule_free(w->schedule);
	w->graph = graph;
	w->schedule = schedule;
	prepare_steps(r, vm, graph, schedule);
}

/* Failed for good behind the source's stop: what the policy wants then is done
 * at once, whatever other vms are at, and however late it is. */
static bool
turn_back(struct run *r, struct vm_run *vm)
{
	struct vm_work *w = vm->work;
	enum aim aim = AIM_RUN;
	struct graph *graph;

	if (!r->signal && !r->broken)
		aim = backout_aim(r->opts->plan->policy, vm);
	if (aim == AIM_RUN)
		return false;
	vm->aim = aim;
	if (aim == AIM_ROLLBACK &&
	    run_write_down(r, vm, aim_first_word(aim),
			   json_pack("{s:s}", "because", vm->error)) < 0)
		return false;
	drop_timers(r, vm);
	w->stopping = w->abandoned = false;
	graph = aim_graph(aim, &vm->view);
	vm_take_up(r, vm, graph, aim_schedule(aim, graph, vm->state->history));
	return true;
}

/* The step that could be begun but for its time or its wave, or NULL. */
static const struct step_run *
early_step(const struct vm_run *vm)
{
	for (size_t i = 0; i < vm->work->nsteps; i++)
		if (is_next(&vm->work->steps[i]) &&
		    is_early(&vm->work->steps[i]))
			return &vm->work->steps[i];
	return NULL;
}

/* Will it come in this run?  What it waits for, which the caller frees. */
static enum wave_door
wait_of(const struct run *r, const struct step_run *s, char **ret_text)
{
	int64_t until = r->opts->wait_until_ms;
	struct warm_next next;

	if (!is_before_time(s))
		return step_may_pass(s, ret_text);
	vm_next(r, s->vm, &next);
	*ret_text = vm_next_text(s->vm, &next);
	if (next.move == WARM_COPY)
		return WAVE_OPEN;
	return clock_wall_ms() < until && (next.until_ms <= until ||
					   next.until_ms == DUE_ON_REQUEST)
		   ? WAVE_WAIT
		   : WAVE_SHUT;
}

static bool
stays_parked(const struct run *r, const struct vm_run *vm)
{
	const struct step_run *early = vm->work->parked ? early_step(vm) : NULL;
	CLEANUP(mem_freep) char *text = NULL;

	return early && wait_of(r, early, &text) == WAVE_WAIT;
}

/* It stays in this run, and others may have its place meanwhile. */
static void
vm_park(struct run *r, struct vm_run *vm, const char *text)
{
	struct event e = {
	    .type = EVENT_VM_WAITING, .vm = vm->pvm->key, .text = text};

	vm_leave_place(r, vm);
	if (!vm->work->parked)
		run_emit(r, &e);
	vm->work->parked = true;
}

/* Whatever else it ends for: its source would not be stopped. */
static void
note_rehearsal(struct vm_run *vm)
{
	CLEANUP(mem_freep) char *text = vm_rehearsal_text(vm);

	if (text && vm->view.vm->power != POWER_STATE_OFF)
		vm_note_failure(vm, ERR_FAIL, text);
}

/* Off and waiting is no state to be left in; and one whose boot test failed
 * does not wait for a time alone. */
static enum err_class
class_of_wait(const struct vm_run *vm)
{
	CLEANUP(mem_freep) char *rehearsal = vm_rehearsal_text(vm);

	if (history_is_cut_over(vm->state->history))
		return ERR_RETRY;
	return rehearsal && vm->view.vm->power != POWER_STATE_OFF ? ERR_FAIL
								  : ERR_WAITING;
}

/* Nothing of it runs, and nothing can be started. */
static void
vm_rest(struct run *r, struct vm_run *vm)
{
	const struct step_run *early = early_step(vm);

	if (early && vm->outcome == ERR_NONE && !r->signal &&
	    vm_begin_round(r, vm)) {
		vm_touch(r, vm);
		return;
	}
	if (r->signal && vm->outcome == ERR_NONE && (early || has_work(vm)))
		vm_note_failure(vm, ERR_CANCELLED,
				"stopped by a signal, state saved");
	if (early && vm->outcome == ERR_NONE) {
		CLEANUP(mem_freep) char *text = NULL;

		if (wait_of(r, early, &text) == WAVE_WAIT) {
			vm_park(r, vm, text);
			return;
		}
		vm_note_failure(vm, class_of_wait(vm), text);
	}
	if (vm->outcome == ERR_NONE && !is_all_done(vm))
		note_rehearsal(vm);
	vm_leave_wave(r, vm, is_all_done(vm));
	if (turn_back(r, vm))
		vm_touch(r, vm);
	else
		vm_end(r, vm);
}

static void
vm_advance(struct run *r, struct vm_run *vm)
{
	struct vm_work *w = vm->work;

	settle_skipped(vm);
	vm_look_wave(r, vm);
	for (size_t i = 0; i < w->nsteps; i++) {
		struct step_run *s = &w->steps[i];

		if (!w->stopping && !r->signal && is_ready(s))
			step_try_begin(s);
		else if (s->phase != PHASE_RUNNING)
			step_leave_place(s, true);
	}
	if (w->nopen == 0 && (w->stopping || r->signal || !has_work(vm)))
		vm_rest(r, vm);
}

/* A vm that is to end needs no place. */
void
vm_go_on(struct run *r, struct vm_run *vm)
{
	struct vm_work *w = vm->work;
	bool ends = w->stopping || r->signal;

	if (w->ended)
		return;
	vm_refresh_due(r, vm);
	if (!ends && w->parked)
		vm_look_wave(r, vm);
	if (!ends && stays_parked(r, vm))
		return;
	if (!ends && vm_may_begin(r, vm) == WAVE_WAIT)
		return;
	ends |= vm->outcome != ERR_NONE;
	if (!ends && !vm_has_place(r, vm))
		return;
	w->begun |= !ends;
	w->parked = false;
	if (!ends)
		vm_watch_deadline(r, vm);
	vm_advance(r, vm);
}

/* A whole run. */

static void
prepare_vm(struct run *r, struct vm_run *vm)
{
	vm->work = mem_new(sizeof(*vm->work));
	vm->work->run = r;
	vm_look_due(r, vm);
	prepare_steps(r, vm, vm->graph, vm->schedule);
}

static void
free_work(struct vm_run *vm)
{
	graph_free(vm->work->graph);
	schedule_free(vm->work->schedule);
	free(vm->work->steps);
	free(vm->work);
	vm->work = NULL;
}

/* After a break the children are dead; they still want to be reaped. */
static void
reap_all(struct run *r)
{
	struct err ignored;

	for (size_t i = 0; i < r->nvms; i++)
		for (size_t k = 0; k < r->vms[i].work->nsteps; k++) {
			struct step_run *s = &r->vms[i].work->steps[k];

			if (s->phase == PHASE_RUNNING) {
				(void)child_end(&s->child, &ignored);
				(void)step_end_all(s, &ignored);
				json_decref(s->child.facts);
				json_decref(s->facts_before);
				json_decref(s->recorded_before);
				free(s->doing);
			}
		}
}

/* Nobody who was not done is taken for one that went well. */
static void
fail_open(struct run *r, const struct err *err)
{
	for (size_t i = 0; i < r->nvms; i++)
		if (!r->vms[i].work->ended)
			vm_note_failure(&r->vms[i], err->class, err->text);
}

int
execute(const struct execute_opts *opts, struct vm_run *vms, size_t nvms,
	int *ret_signal, struct err *err)
{
	struct run r = {.opts = opts,
			.vms = vms,
			.nvms = nvms,
			.signal_fd = -1,
			.begun_ms = clock_wall_ms()};
	int rc;

	r.bandwidth = bandwidth_new(err);
	if (!r.bandwidth)
		return -1;
	r.loop = loop_new();
	for (size_t i = 0; i < nvms; i++)
		prepare_vm(&r, &vms[i]);
	run_open_pools(&r);
	run_open_waves(&r);
	mem_trim();
	rc = run_catch_signals(&r, err);
	if (rc == 0) {
		run_watch_requests(&r);
		run_watch_deadline(&r);
		run_advance(&r);
	}
	while (rc == 0 && !r.broken && r.nended < r.nvms)
		rc = loop_turn(r.loop, err);
	if (r.broken)
		*err = r.error;
	if (rc < 0 || r.broken) {
		run_kill(&r);
		reap_all(&r);
		fail_open(&r, err);
	}
	run_close_pools(&r);
	bandwidth_free(r.bandwidth);
	vec_done(&r.children);
	vec_done(&r.targets);
	for (size_t i = 0; i < nvms; i++)
		free_work(&vms[i]);
	interrupt_release(&r.signal_fd);
	loop_free(r.loop);
	*ret_signal = r.signal;
	return rc < 0 || r.broken ? -1 : 0;
}
