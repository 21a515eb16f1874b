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
	DECISION_REFUSED, /* would destroy what may not be made again */
};

struct scheduled {
	const struct step *step;
	enum decision decision;
	char *why; /* "done 2026-11-12 10:31", "changed: spec.targetName" */
};

struct schedule {
	struct scheduled *steps; /* one for each step of the graph, in order */
	size_t nsteps;
	size_t ntodo;			 /* neither skipped nor refused */
	const struct scheduled *refused; /* the first, or NULL */
};

struct schedule *schedule_of(const struct graph *g, const struct history *h);
void schedule_free(struct schedule *s); /* NULL is fine */

/* "skip", "run", "resume", "changed", "refused" */
const char *decision_name(enum decision d);

#endif
