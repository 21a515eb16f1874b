/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a vm may be cut over now: by how long it would be down, within its
 * budget and before the end of its window. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/sample.h"
#include "downtime.h"
#include "predict.h"
#include "run.h"

#define BLOCK_BYTES ((uint64_t)1024 * 1024)

static const struct run_policy *
policy_of(const struct run *r)
{
	return r->opts->plan->policy;
}

static struct predict_part
part_of(const struct span_ms *s)
{
	return (struct predict_part){.low_ms = s->low_ms,
				     .high_ms = s->high_ms};
}

/* What takes time whatever is copied. */
static void
add_parts(const struct vm_run *vm, struct predict_input *in)
{
	struct downtime parts;

	stages_downtime(&vm->view, &parts);
	in->stop = part_of(&parts.stop);
	in->convert = part_of(&parts.convert);
	in->boot = part_of(&parts.boot);
	in->start = part_of(&parts.start);
	in->rehearse_before =
	    vm->view.plan->policy->boot_test == BOOT_TEST_EVERY;
	in->reread = parts.reread;
	if (parts.convert.high_ms > 0)
		downtime_conversions(vm->state->history, &in->convert);
	if (parts.boot.high_ms > 0)
		downtime_boots(vm->state->history, &in->boot);
}

static uint64_t
sample_bytes(const struct run_policy *policy, const struct inv_vm *vm)
{
	struct sample_want want;
	struct err ignored;
	uint64_t sum = 0;

	if (sample_parse(policy->verify_sample, &want, &ignored) < 0)
		return 0;
	for (size_t i = 0; i < vm->ndisks; i++)
		sum += sample_size(&want, (vm->disks[i].capacity_bytes +
					   BLOCK_BYTES - 1) /
					      BLOCK_BYTES) *
		       BLOCK_BYTES;
	return sum;
}

/* What was copied and not read back, which is done behind the stop, too. */
static uint64_t
unread_bytes(const struct history *h, const struct inv_vm *vm,
	     const struct predict_input *in)
{
	const struct step_history *s = history_step(h, "precopy-release");
	const json_t *all = s ? json_object_get(s->facts, "generations") : NULL;
	uint32_t upto = downtime_read_back(h, vm);
	uint64_t sum = 0;
	json_t *g;
	size_t i;

	json_array_foreach(all, i, g)
	{
		if (json_integer_value(json_object_get(g, "number")) <=
		    (json_int_t)upto)
			continue;
		if (json_is_true(json_object_get(g, "whole")))
			return in->size;
		sum += (uint64_t)json_integer_value(json_object_get(g, "read"));
	}
	return sum < in->size ? sum : in->size;
}

static void
add_verify(const struct run_policy *policy, const struct vm_run *vm,
	   struct predict_input *in)
{
	if (policy->verify == VERIFY_NONE || policy->proof == PROOF_NONE)
		return;
	in->verify_before = true;
	in->verify_delta = policy->verify != VERIFY_SAMPLE;
	if (policy->verify == VERIFY_SAMPLE)
		in->verify_behind = sample_bytes(policy, vm->view.vm);
	else
		in->verify_behind =
		    unread_bytes(vm->state->history, vm->view.vm, in);
}

static uint64_t
generations_left(const struct run_policy *policy, unsigned round)
{
	unsigned most = (unsigned)policy->precopy.max_generations;

	if (most == 0)
		return UINT64_MAX;
	return round < most ? most - round : 0;
}

/* From when on generations of this run are copied for the cutover's sake alone,
 * one after the other. */
static int64_t
since_due(const struct run *r, const struct due *due)
{
	int64_t since = r->begun_ms;

	if (due->cutover_ms < DUE_ON_REQUEST && due->cutover_ms > since)
		since = due->cutover_ms;
	return due->window.from_ms > since ? due->window.from_ms : since;
}

static void
decide(const struct run *r, const struct vm_run *vm,
       struct predict_decision *ret, struct buf *why)
{
	const struct run_policy *policy = policy_of(r);
	struct generation_seen seen[PREDICT_GENERATIONS];
	struct predict_input in = {
	    .generations = seen,
	    .ngenerations = downtime_generations(vm->state->history, seen),
	    .max_downtime_ms = policy->cutover.max_downtime_ms,
	    .window_end_ms = vm->due.window.to_ms,
	    .generations_left = generations_left(policy, vm->view.round),
	    .now_ms = clock_wall_ms(),
	    .since_ms = since_due(r, &vm->due),
	};

	for (size_t i = 0; i < vm->view.vm->ndisks; i++)
		in.size += vm->view.vm->disks[i].capacity_bytes;
	add_parts(vm, &in);
	add_verify(policy, vm, &in);
	predict_decide(&in, ret, why);
}

/* It rests, until another generation or another window. */
static void
rest(const struct run *r, const struct vm_run *vm, struct warm_next *next,
     struct buf *why)
{
	const struct run_policy *policy = policy_of(r);
	char at[CLOCK_TEXT_SIZE], span[CLOCK_TEXT_SIZE];
	int64_t now = clock_wall_ms();
	struct window_span later;

	next->move = WARM_REST;
	if (vm_is_warm(vm) && generations_left(policy, vm->view.round) == 0)
		next->copy_ms = DUE_NEVER;
	next->until_ms = next->copy_ms;
	if (next->copy_ms <= now && now < r->opts->wait_until_ms)
		next->move = WARM_COPY;
	if (!vm->due.window.to_ms)
		return;
	if (!run_policy_window(policy, vm->due.window.to_ms, &later)) {
		buf_adds(why, "; no other time of cutover.window is left");
		return;
	}
	if (later.from_ms < next->until_ms)
		next->until_ms = later.from_ms;
	clock_format(later.from_ms, at);
	buf_printf(why, "; the next one opens at %.10s %.8s UTC for %s", at,
		   at + 11,
		   clock_format_duration(later.to_ms - later.from_ms, span));
}

void
vm_heed_budget(const struct run *r, const struct vm_run *vm,
	       struct warm_next *next)
{
	CLEANUP(buf_done) struct buf why = {0};
	struct predict_decision d;

	if (next->move != WARM_CUT_OVER ||
	    (policy_of(r)->cutover.max_downtime_ms == 0 &&
	     !vm->due.window.to_ms))
		return;
	decide(r, vm, &d, &why);
	if (d.verdict == PREDICT_ANOTHER_GENERATION)
		next->move = WARM_COPY;
	else if (d.verdict != PREDICT_CUT_OVER)
		rest(r, vm, next, &why);
	snprintf(next->why, sizeof(next->why), "%s", why.data ? why.data : "");
}

void
vm_heed_window(const struct run *r, const struct vm_run *vm,
	       struct warm_next *next)
{
	CLEANUP(buf_done) struct buf why = {0};
	struct predict_part copy = {0}, verify = {0};
	struct predict_input in = {0};
	struct predict_range down;
	int64_t left_ms = vm->due.window.to_ms - clock_wall_ms();

	if (!vm->due.window.to_ms || history_is_cut_over(vm->state->history) ||
	    !downtime_cold_copy(vm->state->history, vm->view.vm, &copy,
				&verify))
		return;
	add_parts(vm, &in);
	predict_parts(
	    (const struct predict_part *[]){&in.stop, &copy, &verify,
					    &in.convert, &in.boot, &in.start},
	    6, &down);
	if (down.high <= (double)left_ms)
		return;
	predict_say_window(&down, left_ms, &why);
	rest(r, vm, next, &why);
	snprintf(next->why, sizeof(next->why), "%s", why.data);
}

int
vm_write_prediction(struct run *r, struct vm_run *vm)
{
	CLEANUP(buf_done) struct buf why = {0};
	struct predict_decision d;
	const struct predict_range *down = &d.now.downtime;

	if (!vm_is_warm(vm))
		return 0;
	decide(r, vm, &d, &why);
	return run_write_down(
	    r, vm, "record",
	    json_pack("{s:s, s:s, s:{s:I, s:I, s:I, s:s}}", "step", "cutover",
		      "key", DOWNTIME_PREDICTED, "value", "lowMs",
		      (json_int_t)down->low, "likelyMs",
		      (json_int_t)down->likely, "highMs",
		      (json_int_t)down->high, "why", why.data ? why.data : ""));
}
