/* SPDX-License-Identifier: Apache-2.0 */
/* How the vms of a plan stand in its waves before a run. */
#ifndef RUNNER_BATCH_WAVES_H
#define RUNNER_BATCH_WAVES_H

#include "batch.h"
#include "wave.h"

/* What is not ready to be worked on is at its end: what --vm leaves out, by
 * its journal.  NULL: the plan has no waves. */
struct waves *batch_waves(const struct batch *b);

/* The same from the journals alone, where what is not moved may still be. */
struct waves *journal_waves(const struct plan *plan, const char *root);

#endif
