/* SPDX-License-Identifier: Apache-2.0 */
/* Which vms a batch is about: entries of the plan, and by name who once was
 * one. */
#ifndef RUNNER_BATCH_PICK_H
#define RUNNER_BATCH_PICK_H

#include "batch.h"

/* Makes b->vms. */
int batch_pick(struct batch *b, const struct batch_opts *opts, struct err *err);

#endif
