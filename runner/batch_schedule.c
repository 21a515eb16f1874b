/* SPDX-License-Identifier: Apache-2.0 */
/* A vm's graph and schedule, and what speaks against them. */
#include "batch_schedule.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "retries.h"

void
batch_schedule_as(struct batch_vm *v, const struct schedule_opts *how)
{
	graph_free(v->run.graph);
	schedule_free(v->run.schedule);
	v->run.graph = graph_of(&v->run.view);
	v->run.schedule = schedule_of(how, v->run.graph, v->run.state->history);
}

/* What cannot be repeated on the disks that are there can be begun anew beside
 * them: that is what is scheduled then. */
void
batch_schedule(struct batch_vm *v, const struct batch_opts *opts)
{
	const char **redo = retries_redo(&v->run, opts->redo);
	struct schedule_opts how = {.view = &v->run.view, .redo = redo};

	free(v->renew);
	v->renew = NULL;
	batch_schedule_as(v, &how);
	if (v->outdated)
		v->renew = mem_strdup("a commit was begun that this state "
				      "directory does not know of: it is older "
				      "than the target's disks");
	else if (v->run.schedule->renew)
		v->renew = steal(&v->run.schedule->renew);
	if (v->renew) {
		how.renew = v->renew;
		v->run.view.aside = v->run.state->history->renewals + 1;
		batch_schedule_as(v, &how);
	}
	free(redo);
	v->verdict = v->run.schedule->ntodo ? BATCH_READY : BATCH_FINISHED;
}

/* A commit that was begun is to be finished, whatever the plan says now: until
 * then the disk is neither the replica nor the converted guest. */
static int
check_commit(const struct batch_vm *v, struct err *err)
{
	const struct step_history *commit =
	    history_step(v->run.state->history, "commit");

	if (!commit || v->renew || commit->state == HISTORY_DONE ||
	    commit->state == HISTORY_UNDONE)
		return 0;
	for (size_t i = 0; i < v->run.graph->nsteps; i++)
		if (strcmp(v->run.graph->steps[i].id, "commit") == 0)
			return 0;
	return err_set(err, ERR_FAIL,
		       "the commit of its conversion was begun and is not "
		       "finished, and the plan no longer converts: take "
		       "skipGuestConversion out again until it is");
}

int
batch_check_schedule(const struct batch_vm *v, struct err *err)
{
	const struct scheduled *r = v->run.schedule->refused;

	if (check_commit(v, err) < 0)
		return -1;
	if (!r)
		return 0;
	return err_set(err, ERR_FAIL, "%s: %s", r->step->id, r->why);
}
