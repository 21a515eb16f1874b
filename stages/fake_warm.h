/* SPDX-License-Identifier: Apache-2.0 */
/* A fake vm that runs while it is copied.
 *
 * With settings.dirtyPercent some of its blocks are written again and again:
 * before each point in time about every second of them, and all of them before
 * it is stopped.  What they hold then does not depend on how many points were
 * made: however a migration went, it ends with the same bytes. */
#ifndef STAGES_FAKE_WARM_H
#define STAGES_FAKE_WARM_H

#include "stages/precopy.h"
#include "stages/stage.h"

#define FAKE_STOPPED UINT32_MAX /* behind all points in time */

/* When the block was written last, as a part of its stamp. */
const char *fake_written(const struct view *v, const struct inv_disk *disk,
			 uint64_t block, uint32_t point, char ret[64]);
/* Was it written behind `since`, up to `point`? */
bool fake_is_written(const struct view *v, const struct inv_disk *disk,
		     uint64_t block, uint32_t since, uint32_t point);

int fake_precopy(struct work *w, json_t **ret_facts, struct err *err);
int fake_release_point(struct work *w, json_t **ret_facts, struct err *err);
int fake_forget_points(struct work *w, json_t **ret_facts, struct err *err);
/* Is it a step of a generation that has no point in time? */
bool fake_is_idle(const struct work *w);
/* The point that this step copies, if the source still holds it. */
int fake_open_point(struct work *w, struct precopy_point *ret, struct err *err);

#endif
