/* SPDX-License-Identifier: Apache-2.0 */
/* The schedule: the graph minus what the journal proves done; what a run will
 * do, and why.  Resuming needs no code of its own: it is what running means. */
#ifndef RUNNER_SCHEDULE_H
#define RUNNER_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>

#include "graph.h"
#include "history.h"

enum decision {
	DECISION_SKIP,	  /* done, with these very inputs */
	DECISION_RUN,	  /* never done */
	DECISION_RESUME,  /* begun and not finished */
	DECISION_CHANGED, /* done, with other inputs */
	DECISION_REDO,	  /* done, and asked for anew */
	DECISION_REFUSED, /* would destroy what may not be made again */
};

struct scheduled {
	const struct step *step;
	enum decision decision;
	/* Copies again what is copied already, and for another reason than
	 * that the source ran meanwhile: only for who accepts that. */
	bool needs_accept;
	/* The step it waits for that this run will not do, or NULL. */
	const struct step *blocked_by;
	char *why; /* "done 2026-11-12 10:31", "source disk disk-0" */
};

struct schedule {
	struct scheduled *steps; /* one for each step of the graph, in order */
	size_t nsteps;
	size_t ntodo;			 /* neither skipped nor refused */
	const struct scheduled *refused; /* the first, or NULL */
	const struct scheduled *accept;	 /* the first that needs it, or NULL */
	/* Why all from the first copy on must be begun anew beside what is
	 * there, or NULL; what is refused is refused for that.  Owned. */
	char *renew;
	bool beside; /* source and target may both run: that comes first */
};

struct schedule_opts {
	const struct view *view; /* as the graph was made of */
	/* Stages to be done anew, NULL ends; NULL: none.  What comes after one
	 * that writes the disks is done anew with it. */
	const char *const *redo;
	/* All from `set-aside` on is begun anew, for this reason; or NULL. */
	const char *renew;
	bool accepted; /* what needs accepting is accepted */
};

struct schedule *schedule_of(const struct schedule_opts *opts,
			     const struct graph *g, const struct history *h);
void schedule_free(struct schedule *s); /* NULL is fine */

/* Is it to be done, sooner or later? */
bool scheduled_is_todo(const struct scheduled *s);
/* "skip", "run", "resume", "changed", "redo", "refused" */
const char *decision_name(enum decision d);
/* For people: "run (changed: source epoch)", "resume (61 %)",
 * "skip (done 2026-11-12 10:31)", "blocked by cutover/disk-0".  Caller
 * frees. */
char *scheduled_words(const struct scheduled *s);

#endif
