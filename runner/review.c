/* SPDX-License-Identifier: Apache-2.0 */
/* Digests of what is to be done. */
#include "review.h"

#include <string.h>

#include "manifests/digest.h"

static bool
is_one_of(const char *digest, const char *const *given)
{
	for (; given && *given; given++)
		if (strncmp(digest, *given, strlen(*given)) == 0)
			return true;
	return false;
}

/* The attempts so far make two times the same work two pieces of work: what
 * was accepted once is not accepted the next time. */
static json_t *
step_of(const struct batch_vm *v, const struct scheduled *s)
{
	const struct step_history *past =
	    history_step(v->run.state->history, s->step->id);

	return json_pack("{s:s, s:s, s:s, s:i}", "step", s->step->id,
			 "decision", decision_name(s->decision), "fingerprint",
			 s->step->fingerprint, "attempts",
			 past ? past->attempts : 0);
}

static json_t *
work_of(const struct batch_vm *v)
{
	const struct schedule *s = v->run.schedule;
	json_t *steps = json_array();

	for (size_t i = 0; i < s->nsteps; i++)
		if (scheduled_is_todo(&s->steps[i]))
			json_array_append_new(steps, step_of(v, &s->steps[i]));
	return json_pack("{s:s, s:s, s:s, s:o}", "vm", v->run.pvm->key,
			 "source", v->run.view.vm->id, "target",
			 v->run.view.shape->name, "steps", steps);
}

static void
add_digests(struct batch *b)
{
	json_t *all =
	    json_pack("{s:s, s:s, s:[]}", "namespace", b->plan->o.namespace,
		      "plan", b->plan->o.name, "vms");

	for (size_t i = 0; i < b->nvms; i++) {
		struct batch_vm *v = &b->vms[i];
		json_t *work;

		if (v->verdict != BATCH_READY || !v->run.schedule ||
		    v->run.aim != AIM_RUN)
			continue;
		work = work_of(v);
		digest_json(work, v->digest);
		json_array_append_new(json_object_get(all, "vms"), work);
	}
	digest_json(all, b->digest);
	json_decref(all);
}

static void
ask_for_licence(struct batch_vm *v)
{
	const struct scheduled *s = v->run.schedule->accept;

	v->verdict = BATCH_BACK;
	err_set(&v->error, ERR_NOT_READY,
		"%s would copy again what is copied already (%s); if that is "
		"meant: --accept %.*s",
		s->step->id, s->why, REVIEW_SHOWN, v->digest);
}

/* The schedule as it is once what needs accepting is accepted. */
static void
give_licence(struct batch_vm *v, const struct batch_opts *opts)
{
	struct schedule_opts how = {
	    .view = &v->run.view,
	    .redo = opts->redo,
	    .accepted = true,
	};

	schedule_free(v->run.schedule);
	v->run.schedule =
	    schedule_of(&how, v->run.graph, v->run.state->history);
}

static int
compare(const struct batch *b, const struct batch_opts *opts, struct err *err)
{
	const char *const expected[] = {opts->expect, NULL};

	if (!opts->expect || is_one_of(b->digest, expected))
		return 0;
	return err_set(err, ERR_NOT_READY,
		       "plan %s/%s: what is to be done is not what was "
		       "expected: --expect %s, but its digest is %.*s; nothing "
		       "was touched; look at 'palletjack plan' again, with the "
		       "same --vm and --redo, and expect what it prints",
		       b->plan->o.namespace, b->plan->o.name, opts->expect,
		       REVIEW_SHOWN, b->digest);
}

int
review(struct batch *b, const struct batch_opts *opts, struct err *err)
{
	bool all;

	add_digests(b);
	if (compare(b, opts, err) < 0)
		return -1;
	all = is_one_of(b->digest, opts->accept);
	for (size_t i = 0; i < b->nvms; i++) {
		struct batch_vm *v = &b->vms[i];

		if (v->verdict != BATCH_READY || !v->run.schedule ||
		    !v->run.schedule->accept)
			continue;
		if (all || is_one_of(v->digest, opts->accept))
			give_licence(v, opts);
		else
			ask_for_licence(v);
	}
	return 0;
}

bool
review_wants_accept(const struct batch_vm *v)
{
	return v->verdict == BATCH_BACK && v->digest[0] && v->run.schedule &&
	       v->run.schedule->accept;
}

int
review_check_digest(const char *option, const char *text, struct err *err)
{
	size_t len = strlen(text);

	if (len >= REVIEW_LEAST && len < DIGEST_HEX_SIZE &&
	    strspn(text, "0123456789abcdef") == len)
		return 0;
	return err_set(err, ERR_USER,
		       "%s wants the digest that plan printed (at least %d of "
		       "its digits), not '%s'",
		       option, REVIEW_LEAST, text);
}
