/* SPDX-License-Identifier: Apache-2.0 */
/* Is what is recognised on a device the work of a copy that was cut short? */
#ifndef COPY_OURS_H
#define COPY_OURS_H

#include "stages/copy/copy.h"

/* *ret: all that lies at the `n` byte offsets `places` of copy->target is what
 * the ledger calls durable there, or what the source has there.  What lies
 * beyond the disk is not looked at: no copy writes it. */
int copy_ours(const struct copy_opts *copy, const uint64_t *places, size_t n,
	      bool *ret, struct err *err);

#endif
