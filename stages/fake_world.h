/* SPDX-License-Identifier: Apache-2.0 */
/* The world of the fake endpoint: files in the vm's state directory or, where
 * settings.world names one, in a directory of the endpoint's own:
 *
 *	WORLD/source/VM/		fake.power, of "source" alone
 *	WORLD/target/NAMESPACE/VM/	the rest
 *	WORLD/claims/NAMESPACE/VM/	whose that is: see fake_claim.c
 *
 *	fake.log	a line for every step that ran to its end: step,
 *			attempt, and what all keys of its hooks begin with
 *	fake.power	a line for each change of "source", "target", "mark"
 *			and "point" (in time, that the source holds), in their
 *			order; the last of each is how it is; of "writer",
 *			since when it writes (wall ms)
 *	fake.content	likewise of "disks": "replicas" or "committed"
 *	fake.vm		the vm as it is defined at the target
 *	fake.DISK	a disk at the target, fake.DISK.id which one it is
 *	fake.rehearsal	what was converted of a generation, until it is booted
 *	fake.overlay	what the conversion made and nobody committed yet */
#ifndef STAGES_FAKE_WORLD_H
#define STAGES_FAKE_WORLD_H

#include "stages/stage.h"

int fake_world_make(const struct view *v, struct err *err);
char *fake_path(const struct view *v, const char *what); /* caller frees */

/* Adds this attempt to the log. */
int fake_log_add(const struct work *w, struct err *err);
/* The last attempt of this step that the log knows, 0 for none. */
int fake_log_last(const struct work *w);

/* How "source", "target", "mark" or "disks" is now; caller frees. */
char *fake_state(const struct view *v, const char *what);
bool fake_is_now(const struct view *v, const char *what, const char *state);
/* Somebody starts the source, at a moment that is none of ours; whether the
 * target runs is nothing to him. */
int fake_start_source(const struct view *v, struct err *err);
/* The target is started: by a hypervisor, which knows nothing of a source. */
int fake_start_target(const struct view *v, struct err *err);
/* Synced.  Source and target never run at once: whoever asks for that is
 * wrong (ERR_BUG). */
int fake_change(const struct view *v, const char *what, const char *state,
		struct err *err);

#endif
