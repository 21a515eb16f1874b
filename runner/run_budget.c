/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a warm vm may be cut over now: by how long it would be down. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "predict.h"
#include "run.h"

static int64_t
ms_of(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

/* The generations on record, and what each cost. */
static size_t
read_generations(const struct history *h,
		 struct generation_seen ret[PREDICT_GENERATIONS])
{
	const struct step_history *s = history_step(h, "precopy-release");
	const json_t *all = s ? json_object_get(s->facts, "generations") : NULL;
	size_t n = json_array_size(all);
	size_t from = n > PREDICT_GENERATIONS ? n - PREDICT_GENERATIONS : 0;

	for (size_t i = from; i < n; i++) {
		const json_t *g = json_array_get(all, i);

		ret[i - from] = (struct generation_seen){
		    .point_ms = ms_of(g, "at"),
		    .ended_ms = ms_of(g, "ended"),
		    .whole = json_is_true(json_object_get(g, "whole")),
		    .changed = (uint64_t)ms_of(g, "changed"),
		    .moved = (uint64_t)ms_of(g, "read"),
		    .copying_ms = ms_of(g, "ended") - ms_of(g, "begun"),
		};
	}
	return n - from;
}

/* How long the step took when it was done last, in this vm's life. */
static void
add_measured(const struct history *h, const char *step,
	     struct predict_part *part)
{
	const struct step_history *s = history_step(h, step);
	int64_t begun, ended;

	if (s && s->facts && s->begun && s->ended &&
	    clock_parse(s->begun, &begun) == 0 &&
	    clock_parse(s->ended, &ended) == 0 && ended >= begun)
		part->seen_ms[part->nseen++] = ended - begun;
}

static struct predict_part
part_of(const struct span_ms *s)
{
	return (struct predict_part){.low_ms = s->low_ms,
				     .high_ms = s->high_ms};
}

static uint64_t
generations_left(const struct run_policy *policy, unsigned round)
{
	unsigned most = (unsigned)policy->precopy.max_generations;

	if (most == 0)
		return UINT64_MAX;
	return round < most ? most - round : 0;
}

static void
decide(const struct run *r, const struct vm_run *vm,
       struct predict_decision *ret, struct buf *why)
{
	const struct run_policy *policy = r->opts->plan->policy;
	struct generation_seen seen[PREDICT_GENERATIONS];
	struct downtime parts;
	struct predict_input in = {
	    .generations = seen,
	    .ngenerations = read_generations(vm->state->history, seen),
	    .verify_before = policy->verify != VERIFY_NONE,
	    .verify_delta = policy->verify != VERIFY_NONE,
	    .max_downtime_ms = policy->cutover.max_downtime_ms,
	    .generations_left = generations_left(policy, vm->view.round),
	    .now_ms = clock_wall_ms(),
	};

	stages_downtime(&vm->view, &parts);
	in.stop = part_of(&parts.stop);
	in.convert = part_of(&parts.convert);
	in.start = part_of(&parts.start);
	in.reread = parts.reread;
	if (parts.convert.high_ms > 0)
		add_measured(vm->state->history, "convert", &in.convert);
	for (size_t i = 0; i < vm->view.vm->ndisks; i++)
		in.size += vm->view.vm->disks[i].capacity_bytes;
	predict_decide(&in, ret, why);
}

void
vm_heed_budget(const struct run *r, const struct vm_run *vm,
	       struct warm_next *next)
{
	CLEANUP(buf_done) struct buf why = {0};
	struct predict_decision d;

	if (next->move != WARM_CUT_OVER ||
	    r->opts->plan->policy->cutover.max_downtime_ms == 0)
		return;
	decide(r, vm, &d, &why);
	snprintf(next->why, sizeof(next->why), "%s", why.data ? why.data : "");
	if (d.verdict == PREDICT_ANOTHER_GENERATION)
		next->move = WARM_COPY;
	else if (d.verdict != PREDICT_CUT_OVER) {
		next->move = WARM_REST;
		next->until_ms = next->copy_ms;
	}
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
		      "key", RUN_PREDICTED, "value", "lowMs",
		      (json_int_t)down->low, "likelyMs",
		      (json_int_t)down->likely, "highMs",
		      (json_int_t)down->high, "why", why.data ? why.data : ""));
}

char *
vm_downtime_text(const struct vm_run *vm)
{
	const struct history *h = vm->state->history;
	const struct step_history *cutover = history_step(h, "cutover");
	const struct step_history *start = history_step(h, "start");
	const json_t *p =
	    cutover ? json_object_get(cutover->recorded, RUN_PREDICTED) : NULL;
	char down[CLOCK_TEXT_SIZE], low[CLOCK_TEXT_SIZE], high[CLOCK_TEXT_SIZE];
	int64_t stopped, started;

	if (!h->source_stopped || !start || !start->ended ||
	    clock_parse(h->source_stopped, &stopped) < 0 ||
	    clock_parse(start->ended, &started) < 0)
		return NULL;
	clock_format_duration(started - stopped, down);
	if (!p)
		return mem_printf("down for %s", down);
	return mem_printf("down for %s (%s to %s were predicted)", down,
			  clock_format_duration(ms_of(p, "lowMs"), low),
			  clock_format_duration(ms_of(p, "highMs"), high));
}
