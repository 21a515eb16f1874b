/* SPDX-License-Identifier: Apache-2.0 */
/* Whose a fake target is.  Without a world of its own (settings.world) it lies
 * in the state directory, and nobody else can have it: then all of these find
 * nothing to do. */
#ifndef STAGES_FAKE_CLAIM_H
#define STAGES_FAKE_CLAIM_H

#include "stages/stage.h"

/* Ours from now on; what was made there by whom it is taken over from is made
 * anew. */
int fake_claim(struct work *w, struct err *err);
/* Is that all done? */
bool fake_is_claimed(const struct work *w);
/* Who has it, if that is another; or NULL.  Caller frees. */
char *fake_whose(const struct view *v);
/* ERR_HELD when it is another's. */
int fake_look_at_claim(const struct view *v, struct err *err);
/* How the source was before it was stopped, for who takes over; NULL: it is
 * given back. */
int fake_note_power(const struct view *v, const char *was, struct err *err);
/* Once all is removed. */
int fake_release(const struct view *v, struct err *err);

#endif
