/* SPDX-License-Identifier: Apache-2.0 */
/* The order of a hand-over. */
#include "stages/handover.h"

/* Sources that cannot run are off.  One that does not say is not known to be
 * off. */
static int
source_must_be_off(const struct handover_ends *ends, bool *ret_runs,
		   struct err *err)
{
	enum power_state state = POWER_STATE_OFF;

	*ret_runs = false;
	if (ends->source_power &&
	    ends->source_power(ends->arg, &state, err) < 0)
		return err_wrap(err, "asking whether the source runs");
	if (state == POWER_STATE_OFF)
		return 0;
	*ret_runs = state == POWER_STATE_ON;
	return err_set(err, *ret_runs ? ERR_FAIL : ERR_RETRY,
		       *ret_runs
			   ? "the source '%s' runs: the target must not run "
			     "beside it"
			   : "the source '%s' does not say whether it runs: "
			     "the target must not run beside it",
		       ends->source);
}

int
handover_may_run(const struct handover_ends *ends, struct err *err)
{
	bool runs;

	return source_must_be_off(ends, &runs, err);
}

/* At once: every second that both run costs data. */
int
handover_stop_again(const struct handover_ends *ends, struct err *err)
{
	struct err stopping;

	if (ends->stop(ends->arg, &stopping) < 0)
		return err_wrap(err,
				"the target does not stop (%.300s), STOP "
				"ONE OF THE TWO BY HAND",
				stopping.text);
	return err_wrap(err, "the target was stopped again");
}

void
handover_note_unmarked(struct work *w, bool source_runs)
{
	struct err ignored;

	/* an earlier one may have started it, whatever is seen now */
	if (w->maybe_marked)
		return;
	(void)work_record(w, WORK_UNMARKED,
			  json_pack("{s:i, s:b}", "attempt", w->attempt,
				    "sourceRuns", source_runs),
			  &ignored);
}

int
handover_note_marking(struct work *w, struct err *err)
{
	return work_record(w, WORK_MARKING, json_true(), err);
}

/* One that runs ends a target that may run already; whether it does is not
 * asked. */
static int
source_must_be_off_first(const struct handover_ends *ends, struct err *err)
{
	bool runs;

	if (source_must_be_off(ends, &runs, err) == 0)
		return 0;
	return runs && ends->may_run ? handover_stop_again(ends, err) : -1;
}

int
handover_start(const struct handover_ends *ends, json_t **ret_facts,
	       struct err *err)
{
	json_t *facts = NULL;
	bool runs;

	if (source_must_be_off_first(ends, err) < 0 ||
	    ends->source_same(ends->arg, err) < 0 ||
	    ends->mark(ends->arg, HANDOVER_STARTED, err) < 0 ||
	    ends->start(ends->arg, &facts, err) < 0)
		return -1;
	if (source_must_be_off(ends, &runs, err) == 0) {
		*ret_facts = facts;
		return 0;
	}
	json_decref(facts);
	return handover_stop_again(ends, err);
}

/* It may run for long: a source that cannot be asked, gone since then, is no
 * reason to stop it.  One that runs is. */
int
handover_go_on(const struct handover_ends *ends, json_t **ret_facts,
	       struct err *err)
{
	json_t *facts = NULL;
	bool runs;

	if (source_must_be_off(ends, &runs, err) < 0)
		return runs ? handover_stop_again(ends, err) : -1;
	if (ends->source_same(ends->arg, err) < 0 ||
	    ends->start(ends->arg, &facts, err) < 0)
		return -1;
	if (source_must_be_off(ends, &runs, err) == 0) {
		*ret_facts = facts;
		return 0;
	}
	json_decref(facts);
	return runs ? handover_stop_again(ends, err) : -1;
}

int
handover_leave_off(const struct handover_ends *ends, struct err *err)
{
	if (source_must_be_off_first(ends, err) < 0 ||
	    ends->source_same(ends->arg, err) < 0)
		return -1;
	return ends->mark(ends->arg, HANDOVER_LEFT_OFF, err);
}
