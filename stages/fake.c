/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoint type `fake` for every stage: what each does to the fake world, and
 * how an intent without a result is settled by looking at it. */
#include "stages/fake.h"

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "stages/fake_aside.h"
#include "stages/fake_claim.h"
#include "stages/fake_disk.h"
#include "stages/fake_faults.h"
#include "stages/fake_warm.h"
#include "stages/fake_world.h"
#include "stages/fake_writer.h"
#include "stages/handover.h"
#include "stages/place.h"

#define DEFINITION_MAX 65536

static bool
was_on(const json_t *power)
{
	const char *text = json_string_value(power);

	return text && strcmp(text, "on") == 0;
}

/* cutover */

/* What the source's cutover found, as its facts have it. */
#define EPOCH "ran"

static json_t *
cutover_facts(const struct work *w)
{
	CLEANUP(mem_freep) char *epoch = fake_epoch(w->view);

	return json_pack("{s:O, s:s}", "power", work_recorded(w, "power"),
			 EPOCH, epoch);
}

/* Only that it ran holds whatever an earlier attempt did. */
static int
remember_power(struct work *w, struct err *err)
{
	CLEANUP(mem_freep) char *now = fake_state(w->view, "source");

	return was_on(work_recorded(w, "power"))
		   ? 0
		   : work_record(w, "power", json_string(now), err);
}

static int
cutover(struct work *w, json_t **ret_facts, struct err *err)
{
	if (fake_claim(w, err) < 0 || remember_power(w, err) < 0)
		return -1;
	if (fake_note_power(
		w->view, json_string_value(work_recorded(w, "power")), err) < 0)
		return -1;
	if (fake_writer_of(w->view))
		fake_take_time(w);
	if (fake_change(w->view, "source", "off", err) < 0)
		return -1;
	*ret_facts = cutover_facts(w);
	return 0;
}

/* Claimed, off, and it is known how it was before. */
static bool
is_cut_over(const struct work *w, json_t **ret_facts)
{
	const json_t *power = work_recorded(w, "power");

	if (!power || !fake_is_now(w->view, "source", "off") ||
	    !fake_is_claimed(w))
		return false;
	*ret_facts = cutover_facts(w);
	return true;
}

/* Never beside its target. */
static int
target_must_be_off(const struct view *v, struct err *err)
{
	if (fake_is_now(v, "mark", "none") ||
	    fake_is_now(v, "mark", "rolled-back"))
		return 0;
	return err_set(err, ERR_FAIL,
		       "the target was handed over and may have run: only a "
		       "rollback gives the source back");
}

static int
undo_cutover(struct work *w, json_t **ret_facts, struct err *err)
{
	(void)ret_facts;
	if (fake_look_at_claim(w->view, err) < 0 ||
	    target_must_be_off(w->view, err) < 0 ||
	    (was_on(work_recorded(w, "power")) &&
	     fake_change(w->view, "source", "on", err) < 0))
		return -1;
	return fake_note_power(w->view, NULL, err);
}

/* create-vm */

static char *
definition_of(const struct view *v)
{
	return mem_printf(
	    "%s\n%llu bytes of memory\n%zu disks\n", v->shape->name,
	    (unsigned long long)v->shape->memory_bytes, v->shape->ndisks);
}

static bool
is_defined(const struct work *w, json_t **ret_facts)
{
	CLEANUP(mem_freep) char *path = fake_path(w->view, "vm");
	CLEANUP(mem_freep) char *wanted = definition_of(w->view);
	CLEANUP(buf_done) struct buf text = {0};
	struct err ignored;

	(void)ret_facts;
	return fs_read(path, DEFINITION_MAX, true, &text, &ignored) == 0 &&
	       text.data && strcmp(text.data, wanted) == 0;
}

static int
create_vm(struct work *w, json_t **ret_facts, struct err *err)
{
	CLEANUP(mem_freep) char *path = fake_path(w->view, "vm");
	CLEANUP(mem_freep) char *text = definition_of(w->view);

	(void)ret_facts;
	return fs_write(path, text, strlen(text), 0600, err);
}

static int
undo_create_vm(struct work *w, json_t **ret_facts, struct err *err)
{
	CLEANUP(mem_freep) char *path = fake_path(w->view, "vm");

	(void)ret_facts;
	if (fake_look_at_claim(w->view, err) < 0)
		return -1;
	return fs_exists(path) ? fs_remove(path, err) : 0;
}

/* start */

static bool
shall_run(const struct work *w)
{
	const struct view *v = w->view;

	return v->pvm->target_power == POWER_ON ||
	       (v->pvm->target_power == POWER_AUTO &&
		was_on(json_object_get(work_fact(w, "cutover"), "power")));
}

static int
source_power(void *arg, enum power_state *ret, struct err *err)
{
	struct work *w = arg;

	if (fake_race(w, "look", err) < 0)
		return -1;
	*ret = fake_is_now(w->view, "source", "on") ? POWER_STATE_ON
						    : POWER_STATE_OFF;
	return 0;
}

static int
source_same(void *arg, struct err *err)
{
	const struct work *w = arg;
	CLEANUP(mem_freep) char *now = fake_epoch(w->view);
	const char *was =
	    json_string_value(json_object_get(work_fact(w, "cutover"), EPOCH));

	if (!was || strcmp(now, was) == 0)
		return 0;
	return err_set(err, ERR_AGAIN,
		       "the source ran since it was stopped; run again");
}

static int
mark(void *arg, enum handover state, struct err *err)
{
	struct work *w = arg;

	if (fake_race(w, "mark", err) < 0)
		return -1;
	return fake_change(w->view, "mark",
			   state == HANDOVER_STARTED ? "started" : "left-off",
			   err);
}

static int
start_target(void *arg, json_t **ret_facts, struct err *err)
{
	struct work *w = arg;

	(void)ret_facts;
	if (fake_race(w, "start", err) < 0 ||
	    fake_start_target(w->view, err) < 0)
		return -1;
	return fake_race(w, "run", err);
}

static int
stop_target(void *arg, struct err *err)
{
	return fake_change(((struct work *)arg)->view, "target", "off", err);
}

static struct handover_ends
ends_of(struct work *w)
{
	return (struct handover_ends){
	    .source = w->view->vm->name,
	    .source_power = source_power,
	    .source_same = source_same,
	    .mark = mark,
	    .start = start_target,
	    .stop = stop_target,
	    .may_run = w->maybe_marked,
	    .arg = w,
	};
}

static int
start(struct work *w, json_t **ret_facts, struct err *err)
{
	struct handover_ends ends = ends_of(w);
	int rc;

	if (handover_note_marking(w, err) < 0)
		return -1;
	rc = shall_run(w) ? handover_start(&ends, ret_facts, err)
			  : handover_leave_off(&ends, err);
	if (rc < 0 && fake_is_unmarked(w->view))
		handover_note_unmarked(w, fake_is_now(w->view, "source", "on"));
	return rc;
}

static int
go_on(struct work *w, json_t **ret_facts, struct err *err)
{
	struct handover_ends ends = ends_of(w);

	if (handover_note_marking(w, err) < 0)
		return -1;
	return shall_run(w) ? handover_go_on(&ends, ret_facts, err) : 0;
}

static bool
is_started(const struct work *w, json_t **ret_facts)
{
	(void)ret_facts;
	if (shall_run(w))
		return fake_is_now(w->view, "mark", "started") &&
		       fake_is_now(w->view, "target", "on");
	return fake_is_now(w->view, "mark", "left-off");
}

static int
undo_start(struct work *w, json_t **ret_facts, struct err *err)
{
	(void)ret_facts;
	if (fake_may_undo(w->view, err) < 0 ||
	    fake_change(w->view, "mark", "rolled-back", err) < 0)
		return -1;
	return fake_change(w->view, "target", "off", err);
}

/* cleanup, gc */

static int
cleanup(struct work *w, json_t **ret_facts, struct err *err)
{
	if (w->view->has_points && fake_forget_points(w, ret_facts, err) < 0)
		return -1;
	return fake_cleanup(w, ret_facts, err);
}

static int
gc(struct work *w, json_t **ret_facts, struct err *err)
{
	/* until commit is recorded it is the only converted content */
	if (work_fact(w, "convert") && !work_fact(w, "commit") &&
	    !fake_is_now(w->view, "mark", "rolled-back")) {
		*ret_facts = json_pack("{s:b}", "removed", false);
		return 0;
	}
	return fake_cleanup(w, ret_facts, err);
}

/* The mark goes last: as long as a disk is there, nothing may write it. */
static int
gc_disks(struct work *w, json_t **ret_facts, struct err *err)
{
	if (fake_may_remove(w->view, err) < 0 ||
	    (w->view->has_points &&
	     fake_forget_points(w, ret_facts, err) < 0) ||
	    fake_remove_aside(w->view, err) < 0 ||
	    fake_remove_disks(w, ret_facts, err) < 0)
		return -1;
	if (fake_change(w->view, "disks", "replicas", err) < 0 ||
	    fake_change(w->view, "mark", "none", err) < 0)
		return -1;
	return fake_release(w->view, err);
}

/* All of them. */

static int
run_real(struct work *w, json_t **ret_facts, struct err *err)
{
	const struct stage *real =
	    strcmp(w->step, "validate") == 0   ? &stage_validate
	    : strcmp(w->step, "pre-hook") == 0 ? &stage_pre_hook
					       : &stage_post_hook;

	return real->run(w, ret_facts, err);
}

static const struct act {
	const char *stage;
	enum stage_scope scope;
	int (*run)(struct work *w, json_t **ret_facts, struct err *err);
	/* Is the world as run() leaves it?  NULL: the step goes on from what
	 * it finds, or may be done again. */
	bool (*is_done)(const struct work *w, json_t **ret_facts);
	/* What is left where it is. */
	int (*go_on)(struct work *w, json_t **ret_facts, struct err *err);
} acts[] = {
    {"validate", STAGE_VM, run_real, NULL, NULL},
    {"pre-hook", STAGE_VM, run_real, NULL, NULL},
    {"set-aside", STAGE_VM, fake_set_aside, NULL, NULL},
    {"precopy", STAGE_VM, fake_precopy, NULL, NULL},
    {"precopy", STAGE_DISK, fake_copy, NULL, NULL},
    {"precopy-release", STAGE_VM, fake_release_point, NULL, NULL},
    {"precopy-verify", STAGE_DISK, fake_verify, NULL, NULL},
    {"precopy-convert", STAGE_VM, fake_rehearse, NULL, NULL},
    {"precopy-boot-test", STAGE_VM, fake_boot_rehearsal, fake_is_rehearsed,
     fake_forget_rehearsal},
    {"undo/precopy", STAGE_VM, fake_forget_points, NULL, NULL},
    {"cutover", STAGE_VM, cutover, is_cut_over, NULL},
    {"cutover", STAGE_DISK, fake_copy, NULL, NULL},
    {"verify", STAGE_DISK, fake_verify, NULL, NULL},
    {"convert", STAGE_VM, fake_convert, NULL, NULL},
    {"boot-test", STAGE_VM, fake_boot_test, NULL, NULL},
    {"commit", STAGE_VM, fake_commit, NULL, NULL},
    {"create-vm", STAGE_VM, create_vm, is_defined, NULL},
    {"start", STAGE_VM, start, is_started, go_on},
    {"post-hook", STAGE_VM, run_real, NULL, NULL},
    {"cleanup", STAGE_VM, cleanup, NULL, NULL},
    {"undo/start", STAGE_VM, undo_start, NULL, NULL},
    {"undo/create-vm", STAGE_VM, undo_create_vm, NULL, NULL},
    {"undo/cutover", STAGE_VM, undo_cutover, NULL, NULL},
    {"gc", STAGE_VM, gc, NULL, NULL},
    {"gc/disks", STAGE_VM, gc_disks, NULL, NULL},
};

static const struct act *
act_of(const struct stage *stage)
{
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++)
		if (acts[i].scope == stage->scope &&
		    strcmp(acts[i].stage, stage->name) == 0)
			return &acts[i];
	return NULL;
}

static json_t *
with_attempt(json_t *facts, int attempt)
{
	json_t *all = facts ? facts : json_object();

	json_object_set_new(all, "attempt", json_integer(attempt));
	return all;
}

/* Of these it matters what is before it and what behind. */
static bool
takes_its_own_time(const struct work *w)
{
	return fake_writer_of(w->view) &&
	       (w->disk || strcmp(w->stage->name, "cutover") == 0 ||
		strcmp(w->stage->name, "precopy") == 0);
}

static int
fake_run(struct work *w, json_t **ret_facts, struct err *err)
{
	const struct act *act = act_of(w->stage);

	if (fake_world_make(w->view, err) < 0 || fake_suffer(w, err) < 0)
		return -1;
	if (!fake_has_blocks(w) && !takes_its_own_time(w))
		fake_take_time(w);
	if (act && act->run(w, ret_facts, err) < 0)
		return -1;
	if (fake_log_add(w, err) < 0)
		return -1;
	*ret_facts = with_attempt(*ret_facts, w->attempt);
	return 0;
}

/* Done by whom?  By the attempt that the log names, unless its result is on
 * record; else by one that was killed before it could say so. */
static int
fake_probe(struct work *w, bool *ret_done, json_t **ret_facts, struct err *err)
{
	const struct act *act = act_of(w->stage);
	json_int_t known = json_integer_value(
	    json_object_get(work_fact(w, w->step), "attempt"));
	int by = fake_log_last(w);

	*ret_done = act && act->is_done && act->is_done(w, ret_facts);
	if (!*ret_done)
		return 0;
	if (act->go_on && act->go_on(w, ret_facts, err) < 0)
		return -1;
	if (by <= known) {
		by = w->attempt;
		if (fake_log_add(w, err) < 0)
			return -1;
	}
	*ret_facts = with_attempt(*ret_facts, by);
	return 0;
}

const struct stage *
fake_gc(bool disks)
{
	static struct stage stages[2];

	stages[disks] = disks ? stage_gc_disks : stage_gc;
	stages[disks].run = fake_run;
	return &stages[disks];
}

const struct stage *const *
fake_stages(size_t *ret_n)
{
	enum { MOST = 32 };
	static struct stage stages[MOST], undos[MOST];
	static const struct stage *table[MOST];
	static size_t n;
	const struct stage *const *real = stages_all(ret_n);

	for (; n < *ret_n && n < MOST; n++) {
		const struct act *act = act_of(real[n]);

		stages[n] = *real[n];
		stages[n].run = fake_run;
		stages[n].probe = act && act->is_done ? fake_probe : NULL;
		if (real[n]->undo) {
			undos[n] = *real[n]->undo;
			undos[n].run = fake_run;
			stages[n].undo = &undos[n];
		}
		table[n] = &stages[n];
	}
	return table;
}
