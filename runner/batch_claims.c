/* SPDX-License-Identifier: Apache-2.0 */
/* Vms whose place at the target another state claims: found before anything is
 * touched, taken over only by who accepts that. */
#include "batch_claims.h"

#include <string.h>

#include "ask.h"
#include "base/mem.h"
#include "batch_ask.h"
#include "batch_schedule.h"
#include "review.h"

static const char *
word_of(const struct batch_vm *v, const char *key)
{
	return json_string_value(json_object_get(v->claim, key));
}

struct finding_claims {
	struct batch *batch;
	const struct batch_opts *opts;
};

/* What stands in the way of asking is found again by what does the work. */
static int
ask_for_claims(void *arg, struct answer *to, struct work_link *link,
	       struct err *err)
{
	const struct finding_claims *f = arg;
	const struct batch *b = f->batch;
	json_t *all = json_object();

	(void)link, (void)err;
	for (size_t i = 0; i < b->nvms; i++) {
		const struct batch_vm *v = &b->vms[i];
		bool committed = false;
		json_t *claim = NULL;
		struct err ignored;

		if (!batch_is_to_move(v) ||
		    stages_claimant(&v->run.view, &claim, &ignored) < 0)
			continue;
		if (!claim)
			(void)stages_committed(&v->run.view, &committed,
					       &ignored);
		if (claim || committed)
			json_object_set_new(
			    all, v->run.pvm->key,
			    json_pack("{s:o*, s:b}", "claim", claim,
				      "committed", committed));
	}
	answer_add(to, all);
	return 0;
}

/* Accepted in an earlier run that was cut short before it was done. */
static bool
is_accepted_before(const struct batch_vm *v)
{
	const struct step_history *cutover =
	    history_past(v->run.state->history, "cutover");
	const char *recorded = cutover ? json_string_value(json_object_get(
					     cutover->recorded, WORK_TAKEOVER))
				       : NULL;

	return recorded && strcmp(recorded, word_of(v, "id")) == 0;
}

static void
note_claim(struct batch_vm *v, json_t *claim)
{
	if (!claim)
		return;
	v->claim = json_incref(claim);
	if (is_accepted_before(v))
		v->run.view.takeover = word_of(v, "id");
}

/* A commit, or that its disks are to be set aside, is on record before the
 * target knows of it. */
static void
note_commit(struct batch_vm *v, const json_t *committed,
	    const struct batch_opts *opts)
{
	const struct history *h = v->run.state->history;
	const struct step_history *aside =
	    history_past(h, stage_set_aside.name);

	if (!json_is_true(committed) || history_step(h, "commit") ||
	    (h->aside > 0 && (!aside || aside->state != HISTORY_DONE)))
		return;
	v->outdated = true;
	batch_schedule(v, opts);
}

static int
take_claims(void *arg, const json_t *piece, struct err *err)
{
	const struct finding_claims *f = arg;

	(void)err;
	for (size_t i = 0; i < f->batch->nvms; i++) {
		struct batch_vm *v = &f->batch->vms[i];
		const json_t *its = json_object_get(piece, v->run.pvm->key);

		if (!batch_is_to_move(v))
			continue;
		note_claim(v, json_object_get(its, "claim"));
		note_commit(v, json_object_get(its, "committed"), f->opts);
	}
	return 0;
}

void
batch_find_claims(struct batch *b, const struct batch_opts *opts)
{
	struct finding_claims f = {b, opts};
	struct question q = {ask_for_claims, take_claims, &f,
			     "asking whose the target is",
			     b->plan->policy->deadlines.wait_ms};
	struct err ignored;

	if (batch_has_questions(b) && stages_can_be_claimed(b->plan))
		(void)ask(&q, &ignored);
}

bool
batch_claim_bars(const struct batch_vm *v)
{
	return v->claim && !v->run.view.takeover;
}

void
batch_refuse_claim(struct batch_vm *v)
{
	const char *holder = word_of(v, "heldBy");

	v->verdict = BATCH_BACK;
	if (holder)
		err_set(&v->error, ERR_HELD,
			"'%s' belongs to %s; it is being worked on by %s, and "
			"is not taken over before that has ended",
			word_of(v, "where"), word_of(v, "who"), holder);
	else
		err_set(&v->error, ERR_HELD,
			"'%s' belongs to %s: a run with that state directory "
			"goes on with it; where that is given up, --accept "
			"%.*s takes it over: its ledger is not known here, so "
			"every disk is copied anew into the same place",
			word_of(v, "where"), word_of(v, "who"), REVIEW_SHOWN,
			v->digest);
}

/* What was done to the place before it was another's is past. */
void
batch_accept_claim(struct batch_vm *v)
{
	v->run.view.takeover = word_of(v, "id");
	if (!history_step(v->run.state->history, "cutover"))
		return;
	v->run.view.aside = 0;
	mem_freep(&v->renew);
	v->renew = mem_strdup("the target is taken over");
}
