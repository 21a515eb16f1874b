/* SPDX-License-Identifier: Apache-2.0 */
/* Schedules in words, and their end. */
#include "schedule.h"

#include <stdlib.h>

#include "base/mem.h"

static const char *const names[] = {
    [DECISION_SKIP] = "skip",	  [DECISION_RUN] = "run",
    [DECISION_RESUME] = "resume", [DECISION_CHANGED] = "changed",
    [DECISION_REDO] = "redo",	  [DECISION_REFUSED] = "refused",
};

const char *
decision_name(enum decision d)
{
	return names[d];
}

bool
scheduled_is_todo(const struct scheduled *s)
{
	return s->decision != DECISION_SKIP && s->decision != DECISION_REFUSED;
}

char *
scheduled_words(const struct scheduled *s)
{
	const char *note = s->needs_accept ? "; wants --accept" : "";

	if (s->blocked_by)
		return mem_printf("blocked by %s", s->blocked_by->id);
	if (s->decision == DECISION_CHANGED || s->decision == DECISION_REDO)
		return mem_printf("run (%s)%s", s->why, note);
	return mem_printf("%s (%s)%s", names[s->decision], s->why, note);
}

void
schedule_free(struct schedule *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->nsteps; i++)
		free(s->steps[i].why);
	free(s->steps);
	free(s->renew);
	free(s);
}
