/* SPDX-License-Identifier: Apache-2.0 */
/* Vms that no run works on any more, whatever they stand at: the plan has no
 * entry for them, or is archived.  Only who is told of them gives their source
 * back. */
#ifndef RUNNER_LEFTOVER_H
#define RUNNER_LEFTOVER_H

#include "base/arena.h"
#include "history.h"
#include "manifests/finding.h"
#include "manifests/model.h"

/* Who has a state of this plan, and no entry: entries that say nothing but
 * their name, sorted, in `arena`. */
const struct plan_vm *leftovers(const char *root, const struct plan *plan,
				struct arena *arena, size_t *ret_n);
/* The one of that name, or NULL. */
const struct plan_vm *leftover_find(const struct plan_vm *all, size_t n,
				    const char *key);

/* Is there anything to be done about it? */
bool leftover_matters(const struct history *h);
/* Where it stands and the next command, for a vm that was begun; `args` as
 * words_again gives them.  Caller frees. */
char *leftover_text(const struct history *h, const char *key, const char *args);

/* Adds what is to be said of each vm of the plan that no run works on: those
 * without an entry, and of an archived plan those that matter.  True: there is
 * one that matters, and a run must not look like a success. */
bool leftovers_note(const char *root, const struct plan *plan, const char *args,
		    struct findings *findings);

#endif
