/* SPDX-License-Identifier: Apache-2.0 */
/* Slot locks: a limit that holds over all runs of one user on one machine.
 *
 * A limit of N on a thing is N files in one directory, "<thing>-0" to
 * "<thing>-<N-1>"; who holds the lock (flock) of one of them holds a slot.
 * Runs whose limits differ each count slots from 0 to their own limit.  Who
 * waits holds the lock of "<thing>.turn": those who have slots let it go first,
 * so that nobody takes again at once what another waits for.
 *
 * What it costs: a file of some 50 bytes a slot, on a tmpfs, never removed; six
 * system calls to take a slot that is free (two more for each one before it
 * that others hold) and two to give it back; a descriptor for each slot that is
 * held.  Locks are not polled here: who waits tries again. */
#ifndef RUNNER_SLOTS_H
#define RUNNER_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SLOTS_MAX 4096 /* a higher limit holds within one run only */

/* The directory: $PALLETJACK_SLOTS, /run/palletjack for root, else
 * $XDG_RUNTIME_DIR/palletjack.  *ret is a descriptor, or -1 where there is no
 * such place, and `why` says so.  -1 with ERR_USER: what is there is not a
 * directory of ours alone, and is not touched. */
int slots_dir(int *ret, char why[300], struct err *err);

struct slots;

enum slots_answer {
	SLOTS_TAKEN,
	SLOTS_HELD,   /* by others, or it is another's turn */
	SLOTS_BROKEN, /* no file can be made or locked: err says why */
};

/* `dir` is borrowed; `name` becomes part of file names; `who` is what others
 * are told of us ("process 7 of plan t/p"). */
struct slots *slots_new(int dir, const char *name, int limit, const char *who);
void slots_free(struct slots *s); /* NULL is fine; gives back what it holds */

/* *ret is the slot's number. */
enum slots_answer slots_take(struct slots *s, int *ret, struct err *err);
/* For those who shall hold it as long as they live: its descriptor. */
int slots_fd(const struct slots *s, int slot);
/* `all`: also what children still have open of it; else it is free when the
 * last of them has closed it. */
void slots_give(struct slots *s, int slot, bool all);
/* Nobody of us waits any more. */
void slots_pass_turn(struct slots *s);
/* Who holds the first slot that we do not: "process 7 of plan t/p". */
void slots_holder(const struct slots *s, char *text, size_t size);

#endif
