/* SPDX-License-Identifier: Apache-2.0 */
/* Was the target started?  What its journal says of that. */
#include "history_start.h"

#include <string.h>

#include "stages/stage.h"

static bool
is_start(const struct step_history *s)
{
	return strcmp(s->id, "start") == 0;
}

/* What start's last attempt said of the target, if that is on record. */
static const json_t *
unmarked(const struct step_history *start)
{
	const json_t *said = json_object_get(start->recorded, WORK_UNMARKED);

	return start->state == HISTORY_FAILED &&
		       json_integer_value(json_object_get(said, "attempt")) ==
			   start->attempts
		   ? said
		   : NULL;
}

static const json_t *
marking(const struct step_history *start)
{
	return json_object_get(start->recorded, WORK_MARKING);
}

/* Of an attempt before which nothing was. */
static void
expect_marking(struct step_history *start)
{
	bool fresh =
	    start->state == HISTORY_NEVER || start->state == HISTORY_UNDONE;

	if (unmarked(start) || (fresh && !marking(start)))
		json_object_set_new(start->recorded, WORK_MARKING,
				    json_false());
}

void
history_start_begins(struct step_history *s, bool says)
{
	if (!is_start(s))
		return;
	if (says)
		expect_marking(s);
	else if (json_is_false(marking(s)))
		json_object_del(s->recorded, WORK_MARKING);
}

void
history_start_ends(struct step_history *s, bool failed)
{
	if (!is_start(s))
		return;
	if (!failed)
		json_object_set_new(s->recorded, WORK_MARKING, json_true());
	else if (s->state != HISTORY_OPEN)
		expect_marking(s);
}

void
history_start_is_wanted_anew(struct step_history *s)
{
	if (is_start(s))
		expect_marking(s);
}

/* An attempt that is under way, or was cut and nobody looked since, is not
 * known to have marked nothing until it has ended.  It has when somebody wants
 * another. */
static bool
is_unmarked(const struct step_history *start)
{
	return unmarked(start) || (json_is_false(marking(start)) &&
				   (start->state == HISTORY_FAILED ||
				    start->state == HISTORY_AGAIN));
}

bool
history_may_be_marked(const struct history *h)
{
	const struct step_history *start = history_step(h, "start");

	return start && start->state != HISTORY_UNDONE && !unmarked(start) &&
	       !json_is_false(marking(start));
}

bool
history_may_run(const struct history *h)
{
	const struct step_history *start = history_step(h, "start");

	return history_may_have_started(h) && start->state != HISTORY_DONE;
}

bool
history_may_have_started(const struct history *h)
{
	const struct step_history *start = history_step(h, "start");

	return start && start->state != HISTORY_NEVER &&
	       start->state != HISTORY_UNDONE && !is_unmarked(start);
}

const struct step_history *
history_binding(const struct history *h, const char *id)
{
	const struct step_history *s = history_step(h, id);

	return s && is_start(s) && is_unmarked(s) ? NULL : s;
}

bool
history_source_ran_at_start(const struct history *h)
{
	const struct step_history *start = history_step(h, "start");

	return start &&
	       json_is_true(json_object_get(unmarked(start), "sourceRuns"));
}
