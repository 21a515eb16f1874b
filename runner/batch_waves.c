/* SPDX-License-Identifier: Apache-2.0 */
/* From verdicts and journals to waves. */
#include "batch_waves.h"

#include <stdlib.h>

#include "base/mem.h"
#include "state.h"

/* What its journal says; one that cannot be read proves nothing. */
static bool
is_moved(const struct plan *plan, const char *root, const struct plan_vm *pvm)
{
	CLEANUP(mem_freep) char *dir = state_vm_dir(root, plan, pvm);
	struct vm_state *state = NULL;
	struct err ignored;
	bool moved;

	if (state_peek(dir, &state, &ignored) < 0)
		return false;
	moved = state->history->finished && !state->history->rollback_begun;
	state_release(state);
	return moved;
}

static void
add_verdict(struct waves *ws, const struct batch_vm *v)
{
	bool waits =
	    v->error.class == ERR_HELD || v->error.class == ERR_WAITING;

	if (v->verdict == BATCH_FINISHED)
		waves_ended(ws, v->run.pvm, WAVE_MOVED, NULL);
	else if (v->verdict == BATCH_BACK)
		waves_ended(ws, v->run.pvm, waits ? WAVE_UNDONE : WAVE_FAILED,
			    v->error.text);
}

struct waves *
batch_waves(const struct batch *b)
{
	struct waves *ws = waves_new(b->plan);
	CLEANUP(mem_freep) bool *here = mem_new(b->plan->nvms + 1);

	for (size_t i = 0; ws && i < b->nvms; i++) {
		add_verdict(ws, &b->vms[i]);
		here[b->vms[i].run.pvm->index] = true;
	}
	for (size_t i = 0; ws && i < b->plan->nvms; i++) {
		const struct plan_vm *pvm = &b->plan->vms[i];

		if (here[i] || !pvm->wave)
			continue;
		if (is_moved(b->plan, b->root, pvm))
			waves_ended(ws, pvm, WAVE_MOVED, NULL);
		else
			waves_ended(ws, pvm, WAVE_UNDONE,
				    "it is not moved, and --vm leaves it out");
	}
	return ws;
}

struct waves *
journal_waves(const struct plan *plan, const char *root)
{
	struct waves *ws = waves_new(plan);

	for (size_t i = 0; ws && i < plan->nvms; i++)
		if (plan->vms[i].wave && is_moved(plan, root, &plan->vms[i]))
			waves_ended(ws, &plan->vms[i], WAVE_MOVED, NULL);
	return ws;
}
