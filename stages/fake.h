/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoint type `fake`: any number of vms that exist nowhere, moved to
 * nowhere, with real records.  For tests of the engine, and for trying it out
 * without a hypervisor. */
#ifndef STAGES_FAKE_H
#define STAGES_FAKE_H

#include <stdbool.h>

#include "stages/stage.h"

bool fake_is(const char *endpoint_type);
int fake_inventory(const struct endpoint *ep, struct inventory *ret,
		   struct err *err);
/* The pipeline and its compensations under the same names and with the same
 * inputs, but with a world behind them that fits into the state directory. */
const struct stage *const *fake_stages(size_t *ret_n);

/* What stages.c and inputs.c ask of real endpoints. */
char *fake_epoch(const struct view *v); /* caller frees */
bool fake_is_unmarked(const struct view *v);
bool fake_is_committed(const struct view *v); /* and not handed over */
int fake_look_at_mark(const struct view *v, struct err *err);
int fake_may_undo(const struct view *v, struct err *err);
int fake_may_remove(const struct view *v, struct err *err);
const struct stage *fake_gc(bool disks);
char *fake_aside_text(const struct view *v);

#endif
