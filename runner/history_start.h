/* SPDX-License-Identifier: Apache-2.0 */
/* What the fold over a journal keeps of the target's start: under WORK_MARKING
 * false as long as every attempt was one that says so before it marks, and none
 * did; true once one did; nothing where that is not known, as an attempt of an
 * earlier build does not say.  Of other steps it keeps nothing. */
#ifndef RUNNER_HISTORY_START_H
#define RUNNER_HISTORY_START_H

#include <stdbool.h>

#include "history.h"

/* An intent; `says`: it is one that will say so. */
void history_start_begins(struct step_history *s, bool says);
/* A result, before it is folded; without an intent nothing was done at all. */
void history_start_ends(struct step_history *s, bool failed);
/* Before its last attempt is past: asked for anew, or all of it renewed. */
void history_start_is_wanted_anew(struct step_history *s);

#endif
