/* SPDX-License-Identifier: Apache-2.0 */
/* Points in time of the fake world, and who writes between them. */
#include "stages/fake_warm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "stages/fake_claim.h"
#include "stages/fake_faults.h"
#include "stages/fake_world.h"
#include "stages/fake_writer.h"

static uint64_t
mix(const struct view *v, const struct inv_disk *disk, uint64_t block,
    uint32_t point)
{
	uint64_t hash = 14695981039346656037u;
	char text[256];
	int len =
	    snprintf(text, sizeof(text), "%s %s %s %llu %u",
		     endpoint_setting(v->plan->source, "seed", "0"), v->vm->id,
		     disk->id, (unsigned long long)block, point);

	for (int i = 0; i < len && i < (int)sizeof(text) - 1; i++)
		hash = (hash ^ (uint8_t)text[i]) * 1099511628211u;
	return hash >> 16;
}

static bool
is_hot(const struct view *v, const struct inv_disk *disk, uint64_t block)
{
	unsigned long percent = strtoul(
	    endpoint_setting(v->plan->source, "dirtyPercent", "0"), NULL, 10);

	return v->round > 0 && mix(v, disk, block, 0) % 100 < percent;
}

/* The last point before which it was written, or 0. */
static uint32_t
last_write(const struct view *v, const struct inv_disk *disk, uint64_t block,
	   uint32_t point)
{
	/* what there was at the first is how the vm began */
	for (; point > 1; point--)
		if (mix(v, disk, block, point) & 1)
			return point;
	return 0;
}

bool
fake_is_written(const struct view *v, const struct inv_disk *disk,
		uint64_t block, uint32_t since, uint32_t point)
{
	if (!is_hot(v, disk, block))
		return false;
	return point == FAKE_STOPPED ||
	       last_write(v, disk, block, point) > since;
}

const char *
fake_written(const struct view *v, const struct inv_disk *disk, uint64_t block,
	     uint32_t point, char ret[64])
{
	uint32_t last = 0;

	ret[0] = '\0';
	if (!is_hot(v, disk, block))
		return ret;
	if (point != FAKE_STOPPED)
		last = last_write(v, disk, block, point);
	if (point == FAKE_STOPPED)
		snprintf(ret, 64, ", written before it was stopped");
	else if (last > 0)
		snprintf(ret, 64, ", written before point %u", last);
	return ret;
}

static bool
holds(const struct view *v, const struct precopy_point *p)
{
	return fake_is_now(v, "point", p->name);
}

int
fake_precopy(struct work *w, json_t **ret_facts, struct err *err)
{
	struct precopy_point point;

	if (fake_claim(w, err) < 0)
		return -1;
	if (fake_is_now(w->view, "source", "off")) {
		*ret_facts = precopy_no_point(w);
		return 0;
	}
	if (fake_writer_begin(w->view, err) < 0)
		return -1;
	if ((!precopy_recorded(w, &point) || !holds(w->view, &point)) &&
	    (precopy_choose(w, &point, err) < 0 ||
	     fake_change(w->view, "point", point.name, err) < 0))
		return -1;
	if (fake_writer_of(w->view))
		fake_take_time(w);
	*ret_facts = precopy_facts(&point);
	return 0;
}

bool
fake_is_idle(const struct work *w)
{
	struct precopy_point point;
	struct err ignored;

	if (strncmp(w->stage->name, "precopy", 7) != 0)
		return false;
	return precopy_made(w, &point, &ignored) < 0 || !point.name[0];
}

int
fake_open_point(struct work *w, struct precopy_point *ret, struct err *err)
{
	if (precopy_made(w, ret, err) < 0)
		return -1;
	if (fake_loses_point(w) &&
	    fake_change(w->view, "point", "none", err) < 0)
		return -1;
	return holds(w->view, ret) ? 0 : precopy_lost(w, err);
}

int
fake_release_point(struct work *w, json_t **ret_facts, struct err *err)
{
	struct precopy_point point;

	if (precopy_made(w, &point, err) < 0 ||
	    precopy_releasing(w, &point, err) < 0 ||
	    fake_change(w->view, "point", "none", err) < 0)
		return -1;
	*ret_facts = precopy_release_facts(w, &point);
	return 0;
}

int
fake_forget_points(struct work *w, json_t **ret_facts, struct err *err)
{
	(void)ret_facts;
	return fake_change(w->view, "point", "none", err);
}
