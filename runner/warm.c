/* SPDX-License-Identifier: Apache-2.0 */
/* Generations and the cutover behind them: what comes when. */
#include "warm.h"

#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

static unsigned
round_of(const struct step_history *s)
{
	return s ? (unsigned)json_integer_value(
		       json_object_get(s->inputs, INPUTS_ROUND))
		 : 0;
}

static int64_t
moment(const char *rfc3339)
{
	int64_t ms = 0;

	return rfc3339 && clock_parse(rfc3339, &ms) == 0 ? ms : 0;
}

void
warm_past_of(const struct history *h, struct warm_past *ret)
{
	const struct step_history *first = history_step(h, "precopy");
	const struct step_history *last = history_step(h, "precopy-release");

	*ret = (struct warm_past){.round = round_of(first)};
	if (!first || !last || round_of(last) == 0)
		return;
	ret->whole = last->state == HISTORY_DONE &&
		     first->state == HISTORY_DONE &&
		     round_of(last) == ret->round;
	if (!ret->whole)
		return;
	ret->begun_ms = json_integer_value(json_object_get(first->facts, "at"));
	ret->ended_ms = moment(last->ended);
}

void
warm_next_of(const struct run_policy *policy, const struct warm_past *past,
	     const struct due *due, const struct warm_run *run,
	     struct warm_next *ret)
{
	int64_t cutover = due->cutover_ms ? due->cutover_ms : run->run_ms;
	int most = policy->precopy.max_generations;
	bool begun = past->begun_ms >= run->run_ms;
	bool ended = past->ended_ms >= run->run_ms;

	*ret = (struct warm_next){.move = WARM_COPY, .copy_ms = run->now_ms};
	if (!past->whole)
		return;
	ret->copy_ms = past->ended_ms + policy->precopy.interval_ms;
	if (cutover <= run->now_ms) {
		/* what is copied with the source off shall be little; in a
		 * window it is told whether another fits in, too */
		if ((past->begun_ms >= cutover || due->window.to_ms) &&
		    (begun || ret->copy_ms > run->now_ms))
			ret->move = WARM_CUT_OVER;
		return;
	}
	if (most > 0 && past->round >= (unsigned)most)
		ret->copy_ms = DUE_NEVER;
	if (ret->copy_ms <= run->now_ms &&
	    (!ended || run->now_ms < run->stay_ms))
		return;
	ret->move = WARM_REST;
	ret->until_ms = ret->copy_ms < cutover ? ret->copy_ms : cutover;
}

unsigned
warm_round(const struct plan *plan, const struct plan_vm *pvm,
	   const struct inv_vm *vm, const struct history *h,
	   const struct standing *standing, int64_t now_ms)
{
	struct warm_run run = {now_ms, 0, now_ms};
	struct warm_past past;
	struct warm_next next;
	struct due due;

	if (!plan_is_warm(plan))
		return 0;
	warm_past_of(h, &past);
	if (history_is_cut_over(h) || vm->power == POWER_STATE_OFF)
		return past.round;
	due_of(plan, pvm, vm, h, standing, &due);
	warm_next_of(plan->policy, &past, &due, &run, &next);
	return past.round +
	       (past.round == 0 || (past.whole && next.move == WARM_COPY));
}

char *
warm_rehearsal_text(const struct history *h, const struct view *v)
{
	const struct step_history *s =
	    history_step(h, stage_precopy_boot_test.name);
	const char *result, *why;

	if (!s || s->state != HISTORY_DONE ||
	    !stages_rehearsal_forbids(v, s->facts, &result, &why))
		return NULL;
	return mem_printf("no cutover before a boot test passes: that of "
			  "generation %u %s%s: %s",
			  v->round, strcmp(result, "failed") ? "was " : "",
			  result, why);
}

char *
warm_text(const struct warm_past *past, const struct warm_next *next,
	  const struct due *due)
{
	CLEANUP(mem_freep) char *cutover = due_text(due);
	CLEANUP(buf_done) struct buf b = {0};
	char at[CLOCK_TEXT_SIZE];

	if (past->round > 0)
		buf_printf(&b, "generation %u is done; ", past->round);
	if (next->copy_ms < DUE_ON_REQUEST) {
		clock_format(next->copy_ms, at);
		buf_printf(&b, "the next at %.10s %.8s UTC; ", at, at + 11);
	}
	buf_adds(&b, next->why[0] ? next->why : cutover);
	return buf_steal(&b);
}
