/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of a connection share. */
#ifndef COPY_WIRE_OWN_H
#define COPY_WIRE_OWN_H

#include "stages/copy/wire.h"

static inline uint64_t
wire_least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Called by libnbd from within a turn, with the struct wire_op; 1 retires the
 * command. */
int wire_answered(void *arg, int *error);
/* libnbd says why it would not even send as an errno, or not at all. */
void wire_not_sent(struct wire_op *op);
/* Until all its pieces are answered, or the connection is lost. */
int wire_wait_for(struct wire_op *op, struct wire *also, struct err *err);
bool wire_is_dead(const struct wire *w);
/* After a connection was lost: 1, it is made again; 0, it does not come
 * back. */
int wire_mend(struct wire_op *op, struct wire *also, struct err *err);
int wire_say_failure(const struct wire_op *op, struct err *err);

#endif
