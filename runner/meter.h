/* SPDX-License-Identifier: Apache-2.0 */
/* How fast something moves, and when it will be done, from what it tells now
 * and then. */
#ifndef RUNNER_METER_H
#define RUNNER_METER_H

#include <stdint.h>

#include "base/buf.h"

/* Zeroed it is new. */
struct meter {
	int64_t at_ms; /* when it was last looked at; 0: never */
	uint64_t done, moved;
	double done_rate, moved_rate; /* a second, of late */
	double weight;		      /* of what is known, below 1 */
};

/* `done` of the whole is settled, for which `moved` bytes were moved: holes
 * are done and not moved. */
void meter_tell(struct meter *m, uint64_t done, uint64_t moved, int64_t now_ms);

uint64_t meter_rate(const struct meter *m); /* of bytes moved, a second */
/* Until `total` is done; -1: nobody knows. */
int64_t meter_left_ms(const struct meter *m, uint64_t total);

/* " 43 %  1.7 GiB of 4 GiB  120 MiB/s  20 s left" */
void meter_text(const struct meter *m, uint64_t total, struct buf *ret);

#endif
