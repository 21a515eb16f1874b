/* SPDX-License-Identifier: Apache-2.0 */
/* What a vm's state directory remembers and takes in, before work. */
#include "batch_state.h"
#include "record.h"
#include "retries.h"

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "manifests/digest.h"

#define INVENTORY_MAX ((size_t)1024 * 1024 * 1024)

/* What the state directory remembers of the source. */

/* What --redo asked for is asked for until it is begun, in whatever run. */
static int
keep_redo(struct batch_vm *v, struct err *err)
{
	const struct schedule *s = v->run.schedule;
	const struct history *h = v->run.state->history;

	for (size_t i = 0; i < s->nsteps; i++) {
		const char *id = s->steps[i].step->id;

		if (s->steps[i].decision == DECISION_REDO &&
		    history_step(h, id)->state != HISTORY_AGAIN)
			journal_add(v->run.state->journal, "redo",
				    json_pack("{s:s}", "step", id));
	}
	return journal_sync(v->run.state->journal, err);
}

/* From here on what was done to the disks that are there is past, in this run
 * and in every later one, and nobody is asked again. */
static int
keep_renewal(struct batch_vm *v, struct err *err)
{
	if (!v->renew)
		return 0;
	journal_add(v->run.state->journal, "renew",
		    json_pack("{s:b, s:s}", "aside", v->run.view.aside > 0,
			      "because", v->renew));
	return journal_sync(v->run.state->journal, err);
}

int
batch_keep_record(struct batch_vm *v, struct err *err)
{
	if (record_keep(v->run.state, &v->run.view, v->recorded, err) < 0 ||
	    keep_renewal(v, err) < 0)
		return -1;
	retries_renew(&v->run);
	return keep_redo(v, err);
}

/* Requests. */

int
batch_check_due(const struct batch *b, struct batch_vm *v, struct err *err)
{
	due_of(b->plan, v->run.pvm, v->run.view.vm, v->run.state->history,
	       &v->standing, &v->due);
	if (!v->due.cancelled[0])
		return 0;
	return err_set(err, ERR_CANCELLED, "cancelled %s", v->due.cancelled);
}

int
batch_check_cancelled(const struct batch *b, struct batch_vm *v,
		      const char *vm_dir, struct err *err)
{
	standing_done(&v->standing);
	if (standing_read(v->run.state->history, vm_dir, &v->standing, err) < 0)
		return -1;
	return batch_check_due(b, v, err);
}

struct hearing {
	struct findings *findings;
	const char *vm;
};

static void
note_request(void *arg, const json_t *request, const char *ignored)
{
	const struct hearing *h = arg;
	CLEANUP(mem_freep) char *text = request_text(request, ignored);

	findings_add(h->findings, ignored ? FINDING_WARN : FINDING_INFORMATION,
		     ignored ? "RequestIgnored" : "Request", "%s", text)
	    ->vm = h->vm;
}

int
batch_check_still_cancelled(const struct batch *b, struct batch_vm *v,
			    struct err *err)
{
	struct standing standing;
	bool waits = false;

	if (v->run.aim != AIM_RUN)
		return 0;
	if (standing_read(v->run.state->history, v->run.state->dir, &standing,
			  err) < 0)
		return -1;
	for (int i = 0; i < NREQUESTS; i++)
		waits |= standing.waits[i];
	standing_done(&standing);
	return waits ? 0 : batch_check_cancelled(b, v, NULL, err);
}

int
batch_take_state(struct batch *b, struct batch_vm *v, const char *dir,
		 struct err *err)
{
	struct hearing hearing = {&b->findings, v->run.pvm->key};

	state_release(v->run.state);
	v->run.state = NULL;
	if (state_take(dir, b->plan, &v->run.state, err) < 0)
		return -1;
	/* a cutover that waits goes with what gc removes, once journalled */
	if (v->run.aim != AIM_RUN && v->run.aim != AIM_GC_DISKS)
		return 0;
	if (requests_take_in(v->run.state,
			     v->run.aim == AIM_RUN ? note_request : NULL,
			     &hearing, err) < 0)
		return -1;
	return v->run.aim == AIM_RUN ? batch_check_cancelled(b, v, NULL, err)
				     : 0;
}

/* The last word. */

int
batch_say_finished(struct batch_vm *v, struct err *err)
{
	if (v->run.state->history->finished)
		return 0;
	journal_add(v->run.state->journal, "stop",
		    json_pack("{s:b}", "finished", true));
	return journal_sync(v->run.state->journal, err);
}

int
batch_check_owner(const struct batch *b, const struct vm_state *s,
		  struct err *err)
{
	CLEANUP(mem_freep)
	char *plan = mem_printf("%s/%s", b->plan->o.namespace, b->plan->o.name);

	if (!s->history->plan || strcmp(s->history->plan, plan) == 0)
		return 0;
	return err_set(err, ERR_FAIL,
		       "its state was made by plan %s, and this is plan %s; "
		       "set '%s' aside",
		       s->history->plan, plan, s->dir);
}
