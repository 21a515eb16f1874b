/* SPDX-License-Identifier: Apache-2.0 */
/* From a plan to vms with schedules. */
#include "batch.h"
#include "record.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ask.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "manifests/check.h"
#include "manifests/digest.h"
#include "review.h"

#define INVENTORY_MAX ((size_t)1024 * 1024 * 1024)

/* Asking the source: one child for the whole run. */

static int
ask_source(void *arg, json_t **ret_answer, struct err *err)
{
	const struct endpoint *source = arg;
	struct inventory *inv = inventory_new();

	if (stages_inventory(source, inv, err) < 0)
		return -1;
	*ret_answer = inventory_to_json(inv);
	return 0;
}

static int64_t
inventory_deadline(const struct run_policy *policy)
{
	const char *text = json_string_value(
	    json_object_get(policy->deadlines.stage, "inventory"));
	int64_t ms;

	if (text && clock_parse_duration(text, &ms) == 0)
		return ms;
	return policy->deadlines.wait_ms;
}

static int
survey(struct batch *b, struct err *err)
{
	json_t *answer = NULL;
	int rc;

	if (ask(ask_source, (void *)b->plan->source, "asking the source",
		inventory_deadline(b->plan->policy), &answer, err) < 0)
		return -1;
	rc = inventory_from_json(answer, &b->inventory, err);
	json_decref(answer);
	return rc;
}

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

/* One vm. */

static void
keep_back(struct batch_vm *v, const struct err *err)
{
	v->verdict = BATCH_BACK;
	v->error = *err;
}

/* `fallback` is the name for a vm that has none yet; once chosen it stays:
 * other vms that come or go rename nobody. */
static void
make_view(struct batch *b, struct batch_vm *v, const struct inv_vm *vm,
	  const struct inventory *inv, const char *fallback)
{
	const char *chosen = v->run.state->history->target_name;
	const char *asked = v->run.pvm->target_name;
	const char *name = asked ? asked : chosen ? chosen : fallback;

	v->run.view = (struct view){
	    .manifest = b->manifest,
	    .plan = b->plan,
	    .pvm = v->run.pvm,
	    .vm = vm,
	    .inventory = inv,
	    .shape = shape_of_named(b->arena, b->plan, v->run.pvm, vm, name),
	    .state_dir = v->run.state->dir,
	    .state_uuid = v->run.state->uuid,
	};
}

static void
make_schedule(struct batch_vm *v, const struct batch_opts *opts)
{
	struct schedule_opts how = {.view = &v->run.view, .redo = opts->redo};

	graph_free(v->run.graph);
	schedule_free(v->run.schedule);
	v->run.graph = graph_of(&v->run.view);
	v->run.schedule =
	    schedule_of(&how, v->run.graph, v->run.state->history);
	v->verdict = v->run.schedule->ntodo ? BATCH_READY : BATCH_FINISHED;
}

/* Settles a vm from its own records, if they prove that it is finished. */
static void
try_records(struct batch *b, struct batch_vm *v, const struct batch_opts *opts)
{
	struct err err;

	v->verdict = BATCH_READY;
	if (v->run.state->history->finished)
		v->verdict = BATCH_FINISHED;
	if (record_load(v->run.state, &v->recorded, &err) < 0) {
		keep_back(v, &err);
		return;
	}
	if (!v->recorded || v->recorded->nvms != 1)
		return;
	make_view(b, v, &v->recorded->vms[0], v->recorded, "");
	make_schedule(v, opts);
}

static int
check_binding(const struct batch_vm *v, const struct inv_vm *vm,
	      struct err *err)
{
	const struct history *h = v->run.state->history;

	if (!h->source_id || strcmp(h->source_id, vm->id) == 0)
		return 0;
	return err_set(err, ERR_FAIL,
		       "its state belongs to source vm '%s', and the plan's "
		       "entry now means '%s'; give the entry another name, or "
		       "set '%s' aside",
		       h->source_id, vm->id, v->run.state->dir);
}

/* The first finding that keeps the vm back, as an error.  `plan` is how
 * findings name the plan, or NULL when they are all about it. */
static int
check_findings(const struct findings *f, const char *plan,
	       const struct plan_vm *pvm, struct err *err)
{
	for (size_t i = 0; i < f->n; i++) {
		const struct finding *one = &f->v[i];

		if (!finding_blocks(one) ||
		    (plan && (!one->vm || !one->object ||
			      strcmp(one->object, plan) != 0)) ||
		    (one->vm && strcmp(one->vm, pvm->key) != 0))
			continue;
		return err_set(err, ERR_NOT_READY, "%s: %s", one->type,
			       one->message);
	}
	return 0;
}

static int
check_all_findings(const struct batch *b, const struct batch_vm *v,
		   const struct batch_opts *opts, struct err *err)
{
	CLEANUP(mem_freep)
	char *plan =
	    mem_printf("Plan %s/%s", b->plan->o.namespace, b->plan->o.name);

	if (opts->read && check_findings(opts->read, plan, v->run.pvm, err) < 0)
		return -1;
	return check_findings(&b->findings, NULL, v->run.pvm, err);
}

/* Requests that wait count only where they cannot be taken in first. */
static int
check_cancelled(const struct batch *b, struct batch_vm *v, const char *vm_dir,
		struct err *err)
{
	const struct history *h = v->run.state->history;
	struct standing standing;

	if (standing_read(h, vm_dir, &standing, err) < 0)
		return -1;
	due_of(b->plan, v->run.pvm, v->run.view.vm, h, &standing, &v->due);
	standing_done(&standing);
	if (!v->due.cancelled[0])
		return 0;
	return err_set(err, ERR_CANCELLED, "cancelled %s", v->due.cancelled);
}

static int
check_refused(const struct batch_vm *v, struct err *err)
{
	const struct scheduled *r = v->run.schedule->refused;

	if (!r)
		return 0;
	return err_set(err, ERR_FAIL, "%s: %s", r->step->id, r->why);
}

static int
settle(struct batch *b, struct batch_vm *v, const struct batch_opts *opts,
       struct err *err)
{
	const struct inv_vm *vm;
	bool ambiguous;

	if (check_all_findings(b, v, opts, err) < 0)
		return -1;
	vm = inventory_find(b->inventory, &v->run.pvm->ref, &ambiguous);
	if (!vm)
		return err_set(err, ERR_NOT_READY, "is not at the source");
	if (check_binding(v, vm, err) < 0)
		return -1;
	make_view(b, v, vm, b->inventory,
		  shape_names_get(b->names, v->run.pvm));
	make_schedule(v, opts);
	if (check_cancelled(b, v, opts->take ? NULL : v->run.state->dir, err) <
	    0)
		return -1;
	return check_refused(v, err);
}

/* All is done and only the last word was never written: a run was killed
 * between its last result and its end. */
static int
say_finished(struct batch_vm *v, struct err *err)
{
	if (v->run.state->history->finished)
		return 0;
	journal_add(v->run.state->journal, "stop",
		    json_pack("{s:b}", "finished", true));
	return journal_sync(v->run.state->journal, err);
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

/* A vm that stays as cancelled as it was needs no lock. */
static int
check_still_cancelled(const struct batch *b, struct batch_vm *v,
		      struct err *err)
{
	struct standing standing;
	bool waits = false;

	if (standing_read(v->run.state->history, v->run.state->dir, &standing,
			  err) < 0)
		return -1;
	for (int i = 0; i < NREQUESTS; i++)
		waits |= standing.waits[i];
	standing_done(&standing);
	return waits ? 0 : check_cancelled(b, v, NULL, err);
}

static int
take_state(struct batch *b, struct batch_vm *v, const char *dir,
	   struct err *err)
{
	struct hearing hearing = {&b->findings, v->run.pvm->key};

	state_release(v->run.state);
	v->run.state = NULL;
	if (state_take(dir, b->plan, &v->run.state, err) < 0 ||
	    requests_take_in(v->run.state, note_request, &hearing, err) < 0)
		return -1;
	return check_cancelled(b, v, NULL, err);
}

/* A directory that was copied from another plan's proves nothing here. */
static int
check_owner(const struct batch *b, const struct vm_state *s, struct err *err)
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

/* Opens a vm's state: for looking, then, unless it is finished, for working. */
static int
open_state(struct batch *b, struct batch_vm *v, const struct batch_opts *opts,
	   struct err *err)
{
	CLEANUP(mem_freep)
	char *dir = state_vm_dir(opts->root, b->plan, v->run.pvm);

	if (state_peek(dir, &v->run.state, err) < 0 ||
	    check_owner(b, v->run.state, err) < 0)
		return -1;
	try_records(b, v, opts);
	if (v->verdict == BATCH_BACK || v->run.state->history->finished)
		return 0;
	if (!opts->take)
		return check_cancelled(b, v, dir, err);
	if (check_still_cancelled(b, v, err) < 0 ||
	    take_state(b, v, dir, err) < 0)
		return -1;
	if (v->verdict == BATCH_FINISHED)
		return say_finished(v, err);
	if (opts->events_fd >= 0)
		journal_tee(v->run.state->journal, opts->events_fd,
			    v->run.pvm->key);
	return 0;
}

static bool
is_wanted(const struct plan_vm *pvm, const char *const *only)
{
	if (!only || !only[0])
		return true;
	for (; *only; only++)
		if (strcmp(*only, pvm->key) == 0)
			return true;
	return false;
}

/* A finished vm is not asked about again; the source may be gone. */
static void
drop_findings_of_finished(struct batch *b)
{
	size_t kept = 0;

	for (size_t i = 0; i < b->findings.n; i++) {
		const char *about = b->findings.v[i].vm;
		bool over = false;

		for (size_t k = 0; about && k < b->nvms; k++)
			over |= b->vms[k].verdict == BATCH_FINISHED &&
				strcmp(b->vms[k].run.pvm->key, about) == 0;
		if (!over)
			b->findings.v[kept++] = b->findings.v[i];
	}
	b->findings.n = kept;
}

static int
check_only(const struct plan *plan, const char *const *only, struct err *err)
{
	for (; only && *only; only++)
		if (!plan_vm_find(plan, *only))
			return err_set(err, ERR_USER,
				       "plan %s/%s has no vm '%s'",
				       plan->o.namespace, plan->o.name, *only);
	return 0;
}

static bool
has_open_questions(const struct batch *b)
{
	for (size_t i = 0; i < b->nvms; i++)
		if (b->vms[i].verdict == BATCH_READY)
			return true;
	return false;
}

static void
settle_all(struct batch *b, const struct batch_opts *opts)
{
	struct err err;

	for (size_t i = 0; i < b->nvms; i++) {
		struct batch_vm *v = &b->vms[i];

		if (v->verdict == BATCH_READY && settle(b, v, opts, &err) < 0)
			keep_back(v, &err);
	}
}

static void
keep_all_back(struct batch *b, const struct err *err)
{
	for (size_t i = 0; i < b->nvms; i++)
		if (b->vms[i].verdict == BATCH_READY)
			keep_back(&b->vms[i], err);
}

/* Offline, a vm is what its record says; without one nothing is known. */
static int
check_offline(const struct batch_vm *v, struct err *err)
{
	if (!v->recorded)
		return err_set(err, ERR_NOT_READY,
			       "nothing is recorded about it yet; plan "
			       "without --offline asks the source");
	return check_refused(v, err);
}

static void
settle_offline(struct batch *b)
{
	struct err err;

	for (size_t i = 0; i < b->nvms; i++)
		if (b->vms[i].verdict == BATCH_READY &&
		    check_offline(&b->vms[i], &err) < 0)
			keep_back(&b->vms[i], &err);
}

static void
settle_online(struct batch *b, const struct batch_opts *opts)
{
	struct err why;

	if (survey(b, &why) < 0) {
		keep_all_back(b, &why);
		return;
	}
	b->names = shape_names_new(b->plan, b->inventory);
	check_plan(b->plan, b->inventory, &b->findings);
	drop_findings_of_finished(b);
	settle_all(b, opts);
}

/* Last, when nothing speaks against the run any more: what it goes by. */
static void
keep_records(struct batch *b)
{
	struct err err;

	for (size_t i = 0; i < b->nvms; i++) {
		struct batch_vm *v = &b->vms[i];

		if (v->verdict == BATCH_READY &&
		    (record_keep(v->run.state, &v->run.view, v->recorded,
				 &err) < 0 ||
		     keep_redo(v, &err) < 0))
			keep_back(v, &err);
	}
}

int
batch_open(const struct manifest *manifest, const struct plan *plan,
	   const struct batch_opts *opts, struct batch **ret, struct err *err)
{
	struct batch *b = mem_new(sizeof(*b));
	struct err why;

	b->arena = arena_new();
	b->findings.arena = b->arena;
	b->manifest = manifest;
	b->plan = plan;
	b->vms = mem_new(plan->nvms * sizeof(*b->vms));
	*ret = b;
	if (check_only(plan, opts->only, err) < 0)
		return -1;
	for (size_t i = 0; i < plan->nvms; i++) {
		struct batch_vm *v = &b->vms[b->nvms];

		if (!is_wanted(&plan->vms[i], opts->only))
			continue;
		v->run.pvm = &plan->vms[i];
		v->run.log_fd = -1;
		b->nvms++;
		if (open_state(b, v, opts, &why) < 0)
			keep_back(v, &why);
	}
	stages_check_plan(plan, &b->findings);
	if (opts->offline)
		settle_offline(b);
	else if (has_open_questions(b))
		settle_online(b, opts);
	if (review(b, opts, err) < 0)
		return -1;
	if (opts->take)
		keep_records(b);
	return 0;
}

struct checking {
	struct batch *batch;
	bool read_data;
};

/* In a child: what validate would find, for every vm that is to be moved. */
static int
check_vms(void *arg, json_t **ret_answer, struct err *err)
{
	const struct checking *c = arg;
	struct findings f = {.arena = arena_new()};

	for (size_t i = 0; i < c->batch->nvms; i++) {
		const struct batch_vm *v = &c->batch->vms[i];
		size_t before = f.n;

		if (v->verdict != BATCH_READY)
			continue;
		if (stages_check(&v->run.view, c->read_data, &f, err) < 0)
			findings_add(&f, FINDING_ERROR, "CheckFailed", "%s",
				     err->text);
		for (size_t k = before; k < f.n; k++)
			if (!f.v[k].vm)
				f.v[k].vm = v->run.pvm->key;
	}
	*ret_answer = findings_to_json(&f);
	return 0;
}

int
batch_check(struct batch *b, bool read_data, struct err *err)
{
	struct checking c = {.batch = b, .read_data = read_data};
	json_t *answer = NULL;

	if (!has_open_questions(b))
		return 0;
	if (ask(check_vms, &c, "checking the endpoints", 0, &answer, err) < 0)
		return -1;
	findings_add_json(&b->findings, answer);
	json_decref(answer);
	return 0;
}

const char *
batch_verdict_name(const struct batch_vm *v)
{
	switch (v->verdict) {
	case BATCH_READY:
		return "ready";
	case BATCH_FINISHED:
		return "finished";
	case BATCH_BACK:
		break;
	}
	return v->error.class == ERR_CANCELLED ? "cancelled" : "kept back";
}

void
batch_free(struct batch *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->nvms; i++) {
		struct batch_vm *v = &b->vms[i];

		graph_free(v->run.graph);
		schedule_free(v->run.schedule);
		state_release(v->run.state);
		inventory_free(v->recorded);
		mem_closep(&v->run.log_fd);
		free(v->run.error);
	}
	shape_names_free(b->names);
	inventory_free(b->inventory);
	findings_done(&b->findings);
	free(b->vms);
	arena_free(b->arena);
	free(b);
}
