/* SPDX-License-Identifier: Apache-2.0 */
/* A vm's graph and schedule, made of its view and history. */
#ifndef RUNNER_BATCH_SCHEDULE_H
#define RUNNER_BATCH_SCHEDULE_H

#include "batch.h"

/* Makes both, and the verdict: is there anything to do? */
void batch_schedule(struct batch_vm *v, const struct batch_opts *opts);
/* Both anew, of the view as it is now. */
void batch_schedule_as(struct batch_vm *v, const struct schedule_opts *how);
/* What the schedule may not do, as an error. */
int batch_check_schedule(const struct batch_vm *v, struct err *err);

#endif
