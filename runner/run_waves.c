/* SPDX-License-Identifier: Apache-2.0 */
/* Waves in a run: who may be begun, and who waits for whom. */
#include <string.h>

#include "base/mem.h"
#include "run.h"

static const char *const barriers[] = {
    [WAVE_CUTOVER] = "cutover",
    [WAVE_COMMIT] = "commit",
    [WAVE_START] = "start",
};

static struct waves *
waves_of(const struct vm_run *vm)
{
	return vm->pvm->wave && vm->aim == AIM_RUN ? vm->work->run->opts->waves
						   : NULL;
}

enum wave_door
vm_may_begin(struct run *r, struct vm_run *vm)
{
	CLEANUP(mem_freep) char *why = NULL;
	enum wave_door door;

	if (vm->work->begun || !waves_of(vm) ||
	    history_is_cut_over(vm->state->history))
		return WAVE_OPEN;
	door = waves_may_begin(r->opts->waves, vm->pvm, &why);
	if (door == WAVE_SHUT) {
		vm_note_failure(vm, ERR_WAITING, why);
		vm_stop(vm);
	}
	return door;
}

enum wave_door
step_may_pass(const struct step_run *s, char **ret_why)
{
	struct waves *ws = waves_of(s->vm);

	for (int b = 0; ws && b < WAVE_NBARRIERS; b++)
		if (strcmp(s->step->id, barriers[b]) == 0)
			return waves_may_pass(ws, s->vm->pvm,
					      (enum wave_barrier)b, ret_why);
	return WAVE_OPEN;
}

bool
vm_goes_with_wave(const struct vm_run *vm)
{
	return waves_are_past(waves_of(vm), vm->pvm, WAVE_CUTOVER);
}

bool
step_is_barred(const struct step_run *s)
{
	CLEANUP(mem_freep) char *why = NULL;

	return step_may_pass(s, &why) != WAVE_OPEN;
}

/* Is nothing left to do before that stage?  Some vms do not have the stage
 * itself. */
static bool
is_as_far(const struct vm_run *vm, const char *barrier)
{
	const struct vm_work *w = vm->work;

	for (size_t i = 0; i < w->nsteps; i++) {
		const struct stage *stage = w->steps[i].step->stage;

		if (strcmp(stage->name, barrier) != 0 &&
		    !stage_is_behind(stage, barrier) &&
		    w->steps[i].phase != PHASE_DONE)
			return false;
	}
	return true;
}

/* Those that are cut over, while another of their wave will not be. */
static void
call_back(struct run *r)
{
	for (size_t i = 0; i < r->nvms && !r->signal; i++) {
		struct vm_run *vm = r->order[i];
		CLEANUP(mem_freep) char *why = NULL;

		if (vm->work->ended || vm->work->stopping ||
		    vm->outcome != ERR_NONE || !waves_of(vm) ||
		    !vm->pvm->wave->atomic ||
		    !history_is_cut_over(vm->state->history) ||
		    waves_may_pass(r->opts->waves, vm->pvm, WAVE_START, &why) !=
			WAVE_SHUT)
			continue;
		vm_abandon(r, vm, ERR_RETRY, why);
	}
}

static void
react(struct run *r)
{
	if (!waves_changed(r->opts->waves))
		return;
	call_back(r);
	for (size_t i = 0; i < r->nvms; i++)
		vm_touch(r, r->order[i]);
}

void
vm_look_wave(struct run *r, struct vm_run *vm)
{
	struct waves *ws = waves_of(vm);

	if (!ws || !vm->pvm->wave->atomic)
		return;
	for (int b = 0; b < WAVE_NBARRIERS; b++) {
		if (!is_as_far(vm, barriers[b]))
			break;
		if (b == WAVE_CUTOVER && vm_is_before_time(r, vm)) {
			waves_unready(ws, vm->pvm, WAVE_CUTOVER);
			break;
		}
		waves_ready(ws, vm->pvm, (enum wave_barrier)b);
	}
	react(r);
}

/* A warm vm is copied while it runs: that its cutover does not come in this run
 * is no reason not to copy the others, too. */
static bool
only_rests(const struct run *r, const struct vm_run *vm)
{
	CLEANUP(mem_freep) char *rehearsal = vm_rehearsal_text(vm);

	return plan_is_warm(r->opts->plan) &&
	       !history_is_cut_over(vm->state->history) &&
	       (vm->outcome == ERR_NONE || vm->outcome == ERR_WAITING ||
		(vm->outcome == ERR_FAIL && rehearsal));
}

void
vm_leave_wave(struct run *r, struct vm_run *vm, bool done)
{
	enum wave_end end = WAVE_FAILED;
	const char *why = vm->error;
	bool rests = only_rests(r, vm);

	if (!waves_of(vm))
		return;
	if (vm->outcome == ERR_WAITING || vm->outcome == ERR_HELD ||
	    r->signal || (rests && vm->outcome != ERR_NONE))
		end = WAVE_UNDONE;
	else if (vm->outcome == ERR_NONE) {
		end = done ? WAVE_MOVED : WAVE_UNDONE;
		why = "stopped where --until says";
	}
	if (end == WAVE_UNDONE && rests)
		end = WAVE_RESTS;
	waves_ended(r->opts->waves, vm->pvm, end, why);
	react(r);
}

void
run_open_waves(struct run *r)
{
	for (size_t i = 0; i < r->nvms; i++)
		if (r->vms[i].aim != AIM_RUN)
			waves_ended(r->opts->waves, r->vms[i].pvm, WAVE_FAILED,
				    "its rollback is finished first");
}
