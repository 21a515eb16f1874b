/* SPDX-License-Identifier: Apache-2.0 */
/* One thread waiting for many things: descriptors, timers, children. */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include <stdint.h>

#include "base/err.h"

struct loop;

typedef void loop_fn(void *arg);

struct loop *loop_new(void);
void loop_free(struct loop *l);

/* Calls fn each time fd is readable or at its end (a pidfd is readable when
 * its process has ended).  One watch a descriptor. */
void loop_watch(struct loop *l, int fd, loop_fn *fn, void *arg);
void loop_unwatch(struct loop *l, int fd);

/* Calls fn once, at mono_ms or soon after.  Returns an id for loop_cancel. */
int loop_at(struct loop *l, int64_t mono_ms, loop_fn *fn, void *arg);
void loop_cancel(struct loop *l, int id); /* 0 and spent ids are fine */

/* Waits for and dispatches one round of events. */
int loop_turn(struct loop *l, struct err *err);

#endif
