/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to a vm: it is moved, or given back, or cleaned up.  All of it
 * are steps that execute() works through and writes down. */
#ifndef RUNNER_AIM_H
#define RUNNER_AIM_H

#include "base/err.h"
#include "graph.h"
#include "history.h"
#include "schedule.h"

enum aim {
	AIM_RUN,
	AIM_GIVE_BACK, /* only the source: the next run stops it again */
	AIM_ROLLBACK,  /* all compensations, in reverse order */
	AIM_GC,
	AIM_GC_DISKS,
	AIM_VERIFY, /* only looked at: there are no steps */
};

/* ERR_NONE: it may be done, as far as the journal says.  ERR_CANCELLED: the
 * vm was rolled back; other classes: why not.  For AIM_RUN a rollback that was
 * cut short is no obstacle: it is finished first. */
int aim_allowed(enum aim aim, const struct history *h, struct err *err);

/* Free with graph_free and schedule_free. */
struct graph *aim_graph(enum aim aim, const struct view *v);
struct schedule *aim_schedule(enum aim aim, const struct graph *g,
			      const struct history *h);

/* The type of the record that begins it, and of the one that ends it when all
 * of it is done. */
const char *aim_first_word(enum aim aim);
const char *aim_last_word(enum aim aim);

#endif
