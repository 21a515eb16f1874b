/* SPDX-License-Identifier: Apache-2.0 */
/* What steps that rehearse a generation share with those of the fake
 * endpoint. */
#ifndef STAGES_REHEARSAL_H
#define STAGES_REHEARSAL_H

#include "stages/stage.h"

/* Blocks until the journal has what the boot of a converted generation came to:
 * what was converted is thrown away then, and a run that is killed before the
 * result is on record must not need it again. */
int rehearsal_keep(struct work *w, const json_t *facts, struct err *err);

/* The facts so kept, of an earlier attempt at the very same: a new reference,
 * or NULL. */
json_t *rehearsal_kept(const struct work *w);

/* What was converted of the generation is gone: it is to be converted anew, by
 * the next run.  Always -1. */
int rehearsal_again(struct work *w, struct err *err);

#endif
