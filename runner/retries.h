/* SPDX-License-Identifier: Apache-2.0 */
/* The retries of a step over all runs: what its journal says is used of them,
 * and when there are fresh ones.
 *
 * A failure's record says what it took ("retry": {"wait": ms}, or "usedUp");
 * fresh ones begin with the step's success, with --redo, and with a record
 * "retries", which the next run writes once retry.max has passed. */
#ifndef RUNNER_RETRIES_H
#define RUNNER_RETRIES_H

#include <stdbool.h>
#include <stdint.h>

#include "execute.h"
#include "manifests/model.h"

struct retries {
	int tried; /* failures that counted */
	int64_t paused_ms;
};

/* Between 0 and 1. */
double retries_random(void);
/* What a failure leaves of them: a pause before the next try, `share` (0 to 1)
 * of the longest one, or nothing (-1).  It is counted in. */
int64_t retries_take(const struct run_policy *policy, double share,
		     struct retries *r);

/* From when on a run gives the step fresh ones: wall, 0 at once.  A clock that
 * was set back keeps nobody waiting: a moment still to come never was. */
int64_t retries_fresh_at(const struct run_policy *policy,
			 const struct step_history *past);

/* The stages of `redo` (NULL ends; or NULL) that are to be done anew: where a
 * step waits for fresh retries, naming its stage gives it these, and repeats
 * nothing that is done.  Caller frees the list, not the words. */
const char **retries_redo(const struct vm_run *vm, const char *const *redo);
/* ERR_RETRY when a step is not to be tried now: since when, until when, and
 * what helps sooner. */
int retries_check(const struct vm_run *vm, const char *const *redo,
		  struct err *err);
/* Adds to the journal that what is tried again begins with fresh ones. */
void retries_renew(const struct vm_run *vm);

/* " --vm ..." of those that are done anew with it: the vms of an atomic wave go
 * on together or not at all.  Caller frees. */
char *redo_vms(const struct vm_run *vm);
/* Says what has used its retries up, and the exact command for fresh ones. */
void retries_say(const struct vm_run *vm, const char *args);

#endif
