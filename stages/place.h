/* SPDX-License-Identifier: Apache-2.0 */
/* The target as one vm's stages see it. */
#ifndef STAGES_PLACE_H
#define STAGES_PLACE_H

#include "stages/stage.h"
#include "stages/target/target.h"

struct place {
	const struct target_ops *ops;
	struct target_vm vm;
	struct volume *volumes; /* as many as the shape has disks; owned */
};

/* ERR_USER when no target of the plan's type is built in. */
int place_open(const struct view *v, struct place *ret, struct err *err);
void place_done(struct place *p); /* {0} is fine */

/* The ledger of one disk, in the vm's state; caller frees. */
char *place_ledger(const struct view *v, const struct inv_disk *disk);

/* When to stop waiting: the policy's limit from now on, but a little before
 * the step's own deadline, so that it is us who say what was waited for.
 * limit_ms 0: the policy sets none, and a day is as good as none. */
int64_t place_deadline(const struct work *w, int64_t limit_ms);

#endif
