/* SPDX-License-Identifier: Apache-2.0 */
/* precopy, disk by disk: copied as it was at the generation's point in time,
 * and read back once that is let go. */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "stages/copying.h"
#include "stages/inputs.h"
#include "stages/place.h"
#include "stages/precopy.h"
#include "stages/replica.h"

static bool
applies(const struct view *v)
{
	return v->round > 0;
}

static bool
verify_applies(const struct view *v)
{
	return applies(v) && stage_verify.applies(v);
}

static int
open_point(struct work *w, struct copying *c, const struct precopy_point *p,
	   struct err *err)
{
	const struct view *v = w->view;
	const struct source_ops *ops = source_find(v->plan->source->type);
	struct source_point point = {.name = p->name};
	const char *lost = precopy_why_lost(w);
	bool held;

	c->changes.wait_ms = v->plan->policy->deadlines.wait_ms;
	point.since = p->since[0] ? p->since : NULL;
	if (ops->warm->holds(v->plan->source, v->vm, p->name, &held, err) < 0)
		return err_wrap(err, "looking for the point in time");
	if (!held)
		return precopy_lost(w, err);
	if (ops->warm->open_point(v->plan->source, v->vm, w->disk, &point,
				  &c->source, &c->changes, err) < 0)
		return err_wrap(err, "opening the source disk");
	if (lost && !c->changes.known && !c->changes.why)
		c->changes.why = mem_strdup(lost);
	return 0;
}

static int
copy_generation(struct work *w, struct copying *c, json_t **ret_facts,
		struct err *err)
{
	struct precopy_point point;
	int64_t begun = clock_wall_ms();

	if (precopy_made(w, &point, err) < 0)
		return -1;
	if (!point.name[0])
		return 0;
	if (place_open(w->view, &c->place, err) < 0 ||
	    open_point(w, c, &point, err) < 0)
		return -1;
	/* until now a stop ends us at once, whatever was waited for */
	work_catch_stop(w);
	c->generation = point.number;
	c->warm = true;
	c->since = point.since_number;
	if (copying_run(w, c, ret_facts, err) < 0)
		return -1;
	precopy_tell(
	    *ret_facts,
	    &(struct precopy_told){c->pass, c->why, copying_changed(c), begun});
	return 0;
}

static int
run(struct work *w, json_t **ret_facts, struct err *err)
{
	struct copying c = {0};
	int rc;

	rc = copy_generation(w, &c, ret_facts, err);
	copying_done(&c);
	return rc;
}

static int
verify_run(struct work *w, json_t **ret_facts, struct err *err)
{
	struct precopy_point applied;

	if (!precopy_applied(w, &applied))
		return 0;
	return stage_verify.run(w, ret_facts, err);
}

/* No probe: blocks that are durable at this generation are not copied twice. */
const struct stage stage_precopy_copy = {
    .name = "precopy",
    .scope = STAGE_DISK,
    .pool = POOL_DISKS,
    .writes_disks = true,
    .applies = applies,
    .inputs = inputs_generation,
    .run = run,
    .tells_progress = true,
    .copied = copying_copied,
};

const struct stage stage_precopy_verify = {
    .name = "precopy-verify",
    .minds_mark = true,
    .scope = STAGE_DISK,
    .pool = POOL_DISKS,
    .applies = verify_applies,
    .inputs = inputs_generation,
    .run = verify_run,
    .tells_progress = true,
};
