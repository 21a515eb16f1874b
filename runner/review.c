/* SPDX-License-Identifier: Apache-2.0 */
/* Digests of what is to be done. */
#include "review.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "batch_claims.h"
#include "batch_schedule.h"
#include "manifests/digest.h"
#include "retries.h"

static bool
is_one_of(const char *digest, const char *const *given)
{
	for (; given && *given; given++)
		if (strncmp(digest, *given, strlen(*given)) == 0)
			return true;
	return false;
}

/* No text holds a zero byte: what is joined by them is joined in one way
 * only. */
static void
add_text(struct buf *b, const char *text)
{
	buf_add(b, text, strlen(text) + 1);
}

/* The attempts so far make two times the same work two pieces of work: what
 * was accepted once is not accepted the next time. */
static void
add_step(struct buf *b, const struct batch_vm *v, const struct scheduled *s)
{
	const struct step_history *past =
	    history_past(v->run.state->history, s->step->id);
	char attempts[16];

	snprintf(attempts, sizeof(attempts), "%d", past ? past->attempts : 0);
	add_text(b, s->step->id);
	add_text(b, decision_name(s->decision));
	add_text(b, s->step->fingerprint);
	add_text(b, attempts);
}

static void
add_vm_digest(struct batch_vm *v)
{
	const struct schedule *s = v->run.schedule;
	CLEANUP(buf_done) struct buf text = {0};

	add_text(&text, "vm");
	add_text(&text, v->run.pvm->key);
	add_text(&text, v->run.view.vm->id);
	add_text(&text, v->run.view.shape->name);
	if (batch_claim_bars(v))
		add_text(&text,
			 json_string_value(json_object_get(v->claim, "id")));
	for (size_t i = 0; i < s->nsteps; i++)
		if (scheduled_is_todo(&s->steps[i]))
			add_step(&text, v, &s->steps[i]);
	digest_bytes(text.data, text.len, v->digest);
}

static void
add_digests(struct batch *b)
{
	CLEANUP(buf_done) struct buf all = {0};

	add_text(&all, "plan");
	add_text(&all, b->plan->o.namespace);
	add_text(&all, b->plan->o.name);
	for (size_t i = 0; i < b->nvms; i++) {
		struct batch_vm *v = &b->vms[i];

		if (v->verdict != BATCH_READY || !v->run.schedule ||
		    v->run.aim != AIM_RUN)
			continue;
		add_vm_digest(v);
		add_text(&all, v->digest);
	}
	digest_bytes(all.data, all.len, b->digest);
}

static bool
wants_accept(const struct batch_vm *v)
{
	return v->run.schedule &&
	       (v->run.schedule->accept || batch_claim_bars(v));
}

static void
ask_for_licence(struct batch_vm *v)
{
	const struct scheduled *s = v->run.schedule->accept;

	if (batch_claim_bars(v)) {
		batch_refuse_claim(v);
		return;
	}
	v->verdict = BATCH_BACK;
	if (v->renew)
		err_set(&v->error, ERR_NOT_READY,
			"%s; the disk at the target is committed: it would be "
			"set aside and all copied anew; if that is meant: "
			"--accept %.*s",
			v->renew, REVIEW_SHOWN, v->digest);
	else
		err_set(&v->error, ERR_NOT_READY,
			"%s would copy again what is copied already (%s); if "
			"that is "
			"meant: --accept %.*s",
			s->step->id, s->why, REVIEW_SHOWN, v->digest);
}

/* The schedule as it is once what needs accepting is accepted. */
static void
give_licence(struct batch_vm *v, const struct batch_opts *opts)
{
	const char **redo = retries_redo(&v->run, opts->redo);
	struct schedule_opts how = {
	    .view = &v->run.view,
	    .redo = redo,
	    .accepted = true,
	};

	if (batch_claim_bars(v))
		batch_accept_claim(v);
	how.renew = v->renew;
	batch_schedule_as(v, &how);
	free(redo);
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

		if (v->verdict != BATCH_READY || !wants_accept(v))
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
	return v->verdict == BATCH_BACK && v->digest[0] && wants_accept(v) &&
	       !json_object_get(v->claim, "heldBy");
}

bool
review_fits(const struct batch *b, const char *digest)
{
	const char *const given[] = {digest, NULL};
	bool fits = is_one_of(b->digest, given);

	for (size_t i = 0; i < b->nvms && !fits; i++)
		fits = is_one_of(b->vms[i].digest, given);
	return fits;
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
