/* SPDX-License-Identifier: Apache-2.0 */
/* Removing what we made. */
#ifndef STAGES_GC_H
#define STAGES_GC_H

#include "stages/place.h"

/* ERR_FAIL when it was handed over and not rolled back; ERR_HELD when it is
 * another's. */
int gc_may_remove(const struct place *p, struct err *err);

#endif
