/* SPDX-License-Identifier: Apache-2.0 */
/* cutover, disk by disk: with the source off, copy what is still missing. */
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "stages/copying.h"
#include "stages/copy/copy.h"
#include "stages/inputs.h"
#include "stages/precopy.h"
#include "stages/replica.h"

_Static_assert(COPY_GRACE_MS < STAGE_GRACE_MS && STAGE_GRACE_MS < 10000,
	       "a copy ends before its step is killed, that before its run");

static void
copy_inputs(const struct view *v, const struct inv_disk *disk, json_t *ret)
{
	inputs_replica(v, disk, ret);
}

/* Of a warm plan: what changed behind the last generation.  Who cannot say
 * that has all compared. */
static int
ask_changes(struct work *w, struct copying *c, struct err *err)
{
	const struct endpoint *ep = w->view->plan->source;
	const struct source_ops *ops = source_find(ep->type);
	CLEANUP(mem_freep) char *log = work_log_path(w, "nbd.log");
	struct nbd_serve_opts opts = {
	    .log = log, .on_start = work_helper_started, .arg = w};
	struct source_point point = {
	    .foreign = w->view->plan->policy->precopy.foreign};
	struct precopy_point last;

	c->warm = w->view->round > 0;
	if (!c->warm || !precopy_applied(w, &last) || !ops->warm)
		return 0;
	c->since = last.number;
	point.since = last.name;
	c->changes.wait_ms = w->view->plan->policy->deadlines.wait_ms;
	if (ops->warm->changes(ep, w->view->vm, w->disk, &point, &opts,
			       &c->changes, err) < 0)
		return err_wrap(err, "asking what changed on '%s'",
				w->disk->name);
	return 0;
}

static int
copy_disk(struct work *w, struct copying *c, json_t **ret_facts,
	  struct err *err)
{
	int64_t begun = clock_wall_ms();

	if (replica_generation(w, &c->generation, err) < 0 ||
	    place_open(w->view, &c->place, err) < 0 ||
	    ask_changes(w, c, err) < 0)
		return -1;
	/* until now a stop ends us at once, whatever was waited for */
	work_catch_stop(w);
	if (copying_run(w, c, ret_facts, err) < 0)
		return -1;
	precopy_tell(
	    *ret_facts,
	    &(struct precopy_told){c->pass, c->why, copying_changed(c), begun});
	return 0;
}

static int
copy_stage_run(struct work *w, json_t **ret_facts, struct err *err)
{
	struct copying c = {0};
	int rc;

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
	if (copying_make_volume(w, c, err) < 0)
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

const struct stage stage_copy = {
    .name = "cutover",
    .scope = STAGE_DISK,
    .pool = POOL_DISKS,
    .writes_disks = true,
    .watches_epoch = true,
    .inputs = copy_inputs,
    .probe = copy_probe,
    .run = copy_stage_run,
    .tells_progress = true,
    .copied = copying_copied,
};
