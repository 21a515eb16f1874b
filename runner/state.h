/* SPDX-License-Identifier: Apache-2.0 */
/* State directories: one a vm, all that a run needs to continue it anywhere.
 *
 *   <root>/<namespace>/<plan>/<vm>/
 *     uuid             who claims at the target
 *     lock             held by the run that works on this vm; says who
 *     writers.lock     held by every process that may write for it
 *     journal          what happened
 *     inventory.json   the source's record of the vm, digested in the journal
 *     ledger/          one a disk
 *     log/             run.log and what helpers said
 *     requests/        what people ask of the run (request.h)
 *
 * Lock order: lock, then end what the journal says may still live, then
 * writers.lock. */
#ifndef RUNNER_STATE_H
#define RUNNER_STATE_H

#include <stdbool.h>

#include "base/err.h"
#include "history.h"
#include "journal.h"
#include "manifests/model.h"

/* --state, $PALLETJACK_STATE, /var/lib/palletjack for root,
 * $XDG_STATE_HOME/palletjack or ~/.local/state/palletjack; caller frees. */
char *state_root(const char *option, struct err *err);

/* Bytes outside [A-Za-z0-9._-] are percent-encoded, and so are leading dots;
 * caller frees. */
char *state_encode(const char *name);
/* The name that is so encoded, or NULL when none is; caller frees. */
char *state_decode(const char *encoded);
char *state_plan_dir(const char *root, const struct plan *plan);
char *state_vm_dir(const char *root, const struct plan *plan,
		   const struct plan_vm *pvm);

struct vm_state {
	char *dir;
	char *uuid;
	int lock;		 /* -1 when only read */
	int writers;		 /* -1 when only read */
	struct journal *journal; /* NULL when only read */
	struct history *history; /* follows the journal as it is written */
	size_t tidy_from;	 /* state_tidy's own */
};

/* Looks without touching: a directory that is not there gives an empty
 * history. */
int state_peek(const char *dir, struct vm_state **ret, struct err *err);
/* Does the process live that took the vm last?  Of another host that is what
 * the journal says.  The lock itself is not tried: that would keep a run out
 * that begins meanwhile. */
bool state_is_owned(const struct vm_state *s);

/* Takes the vm for this run: makes the directory when needed, takes the
 * first lock (ERR_HELD says who, where and since when), replays the journal,
 * ends what an earlier run left behind, takes the second lock. */
int state_take(const char *dir, const struct plan *plan, struct vm_state **ret,
	       struct err *err);
/* Compacts the journal when it is over 1 MiB and four times what it amounts
 * to; with both locks, nothing pending.  It may stay as it is, with a warning.
 * Called after each record: so while it can be compacted, a journal never
 * grows beyond the larger of 1 MiB and eight times what it amounts to. */
void state_tidy(struct vm_state *s);
void state_release(struct vm_state *s); /* NULL is fine */

#endif
