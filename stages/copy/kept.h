/* SPDX-License-Identifier: Apache-2.0 */
/* Is what a ledger vouches for still there?  A look before anything is passed
 * over because of it: at a sample, or at all of it. */
#ifndef COPY_KEPT_H
#define COPY_KEPT_H

#include "stages/copy/copy.h"

/* A change of one in so many blocks is found out with this probability. */
#define KEPT_ONE_IN 100
#define KEPT_CONFIDENCE 0.99
#define KEPT_LAST 64 /* blocks that were copied last and are looked at, too */

/* Reads back of the disk that `look` names (target, is_source, ledger, wait_ms,
 * throttle, progress, arg) the first block, the last that were copied, and
 * samples of those that are zero and of all others, as far as they are durable
 * and no extent of copy->changed touches them.  Difference: as copy_verify. */
int kept_sample(const struct verify_opts *look, const struct copy_opts *copy,
		struct verify_result *ret, struct err *err);

/* Reads back all that is durable on the target.  What is not there is pending
 * afterwards: the copy that follows brings it. */
int kept_mend(const struct verify_opts *look, const struct copy_opts *copy,
	      struct verify_result *ret, struct err *err);

#endif
