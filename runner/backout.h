/* SPDX-License-Identifier: Apache-2.0 */
/* What a failure behind the source's stop leads to, and the next move. */
#ifndef RUNNER_BACKOUT_H
#define RUNNER_BACKOUT_H

#include "execute.h"
#include "manifests/model.h"

/* AIM_RUN: nothing is done about it. */
enum aim backout_aim(const struct run_policy *policy, const struct vm_run *vm);

/* How long until cutover.backoutBy wants the source given back; 0: it is due,
 * -1: never. */
int64_t backout_left_ms(const struct run_policy *policy,
			const struct history *h);
/* The way it is given back then, and why; caller frees. */
enum aim backout_due_aim(const struct run_policy *policy);
char *backout_due_text(const struct run_policy *policy,
		       const struct history *h);

/* Says where the vm stands and the exact next command, `args` being the
 * manifest and the plan as they were given; nothing when the source is not
 * concerned. */
void backout_say(const struct vm_run *vm, const char *args);

/* The same for a vm that this run did not touch. */
void backout_say_kept_back(const struct vm_run *vm, const struct due *due,
			   const char *args);

#endif
