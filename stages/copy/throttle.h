/* SPDX-License-Identifier: Apache-2.0 */
/* How fast bytes may be moved, for all processes that share a bucket.
 *
 * Who wants bytes draws a ticket and waits until the bucket has given out so
 * many: first come, first served, so nobody starves.  Nothing is ever locked: a
 * process that is killed or stopped takes at most its own ticket with it. */
#ifndef COPY_THROTTLE_H
#define COPY_THROTTLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define THROTTLE_LIMITS 3 /* of the run, the source, the target */

/* In memory that all have in common; zeroed it is new. */
struct throttle_bucket {
	_Atomic uint64_t drawn;	  /* bytes that tickets were drawn for */
	_Atomic uint64_t given;	  /* of them, bytes that may be moved */
	_Atomic int64_t given_us; /* the moment up to which it gave */
};

/* Bytes a second at this wall time; 0: as many as there are. */
typedef uint64_t throttle_rate_fn(const void *arg, int64_t wall_ms);

struct throttle_limit {
	struct throttle_bucket *bucket;
	throttle_rate_fn *rate;
	const void *arg;
};

/* What one copy keeps to. */
struct throttle {
	struct throttle_limit limit[THROTTLE_LIMITS];
	size_t n;
};

void throttle_add(struct throttle *t, struct throttle_bucket *bucket,
		  throttle_rate_fn *rate, const void *arg);

/* Each bucket's tickets for some bytes that are to be moved. */
struct throttle_ticket {
	uint64_t upto[THROTTLE_LIMITS];
};

/* Draws them; from then on throttle_wait_ms says how long to wait before it is
 * asked again: 0, go; never more than 100. */
void throttle_draw(const struct throttle *t, uint64_t bytes,
		   struct throttle_ticket *ret);
int throttle_wait_ms(const struct throttle *t,
		     const struct throttle_ticket *ticket);

#endif
