/* SPDX-License-Identifier: Apache-2.0 */
/* Counting the retries of a step, over all runs. */
#include "retries.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

#define LONGEST_MS 1e15

double
retries_random(void)
{
	uint32_t bits = 0;

	if (getrandom(&bits, sizeof(bits), 0) < 0)
		bits = UINT32_MAX / 2;
	return (double)bits / UINT32_MAX;
}

/* Full jitter: anywhere between nothing and the exponential's value, so that
 * many vms do not knock at the same moment. */
static int64_t
pause_of(const struct run_policy *policy, const struct retries *r, double share)
{
	double most = (double)policy->retry.first_ms *
		      pow(policy->retry.factor, r->tried - 1);
	int64_t ms, left = policy->retry.total_ms - r->paused_ms;

	/* beyond what numbers hold, after a thousand times */
	if (policy->retry.first_ms <= 0)
		most = 0;
	else if (most > LONGEST_MS)
		most = LONGEST_MS;
	if (policy->retry.max_ms && most > (double)policy->retry.max_ms)
		most = (double)policy->retry.max_ms;
	ms = (int64_t)(share * most);
	return policy->retry.total_ms && ms > left ? left : ms;
}

int64_t
retries_take(const struct run_policy *policy, double share, struct retries *r)
{
	int64_t ms;

	r->tried++;
	if (r->tried >= policy->retry.attempts ||
	    (policy->retry.total_ms && r->paused_ms >= policy->retry.total_ms))
		return -1;
	ms = pause_of(policy, r, share);
	r->paused_ms += ms;
	return ms;
}

int64_t
retries_fresh_at(const struct run_policy *policy,
		 const struct step_history *past)
{
	int64_t since, now = clock_wall_ms();

	if (!past || !past->used_up || clock_parse(past->used_up, &since) < 0 ||
	    now < since || now >= since + policy->retry.max_ms)
		return 0;
	return since + policy->retry.max_ms;
}

static bool
is_named(const char *stage, const char *const *redo)
{
	for (; redo && *redo; redo++)
		if (strcmp(*redo, stage) == 0)
			return true;
	return false;
}

/* "verify/disk-0" is of "verify". */
static bool
is_of_stage(const char *step, const char *stage)
{
	size_t len = strlen(stage);

	return strncmp(step, stage, len) == 0 &&
	       (step[len] == '/' || !step[len]);
}

static bool
stage_waits(const struct vm_run *vm, const char *stage)
{
	const struct history *h = vm->state->history;

	for (size_t i = 0; i < h->nsteps; i++)
		if (is_of_stage(h->steps[i]->id, stage) &&
		    retries_fresh_at(vm->view.plan->policy, h->steps[i]) > 0)
			return true;
	return false;
}

const char **
retries_redo(const struct vm_run *vm, const char *const *redo)
{
	size_t n = 0, kept = 0;
	const char **list;

	while (redo && redo[n])
		n++;
	list = mem_new((n + 1) * sizeof(*list));
	for (size_t i = 0; i < n; i++)
		if (!stage_waits(vm, redo[i]))
			list[kept++] = redo[i];
	return list;
}

int
retries_check(const struct vm_run *vm, const char *const *redo, struct err *err)
{
	for (size_t i = 0; i < vm->graph->nsteps; i++) {
		const struct step *s = &vm->graph->steps[i];
		const struct step_history *past =
		    history_step(vm->state->history, s->id);
		int64_t fresh = retries_fresh_at(vm->view.plan->policy, past);
		char at[CLOCK_TEXT_SIZE];

		if (!fresh || is_named(s->stage->name, redo))
			continue;
		clock_format(fresh, at);
		return err_set(err, ERR_RETRY,
			       "%s used its retries up on %.10s at %.8s UTC "
			       "(%s); it gets fresh ones on %.10s at %.8s UTC, "
			       "or at once with --redo %s",
			       s->id, past->used_up, past->used_up + 11,
			       past->error ? past->error : "it failed", at,
			       at + 11, s->stage->name);
	}
	return 0;
}

void
retries_renew(const struct vm_run *vm)
{
	const struct history *h = vm->state->history;

	for (size_t i = 0; i < vm->graph->nsteps; i++) {
		const char *id = vm->graph->steps[i].id;
		const struct step_history *past = history_step(h, id);

		if (past && past->used_up)
			journal_add(vm->state->journal, "retries",
				    json_pack("{s:s}", "step", id));
	}
}

char *
redo_vms(const struct vm_run *vm)
{
	const struct wave *wave = vm->pvm->wave;
	struct buf b = {0};

	if (!wave || !wave->atomic)
		return mem_printf(" --vm %s", vm->pvm->key);
	for (size_t i = 0; i < wave->nvms; i++)
		if (!vm->view.plan || plan_vm_find(vm->view.plan, wave->vms[i]))
			buf_printf(&b, " --vm %s", wave->vms[i]);
	return buf_steal(&b);
}

void
retries_say(const struct vm_run *vm, const char *args)
{
	for (size_t i = 0; vm->graph && i < vm->graph->nsteps; i++) {
		const struct step *s = &vm->graph->steps[i];
		const struct step_history *past =
		    history_step(vm->state->history, s->id);
		int64_t fresh = retries_fresh_at(vm->view.plan->policy, past);
		CLEANUP(mem_freep) char *vms = fresh ? redo_vms(vm) : NULL;
		char at[CLOCK_TEXT_SIZE];

		if (!fresh)
			continue;
		clock_format(fresh, at);
		fprintf(stderr,
			"%s: %s gets fresh retries on %.10s at %.8s UTC, or at "
			"once: palletjack run%s%s --redo %s\n",
			vm->pvm->key, s->id, at, at + 11, args, vms,
			s->stage->name);
	}
}
