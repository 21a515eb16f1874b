/* SPDX-License-Identifier: Apache-2.0 */
/* From a plan to vms with schedules. */
#include "batch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "backout.h"
#include "batch_ask.h"
#include "batch_claims.h"
#include "batch_findings.h"
#include "batch_pick.h"
#include "batch_schedule.h"
#include "batch_state.h"
#include "record.h"
#include "command.h"
#include "leftover.h"
#include "manifests/check.h"
#include "manifests/digest.h"
#include "retries.h"
#include "review.h"
#include "warm.h"

/* One vm. */

static void
keep_back(struct batch_vm *v, const struct err *err)
{
	v->verdict = BATCH_BACK;
	v->error = *err;
}

/* What the last cutover that was done gave, or NULL. */
static const json_t *
cutover_of(const struct history *h)
{
	const struct step_history *past = history_step(h, "cutover");

	return past ? past->facts : NULL;
}

/* The history goes on while the view stays as it is. */
static const char *
keep_text(struct batch *b, const json_t *facts, const char *key)
{
	const char *text = json_string_value(json_object_get(facts, key));

	return text ? arena_strdup(b->arena, text) : NULL;
}

/* `fallback` is the name for a vm that has none yet; once chosen it stays:
 * other vms that come or go rename nobody. */
static void
make_view(struct batch *b, struct batch_vm *v, const struct inv_vm *vm,
	  const struct inventory *inv, const char *fallback)
{
	const struct history *h = v->run.state->history;
	const char *chosen = h->target_name;
	/* what was made has the name it was made with; of what may run by now
	 * it is the one to stop */
	const char *asked =
	    v->run.aim == AIM_RUN && !history_may_have_started(h)
		? v->run.pvm->target_name
		: NULL;
	const char *name = asked ? asked : chosen ? chosen : fallback;
	struct standing standing = {0};
	struct err ignored;

	const json_t *cut = cutover_of(v->run.state->history);

	/* without a directory nothing is read that could fail */
	(void)standing_read(v->run.state->history, NULL, &standing, &ignored);
	v->run.view = (struct view){
	    .manifest = b->manifest,
	    .plan = b->plan,
	    .pvm = v->run.pvm,
	    .vm = vm,
	    .inventory = inv,
	    .shape = shape_of_named(b->arena, b->plan, v->run.pvm, vm, name),
	    .state_dir = v->run.state->dir,
	    .state_uuid = v->run.state->uuid,
	    .aside = v->run.state->history->aside,
	    .epoch_before = keep_text(b, cut, CUTOVER_BEFORE),
	    .epoch_left = keep_text(b, cut, CUTOVER_LEFT),
	    .round = warm_round(b->plan, v->run.pvm, vm, v->run.state->history,
				&standing, clock_wall_ms()),
	    .has_points =
		history_past(v->run.state->history, "precopy") != NULL,
	};
	standing_done(&standing);
}

/* What was made is known by this record alone: to say that there is nothing
 * would leave a source off and disks behind. */
static int
refuse_without_record(const struct batch_vm *v, struct err *err)
{
	return err_set(err, ERR_FAIL,
		       "'%s/inventory.json', its record of the source, is "
		       "missing or damaged: restore it from a backup; while "
		       "the vm is not finished, 'palletjack run --until "
		       "validate' asks the source again and writes it anew",
		       v->run.state->dir);
}

/* For what is not a run: what was made is what the records say. */
static int
settle_by_records(struct batch *b, struct batch_vm *v, bool may_discard,
		  struct err *err)
{
	struct history *h = v->run.state->history;

	if (aim_allowed(v->run.aim, h, err) < 0)
		return -1;
	inventory_free(v->recorded);
	v->recorded = NULL;
	v->verdict = BATCH_FINISHED;
	if (!h->inventory_digest)
		return 0;
	if (record_load(v->run.state, false, &v->recorded, err) < 0 ||
	    !v->recorded || v->recorded->nvms != 1)
		return refuse_without_record(v, err);
	make_view(b, v, &v->recorded->vms[0], v->recorded, "");
	v->run.view.may_discard = may_discard || h->may_discard;
	graph_free(v->run.graph);
	schedule_free(v->run.schedule);
	v->run.graph = aim_graph(v->run.aim, &v->run.view);
	v->run.schedule = aim_schedule(v->run.aim, v->run.graph, h);
	v->verdict = BATCH_READY;
	return 0;
}

/* What was made of another look at its state is not to be used with this one.
 */
static void
forget_records(struct batch_vm *v)
{
	inventory_free(v->recorded);
	graph_free(v->run.graph);
	schedule_free(v->run.schedule);
	v->recorded = NULL;
	v->run.graph = NULL;
	v->run.schedule = NULL;
	v->run.view = (struct view){0};
}

/* Settles a vm from its own records, if they prove that it is finished. */
static void
try_records(struct batch *b, struct batch_vm *v, const struct batch_opts *opts)
{
	struct err err;

	forget_records(v);
	v->verdict = BATCH_READY;
	if (v->run.state->history->finished)
		v->verdict = BATCH_FINISHED;
	if (aim_allowed(AIM_RUN, v->run.state->history, &err) < 0) {
		keep_back(v, &err);
		return;
	}
	/* to run it there is no more to know; only plan shows its steps */
	if (v->verdict == BATCH_FINISHED && opts->take)
		return;
	if (record_load(v->run.state, true, &v->recorded, &err) < 0) {
		keep_back(v, &err);
		return;
	}
	if (!v->recorded || v->recorded->nvms != 1)
		return;
	make_view(b, v, &v->recorded->vms[0], v->recorded, "");
	batch_schedule(v, opts);
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

static int
settle(struct batch *b, struct batch_vm *v, const struct batch_opts *opts,
       const struct strmap *blocking, struct err *err)
{
	const struct inv_vm *vm;
	bool ambiguous;

	if (batch_check_findings(blocking, v, err) < 0)
		return -1;
	vm = inventory_find(b->inventory, &v->run.pvm->ref, &ambiguous);
	if (!vm)
		return err_set(err, ERR_NOT_READY, "is not at the source");
	if (check_binding(v, vm, err) < 0)
		return -1;
	make_view(b, v, vm, b->inventory,
		  shape_names_get(checker_names(b->checker), v->run.pvm));
	v->run.view.checker = b->checker;
	batch_schedule(v, opts);
	if (batch_check_due(b, v, err) < 0)
		return -1;
	return batch_check_schedule(v, err);
}

/* A rollback was cut short: a run finishes it before anything else. */
static bool
is_half_back(const struct batch_vm *v)
{
	const struct history *h = v->run.state->history;

	return h->rollback_begun && !h->rolled_back;
}

/* Nothing is left to be done to it, or nothing may be. */
static bool
is_settled(const struct batch_vm *v)
{
	if (v->verdict == BATCH_BACK)
		return true;
	return v->run.aim == AIM_RUN ? v->run.state->history->finished != NULL
				     : v->verdict == BATCH_FINISHED;
}

/* Its time is over, and nobody was there: that comes before all else. */
static int
heed_backout(struct batch *b, struct batch_vm *v, const struct batch_opts *opts,
	     struct err *err)
{
	CLEANUP(mem_freep)
	char *text = backout_due_text(b->plan->policy, v->run.state->history);

	if (!opts->take)
		return err_set(err, ERR_RETRY, "%s by the next run", text);
	v->run.aim = backout_due_aim(b->plan->policy);
	v->run.backout_is_due = true;
	return 0;
}

/* Opens a vm's state: for looking, then, unless it is finished, for working. */
static int
open_state(struct batch *b, struct batch_vm *v, const struct batch_opts *opts,
	   struct err *err)
{
	CLEANUP(mem_freep)
	char *dir = state_vm_dir(opts->root, b->plan, v->run.pvm);

	if (state_peek(dir, &v->run.state, err) < 0 ||
	    batch_check_owner(b, v->run.state, err) < 0)
		return -1;
	v->run.aim = opts->aim;
	if (v->run.aim == AIM_RUN && b->plan->archived) {
		v->verdict = BATCH_FINISHED; /* as far as runs go */
		v->is_archived = true;
		return 0;
	}
	if (v->run.aim == AIM_RUN && is_half_back(v)) {
		if (!opts->take)
			return err_set(
			    err, ERR_CANCELLED,
			    "its rollback, begun on %.10s, is not "
			    "finished: a run, too, finishes it first",
			    v->run.state->history->rollback_begun);
		v->run.aim = AIM_ROLLBACK;
	}
	if (v->run.aim == AIM_RUN &&
	    backout_left_ms(b->plan->policy, v->run.state->history) == 0 &&
	    heed_backout(b, v, opts, err) < 0)
		return -1;
	if (v->run.aim == AIM_RUN)
		try_records(b, v, opts);
	else if (settle_by_records(b, v, false, err) < 0)
		return -1;
	if (is_settled(v))
		return 0;
	if (!opts->take)
		return batch_check_cancelled(b, v, dir, err);
	if (batch_check_still_cancelled(b, v, err) < 0 ||
	    batch_take_state(b, v, dir, err) < 0)
		return -1;
	if (opts->events)
		journal_tee(v->run.state->journal, opts->events,
			    v->run.pvm->key);
	if (v->run.aim != AIM_RUN)
		return settle_by_records(b, v, opts->may_discard, err);
	/* as it is now that nobody else writes it */
	try_records(b, v, opts);
	return v->verdict == BATCH_FINISHED ? batch_say_finished(v, err) : 0;
}

/* A finished vm is not asked about again; the source may be gone. */
static void
drop_findings_of_finished(struct batch *b)
{
	CLEANUP(strmap_done) struct strmap finished = {0};
	size_t kept = 0;

	for (size_t i = 0; i < b->nvms; i++)
		if (b->vms[i].verdict == BATCH_FINISHED ||
		    batch_is_handed_over(&b->vms[i]))
			strmap_add(&finished, b->vms[i].run.pvm->key,
				   &b->vms[i]);
	for (size_t i = 0; i < b->findings.n; i++) {
		const char *about = b->findings.v[i].vm;

		if (!about || !strmap_get(&finished, about))
			b->findings.v[kept++] = b->findings.v[i];
	}
	b->findings.n = kept;
}

static void
settle_all(struct batch *b, const struct batch_opts *opts)
{
	CLEANUP(strmap_done) struct strmap blocking = {0};
	struct err err;

	batch_find_blocking(b, opts, &blocking);
	for (size_t i = 0; i < b->nvms; i++) {
		struct batch_vm *v = &b->vms[i];

		if (batch_is_to_move(v) && !batch_is_handed_over(v) &&
		    settle(b, v, opts, &blocking, &err) < 0)
			keep_back(v, &err);
	}
}

static void
keep_all_back(struct batch *b, const struct err *err)
{
	for (size_t i = 0; i < b->nvms; i++)
		if (batch_is_to_move(&b->vms[i]) &&
		    !batch_is_handed_over(&b->vms[i]))
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
	return batch_check_schedule(v, err);
}

static void
settle_offline(struct batch *b)
{
	struct err err;

	for (size_t i = 0; i < b->nvms; i++)
		if (batch_is_to_move(&b->vms[i]) &&
		    check_offline(&b->vms[i], &err) < 0)
			keep_back(&b->vms[i], &err);
}

static void
settle_handed_over(struct batch *b, const struct batch_opts *opts)
{
	CLEANUP(strmap_done) struct strmap blocking = {0};
	struct err err;

	batch_find_blocking(b, opts, &blocking);
	for (size_t i = 0; i < b->nvms; i++) {
		struct batch_vm *v = &b->vms[i];

		if (batch_is_handed_over(v) &&
		    (batch_check_findings(&blocking, v, &err) < 0 ||
		     batch_check_schedule(v, &err) < 0))
			keep_back(v, &err);
	}
}

static void
settle_online(struct batch *b, const struct batch_opts *opts)
{
	struct err why;

	if (batch_survey(b, &why) < 0) {
		keep_all_back(b, &why);
		return;
	}
	b->checker = checker_new(b->manifest, b->plan, b->inventory);
	check_plan(b->checker, &b->findings);
	drop_findings_of_finished(b);
	settle_all(b, opts);
}

/* Who is to be moved before whom. */
static void
line_up(struct batch *b)
{
	const struct view **line =
	    arena_alloc(b->arena, (b->nvms + 1) * sizeof(*line));
	size_t n = 0;

	for (size_t i = 0; i < b->nvms; i++) {
		struct batch_vm *v = &b->vms[i];

		if (!batch_is_to_move(v) || !v->run.view.shape)
			continue;
		v->run.view.ahead = line;
		v->run.view.nahead = n;
		line[n++] = &v->run.view;
	}
}

/* Last, when nothing speaks against the run any more: what it goes by. */
static void
keep_records(struct batch *b, const struct batch_opts *opts)
{
	struct err err;

	for (size_t i = 0; i < b->nvms; i++) {
		struct batch_vm *v = &b->vms[i];

		if (batch_is_to_move(v) &&
		    ((!v->run.schedule->beside &&
		      retries_check(&v->run, opts->redo, &err) < 0) ||
		     batch_keep_record(v, &err) < 0))
			keep_back(v, &err);
	}
}

static void
open_states(struct batch *b, const struct batch_opts *opts)
{
	struct err why;

	if (!opts->only || !opts->only[0])
		b->left_behind =
		    leftovers_note(b->root, b->plan,
				   opts->args ? opts->args : "", &b->findings);
	for (size_t i = 0; i < b->nvms; i++)
		if (open_state(b, &b->vms[i], opts, &why) < 0)
			keep_back(&b->vms[i], &why);
}

int
batch_open(const struct manifest *manifest, const struct plan *plan,
	   const struct batch_opts *opts, struct batch **ret, struct err *err)
{
	struct batch *b = mem_new(sizeof(*b));

	b->arena = arena_new();
	b->findings.arena = b->arena;
	b->manifest = manifest;
	b->plan = plan;
	b->root = opts->root;
	*ret = b;
	if (batch_pick(b, opts, err) < 0)
		return -1;
	open_states(b, opts);
	if (opts->aim != AIM_RUN || plan->archived)
		return 0;
	stages_check_plan(plan, &b->findings);
	if (opts->offline)
		settle_offline(b);
	else {
		settle_handed_over(b, opts);
		if (batch_has_questions(b))
			settle_online(b, opts);
	}
	if (!opts->offline)
		batch_find_claims(b, opts);
	line_up(b);
	if (review(b, opts, err) < 0)
		return -1;
	if (opts->take)
		keep_records(b, opts);
	return 0;
}

int
batch_open_log(struct vm_run *vm, struct err *err)
{
	CLEANUP(mem_freep) char *path = fs_path(vm->state->dir, "log/run.log");

	vm->log_fd =
	    open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	return vm->log_fd < 0 ? err_sys(err, "cannot open '%s'", path) : 0;
}

int
batch_begin(struct vm_run *vm, struct err *err)
{
	char host[128] = "?";
	json_t *fields;

	gethostname(host, sizeof(host) - 1);
	fields = json_pack("{s:i, s:s, s:s, s:s}", "pid", (int)getpid(), "host",
			   host, "boot", clock_boot_id(), "version",
			   PALLETJACK_VERSION);
	if (vm->view.may_discard)
		json_object_set_new(fields, "discard", json_true());
	journal_add(vm->state->journal, aim_first_word(vm->aim), fields);
	return journal_sync(vm->state->journal, err);
}

const char *
batch_verdict_name(const struct batch_vm *v)
{
	if (v->is_archived)
		return "archived";
	switch (v->verdict) {
	case BATCH_READY:
		return "ready";
	case BATCH_FINISHED:
		return "finished";
	case BATCH_BACK:
		break;
	}
	return v->due.cancelled[0] ? "cancelled" : "kept back";
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
		free(v->renew);
		standing_done(&v->standing);
		json_decref(v->claim);
	}
	checker_free(b->checker);
	inventory_free(b->inventory);
	findings_done(&b->findings);
	free(b->vms);
	arena_free(b->arena);
	free(b);
}
