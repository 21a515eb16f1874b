/* SPDX-License-Identifier: Apache-2.0 */
/* cutover: remember the power state, stop the source, see that it is off, and
 * copy, disk by disk, what is still missing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "stages/bandwidth.h"
#include "stages/copy/copy.h"
#include "stages/inputs.h"
#include "stages/place.h"
#include "stages/replica.h"
#include "stages/source/source.h"

_Static_assert(COPY_GRACE_MS < STAGE_GRACE_MS && STAGE_GRACE_MS < 10000,
	       "a copy ends before its step is killed, that before its run");

static void
cutover_inputs(const struct view *v, const struct inv_disk *disk, json_t *ret)
{
	inputs_replica(v, disk, ret);
}

/* Stopping the source. */

/* Remembered before the first attempt to stop it; a later attempt finds it
 * off, which says nothing about how it was. */
static int
remember_power(struct work *w, const struct source_ops *ops,
	       const char **ret_was, struct err *err)
{
	const json_t *known = work_recorded(w, "power");
	enum power_state now = POWER_STATE_OFF;

	if (!known) {
		if (ops->power_state &&
		    ops->power_state(w->view->plan->source, w->view->vm, &now,
				     err) < 0)
			return err_wrap(err, "asking whether the source runs");
		if (work_record(
			w, "power",
			json_string(now == POWER_STATE_ON ? "on" : "off"),
			err) < 0)
			return -1;
		known = work_recorded(w, "power");
	}
	*ret_was = json_string_value(known);
	return 0;
}

static int
stop_source(struct work *w, const struct source_ops *ops, struct err *err)
{
	const struct endpoint *source = w->view->plan->source;
	int64_t deadline =
	    clock_mono_ms() + w->view->plan->policy->deadlines.shutdown_ms;
	enum power_state now;

	if (!ops->power_off)
		return 0;
	work_doing(w, "waiting for the source to be off");
	if (ops->power_off(source, w->view->vm, deadline, err) < 0 ||
	    ops->power_state(source, w->view->vm, &now, err) < 0)
		return err_wrap(err, "stopping the source");
	if (now != POWER_STATE_OFF)
		return err_set(err, ERR_RETRY, "the source is not off");
	return 0;
}

/* How it was, and what it was left as: what comes after it works on a source
 * that nobody started since. */
static int
tell_cutover(struct work *w, const struct source_ops *ops, const char *was,
	     json_t **ret_facts, struct err *err)
{
	CLEANUP(mem_freep) char *before = inputs_epoch(w->view);
	CLEANUP(mem_freep) char *left = NULL;

	if (ops->power_off && ops->epoch &&
	    ops->epoch(w->view->plan->source, w->view->vm, &left, err) < 0)
		return err_wrap(err, "looking at the stopped source");
	*ret_facts = json_pack("{s:s}", "power", was);
	if (left) {
		json_object_set_new(*ret_facts, CUTOVER_BEFORE,
				    json_string(before));
		json_object_set_new(*ret_facts, CUTOVER_LEFT,
				    json_string(left));
	}
	return 0;
}

static int
cutover_run(struct work *w, json_t **ret_facts, struct err *err)
{
	const struct source_ops *source =
	    source_find(w->view->plan->source->type);
	CLEANUP(place_done) struct place p = {0};
	const char *was = "off";

	if (place_open(w->view, &p, err) < 0)
		return -1;
	if (place_claim(w, &p, err) < 0)
		return err_wrap(err, "claiming the target");
	if (remember_power(w, source, &was, err) < 0 ||
	    stop_source(w, source, err) < 0)
		return -1;
	return tell_cutover(w, source, was, ret_facts, err);
}

/* Claimed, known how it was, and off: stopping it is over. */
static int
cutover_probe(struct work *w, bool *ret_done, json_t **ret_facts,
	      struct err *err)
{
	const struct source_ops *ops = source_find(w->view->plan->source->type);
	const json_t *was = work_recorded(w, "power");
	enum power_state now = POWER_STATE_OFF;
	CLEANUP(place_done) struct place p = {0};
	bool ours = false;

	if (!was)
		return 0;
	if (place_open(w->view, &p, err) < 0 ||
	    p.ops->owned(&p.vm, &ours, err) < 0)
		return -1;
	if (ops->power_state &&
	    ops->power_state(w->view->plan->source, w->view->vm, &now, err) < 0)
		return err_wrap(err, "asking whether the source runs");
	*ret_done = ours && now == POWER_STATE_OFF;
	if (!*ret_done)
		return 0;
	return tell_cutover(w, ops, json_string_value(was), ret_facts, err);
}

/* Giving the source back. */

/* Never beside its target. */
static int
target_must_be_off(struct work *w, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};
	enum handover mark = HANDOVER_NONE;
	bool ours = false;

	if (place_open(w->view, &p, err) < 0 ||
	    place_holds_ours(w, &p, &ours, err) < 0)
		return -1;
	if (!ours)
		return 0;
	if (p.ops->marked(&p.vm, &mark, err) < 0)
		return -1;
	if (mark == HANDOVER_STARTED || mark == HANDOVER_LEFT_OFF)
		return err_set(err, ERR_FAIL,
			       "the target '%s' was handed over and may have "
			       "run: only a rollback gives the source back",
			       p.vm.shape->name);
	return place_must_be_off(&p, err);
}

static int
switch_source_on(struct work *w, const struct source_ops *ops, struct err *err)
{
	const struct endpoint *source = w->view->plan->source;
	enum power_state now;

	work_doing(w, "starting the source");
	if (ops->power_state(source, w->view->vm, &now, err) < 0)
		return err_wrap(err, "asking whether the source runs");
	if (now == POWER_STATE_ON)
		return 0;
	if (ops->power_on(source, w->view->vm, err) < 0 ||
	    ops->power_state(source, w->view->vm, &now, err) < 0)
		return err_wrap(err, "starting the source");
	if (now != POWER_STATE_ON)
		return err_set(err, ERR_RETRY, "the source is not on");
	return 0;
}

static int
undo_cutover_run(struct work *w, json_t **ret_facts, struct err *err)
{
	const struct source_ops *ops = source_find(w->view->plan->source->type);
	const char *was = json_string_value(work_recorded(w, "power"));
	bool ran = was && strcmp(was, "on") == 0 && ops->power_on;

	if (target_must_be_off(w, err) < 0 ||
	    (ran && switch_source_on(w, ops, err) < 0))
		return -1;
	*ret_facts = json_pack(
	    "{s:s, s:s}", "power", ran ? "on" : "off", "say",
	    ran ? "the source runs again" : "the source was off and stays off");
	return 0;
}

/* A guest may take its time to go down. */
static int64_t
power_deadline(const struct run_policy *policy)
{
	return policy->deadlines.shutdown_ms + policy->deadlines.wait_ms;
}

static const struct stage undo_cutover = {
    .name = "undo/cutover",
    .scope = STAGE_VM,
    .run = undo_cutover_run,
    .deadline_ms = power_deadline,
};

/* Copying one disk. */

/* One copy as it is set up: what has to be undone at the end. */
struct copying {
	struct place place;
	const struct volume *volume; /* one of place's */
	char *volume_id;
	bool fresh;
	uint32_t generation;
	struct ledger *ledger;
	struct nbd_server source, target;
	char *source_file; /* instead of the source's server */
};

static void
copying_done(struct copying *c)
{
	nbd_server_stop(&c->source);
	nbd_server_stop(&c->target);
	ledger_close(c->ledger);
	place_done(&c->place);
	free(c->volume_id);
	free(c->source_file);
}

static int
make_volume(struct work *w, struct copying *c, struct err *err)
{
	c->volume = &c->place.volumes[w->ndisk];
	if (c->place.ops->create_volume(&c->place.vm, w->ndisk, &c->volume_id,
					&c->fresh, err) < 0)
		return err_wrap(err, "making the volume");
	return 0;
}

static int
open_ends(struct work *w, struct copying *c, struct err *err)
{
	const struct source_ops *ops = source_find(w->view->plan->source->type);
	CLEANUP(mem_freep) char *log = work_log_path(w, "nbd.log");
	struct nbd_serve_opts opts = {
	    .log = log,
	    .on_start = work_helper_started,
	    .arg = w,
	};

	if (ops->raw_disk)
		c->source_file = ops->raw_disk(w->view->plan->source, w->disk);
	if (!c->source_file &&
	    ops->open_disk(w->view->plan->source, w->view->vm, w->disk, &opts,
			   &c->source, err) < 0)
		return err_wrap(err, "opening the source disk");
	if (strcmp(c->volume->format, "raw") == 0)
		return 0;
	opts.filename = c->volume->path;
	opts.format = c->volume->format;
	opts.writable = true;
	if (nbd_serve_image(&opts, &c->target, err) < 0)
		return err_wrap(err, "opening the target volume");
	return 0;
}

static int
show_progress(void *arg, const struct copy_progress *p)
{
	struct work *w = arg;

	replica_tell(w, p);
	return work_stopping(w);
}

static int
move_bytes(struct work *w, struct copying *c, struct copy_progress *ret,
	   struct err *err)
{
	const struct run_policy *policy = w->view->plan->policy;
	struct throttle throttle;
	struct copy_opts opts = {
	    .source_uri = c->source.uri,
	    .source_file = c->source_file,
	    .target = {.file = c->target.uri ? NULL : c->volume->path,
		       .uri = c->target.uri,
		       .reads_as_zero = true},
	    .ledger = c->ledger,
	    .generation = c->generation,
	    .checkpoint_ms = policy->checkpoint.every_ms,
	    .checkpoint_bytes = policy->checkpoint.bytes,
	    .wait_ms = policy->deadlines.wait_ms,
	    .throttle = bandwidth_of_copy(w, &throttle),
	    .progress = show_progress,
	    .arg = w,
	};

	if (copy_run(&opts, ret, err) < 0)
		return err_wrap(err, "copying '%s'", w->disk->name);
	return ledger_set_applied(c->ledger, c->generation, err);
}

static int
copy_disk(struct work *w, struct copying *c, json_t **ret_facts,
	  struct err *err)
{
	struct copy_progress progress;

	if (replica_generation(w, &c->generation, err) < 0 ||
	    place_open(w->view, &c->place, err) < 0 ||
	    make_volume(w, c, err) < 0 ||
	    replica_ledger(w, c->volume_id, c->fresh, &c->ledger, err) < 0 ||
	    open_ends(w, c, err) < 0 || move_bytes(w, c, &progress, err) < 0)
		return -1;
	*ret_facts = replica_facts(w, c->volume, c->volume_id, c->ledger,
				   c->generation, &progress);
	return 0;
}

static int
copy_stage_run(struct work *w, json_t **ret_facts, struct err *err)
{
	struct copying c = {0};
	int rc;

	work_catch_stop(w);
	rc = copy_disk(w, &c, ret_facts, err);
	copying_done(&c);
	return rc;
}

/* All of the disk durable, by its ledger, at the generation that was begun:
 * then nothing is read again.  What is there in part, run() goes on with. */
static int
find_copy(struct work *w, struct copying *c, bool *ret, struct err *err)
{
	CLEANUP(mem_freep) char *path = place_ledger(w->view, w->disk);

	if (!replica_begun(w, &c->generation))
		return 0;
	if (place_open(w->view, &c->place, err) < 0)
		return -1;
	if (!fs_exists(c->place.volumes[w->ndisk].path) ||
	    !replica_is_whole(w, path, c->generation, &c->ledger))
		return 0;
	/* it is there: this asks for its id */
	if (make_volume(w, c, err) < 0)
		return -1;
	*ret = !c->fresh && replica_is_of(w, c->ledger, c->volume_id);
	return *ret ? fs_sync_file(path, err) : 0;
}

static int
copy_probe(struct work *w, bool *ret_done, json_t **ret_facts, struct err *err)
{
	struct copy_progress p = {.skipped_bytes = w->disk->capacity_bytes};
	struct copying c = {0};
	int rc = find_copy(w, &c, ret_done, err);

	if (rc == 0 && *ret_done)
		*ret_facts = replica_facts(w, c.volume, c.volume_id, c.ledger,
					   c.generation, &p);
	copying_done(&c);
	return rc;
}

/* Blocks of a generation that is not applied yet are the pass under way. */
static void
count_blocks(const struct ledger *l, struct copied *ret)
{
	uint64_t n = ledger_nblocks(l), done = 0;
	uint32_t applied = ledger_applied(l);

	for (uint64_t i = 0; i < n; i++) {
		struct ledger_entry e;

		ledger_get(l, i, &e);
		done += e.state == LEDGER_DURABLE && e.generation > applied;
	}
	ret->any = applied > 0 || ledger_count_durable(l) > 0;
	ret->percent = n ? (unsigned)(done * 100 / n) : 0;
}

static struct copied
copy_copied(const struct view *v, const struct inv_disk *disk)
{
	CLEANUP(mem_freep) char *path = place_ledger(v, disk);
	struct copied ret = {0};
	struct ledger *l = NULL;
	struct err ignored;

	if (!fs_exists(path) || ledger_open_readonly(path, &l, &ignored) < 0)
		return ret;
	count_blocks(l, &ret);
	ledger_close(l);
	return ret;
}

const struct stage stage_cutover = {
    .name = "cutover",
    .scope = STAGE_VM,
    .writes_disks = true,
    .inputs = cutover_inputs,
    .probe = cutover_probe,
    .run = cutover_run,
    .deadline_ms = power_deadline,
    .undo = &undo_cutover,
};

const struct stage stage_copy = {
    .name = "cutover",
    .scope = STAGE_DISK,
    .pool = POOL_DISKS,
    .writes_disks = true,
    .watches_epoch = true,
    .inputs = cutover_inputs,
    .probe = copy_probe,
    .run = copy_stage_run,
    .tells_progress = true,
    .copied = copy_copied,
};
