/* SPDX-License-Identifier: Apache-2.0 */
/* Waves: which vms may be begun, and how far those of an atomic wave may go.
 *
 * A wave has ended when each of its vms has: moved (in whatever run), failed,
 * or undone for another reason than a failure.  Cancelled and rolled back are
 * failed: they are not where the waves after want them.  Undone, too, is who
 * only rests: of a warm plan, not cut over yet, to be copied on by a later run;
 * it keeps none of its wave from being begun and copied likewise. */
#ifndef RUNNER_WAVE_H
#define RUNNER_WAVE_H

#include <stdbool.h>

#include "manifests/model.h"

enum wave_end { WAVE_MOVED, WAVE_FAILED, WAVE_UNDONE, WAVE_RESTS };

enum wave_door {
	WAVE_OPEN,
	WAVE_WAIT, /* for others of this run */
	WAVE_SHUT, /* in this run it opens no more */
};

/* Where the vms of an atomic wave wait for each other: all of them begin this
 * stage, or none. */
enum wave_barrier { WAVE_CUTOVER, WAVE_COMMIT, WAVE_START, WAVE_NBARRIERS };

struct waves;

/* NULL, which is fine for all below: the plan has no waves. */
struct waves *waves_new(const struct plan *plan);
void waves_free(struct waves *ws);

/* The vm's end in this run, or how it stands that no run works on; only the
 * first counts.  `why` is for people and copied; NULL when it is moved. */
void waves_ended(struct waves *ws, const struct plan_vm *vm, enum wave_end end,
		 const char *why);
/* Nothing of it is left to do before that stage. */
void waves_ready(struct waves *ws, const struct plan_vm *vm,
		 enum wave_barrier barrier);

/* It was, and is not any more; nothing once all of its wave were. */
void waves_unready(struct waves *ws, const struct plan_vm *vm,
		   enum wave_barrier barrier);
/* Were all vms of its wave, an atomic one, ready for that stage? */
bool waves_are_past(const struct waves *ws, const struct plan_vm *vm,
		    enum wave_barrier barrier);

/* *ret_why for people when it is not open; caller frees. */
enum wave_door waves_may_begin(const struct waves *ws, const struct plan_vm *vm,
			       char **ret_why);
enum wave_door waves_may_pass(const struct waves *ws, const struct plan_vm *vm,
			      enum wave_barrier barrier, char **ret_why);
/* Did a door open or shut since this was asked last? */
bool waves_changed(struct waves *ws);

#endif
