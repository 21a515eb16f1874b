/* SPDX-License-Identifier: Apache-2.0 */
/* How fast the steps of a run may move bytes, all of them together. */
#ifndef STAGES_BANDWIDTH_H
#define STAGES_BANDWIDTH_H

#include "stages/copy/throttle.h"
#include "stages/stage.h"

/* What the steps of one run have in common; it lives in memory that their
 * processes share. */
struct bandwidth {
	struct throttle_bucket run, source, target;
};

/* What reads the source keeps to, a copy from source to target, and what reads
 * the target back: `ret`, or NULL when the policy knows no limit. */
const struct throttle *bandwidth_of_source(const struct work *w,
					   struct throttle *ret);
const struct throttle *bandwidth_of_copy(const struct work *w,
					 struct throttle *ret);
const struct throttle *bandwidth_of_verify(const struct work *w,
					   struct throttle *ret);

#endif
