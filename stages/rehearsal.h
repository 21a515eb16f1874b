/* SPDX-License-Identifier: Apache-2.0 */
/* What steps that rehearse a generation share with those of the fake
 * endpoint. */
#ifndef STAGES_REHEARSAL_H
#define STAGES_REHEARSAL_H

#include "stages/stage.h"

/* What was converted of the generation is gone: it is to be converted anew, by
 * the next run.  Always -1. */
int rehearsal_again(struct work *w, struct err *err);

#endif
