/* SPDX-License-Identifier: Apache-2.0 */
/* That replicas were read, and not written, while something stood on them.
 * Two looks, neither of which is all: what every write to a file changes, and
 * a sample of blocks, drawn anew each time, read past the caches and compared
 * with the ledger.  A write of many blocks is seen by either; one of a few
 * that somebody hides from the first, by the second only with luck. */
#ifndef STAGES_UNTOUCHED_H
#define STAGES_UNTOUCHED_H

#include <sys/stat.h>
#include <time.h>

#include "base/vec.h"
#include "stages/place.h"
#include "stages/stage.h"

#define UNTOUCHED_SAMPLE 64 /* blocks of each disk */

/* Of one volume. */
struct stamp {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec written;
};

/* One a volume; begins as {0}. */
struct untouched {
	VEC(struct stamp) stamps;
};

void untouched_done(struct untouched *u);
int untouched_begin(const struct place *p, struct untouched *ret,
		    struct err *err);
/* ERR_MISMATCH, with WORK_DIFFERS on record, when a replica was written since
 * then, or is not what was copied; *ret_blocks: so many were compared.  Of a
 * disk that was copied without a proof only the first look is taken. */
int untouched_check(struct work *w, const struct place *p,
		    const struct untouched *u, uint64_t *ret_blocks,
		    struct err *err);

#endif
