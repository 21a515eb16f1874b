/* SPDX-License-Identifier: Apache-2.0 */
/* Pools: how much of a kind runs at once, in this run and, where slot locks
 * are kept, in all runs on this machine.
 *
 * A claim names the pools it wants a place in and gets all of them or none, so
 * that nobody holds one place while it waits for another.  Within a pool, first
 * come first served; who waits for another pool too keeps nobody waiting here.
 * All is constant time but the step from one queue to another. */
#ifndef RUNNER_POOL_H
#define RUNNER_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "slots.h"

#define CLAIM_POOLS 4 /* jobs, source host, source, target */

struct pool;
struct pools;

struct claim {
	struct pool *pools[CLAIM_POOLS];
	int slots[CLAIM_POOLS]; /* -1: counted in this run only */
	size_t n;
	bool held;
	struct pool *waits;	      /* for a place in this one, or NULL */
	uint64_t turn;		      /* kept until it is set to 0 */
	void *owner;		      /* the caller's */
	struct claim *before, *after; /* in the queue; pool.c's own */
};

/* `dir` of slots_dir, now ours; -1: all limits hold within this run only. */
struct pools *pools_new(int dir, const char *who);
void pools_free(struct pools *ps); /* NULL is fine */

/* The pool of that name, made when it is asked for the first time; NULL when
 * limit is 0: there is none.  `name` is for files and unique, `about` for
 * people: "conversions", "disks of host h".  Not `shared`: within this run. */
struct pool *pools_get(struct pools *ps, const char *name, const char *about,
		       int limit, bool shared);

/* For a claim that is neither held nor waits; NULL and what is there already
 * are fine. */
void claim_add(struct claim *c, struct pool *p);
/* Descriptors that hold its slots; their number. */
size_t claim_fds(const struct claim *c, int fds[CLAIM_POOLS]);

/* True: it is held now.  Else it waits. */
bool pools_ask(struct pools *ps, struct claim *c);
/* Gives back what is held, or gives up waiting.  `all`: nobody who was given
 * its descriptors needs it any more. */
void pools_drop(struct pools *ps, struct claim *c, bool all);
/* One that waited and now is held; NULL: no more for now.  To be asked until
 * then whenever something was dropped. */
struct claim *pools_next(struct pools *ps);

/* Does anybody wait for what other runs hold?  Then pools_look now and then,
 * and pools_next after it. */
bool pools_wait_outside(const struct pools *ps);
void pools_look(struct pools *ps);
/* One that waits where others have had all places for so long and none of ours
 * had one, and for what, which the caller frees; NULL: there is none.  To be
 * asked as often as pools_look, and until what it named is dropped. */
struct claim *pools_late(struct pools *ps, int64_t now_ms, int64_t limit_ms,
			 char **ret_text);
/* What is to be said of that, once a pool: the claim, and a sentence that the
 * caller frees.  NULL: nothing new. */
struct claim *pools_news(struct pools *ps, char **ret_text);
/* Why limits hold within this run only, from the first time that slots could
 * not be kept on; NULL: they are, or never were. */
const char *pools_broken(const struct pools *ps);

#endif
