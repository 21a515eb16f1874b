/* SPDX-License-Identifier: Apache-2.0 */
/* What a state directory remembers of its source vm: inventory.json, digested
 * in the journal.  A cache: what is not as the journal says is asked again. */
#ifndef RUNNER_RECORD_H
#define RUNNER_RECORD_H

#include "base/err.h"
#include "manifests/inventory.h"
#include "stages/stage.h"
#include "state.h"

/* An inventory of one vm; *ret stays NULL when nothing is there to be
 * believed.  It is written before the journal names it: what is there may be
 * newer than what is named, and then it is not `exact`. */
int record_load(const struct vm_state *state, bool exact,
		struct inventory **ret, struct err *err);

/* Keeps what the view says of the source and binds the journal to it, unless
 * `known`, which record_load gave, is that already. */
int record_keep(struct vm_state *state, const struct view *view,
		const struct inventory *known, struct err *err);

#endif
