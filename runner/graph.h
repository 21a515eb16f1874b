/* SPDX-License-Identifier: Apache-2.0 */
/* The graph of one vm: a pure function of manifest and inventory. */
#ifndef RUNNER_GRAPH_H
#define RUNNER_GRAPH_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "manifests/digest.h"
#include "stages/stage.h"

/* One stage for the vm, or for one disk of it. */
struct step {
	char *id; /* "convert", "cutover/disk-0" */
	const struct stage *stage;
	const struct inv_disk *disk; /* NULL: a step of the whole vm */
	size_t ndisk;
	const char *about; /* the step whose records it sees; NULL: its own */
	const struct view *view;	   /* outlives the graph */
	char fingerprint[DIGEST_HEX_SIZE]; /* of step_inputs */
	size_t *after; /* positions of the steps this one waits for */
	size_t nafter;
};

struct graph {
	struct step *steps; /* in an order in which they could be done */
	size_t nsteps;
};

/* A stage waits for all steps of the stage before it; a disk's step waits
 * only for the same disk where both stages go by disk. */
struct graph *graph_of(const struct view *view);
void graph_free(struct graph *g); /* NULL is fine */

/* What the step's result depends on, by name; new reference.  Made when asked
 * for: of ten thousand vms nobody wants to keep it. */
json_t *step_inputs(const struct step *s);

/* Of a generation, before its source is stopped? */
bool step_is_rehearsal(const struct step *s);

/* Does `later` look at what `earlier` leaves on the disks? */
bool step_rests_on(const struct step *later, const struct step *earlier);

/* Does it read a disk back before that is used?  With the source stopped what
 * was read while it ran is not asked about. */
bool step_reads_back(const struct step *s, bool is_cut_over);

/* Is it done anew when the stage of this name shall be?  Another boot of a
 * generation has to have it converted again, as what was booted was thrown
 * away. */
bool step_is_asked_by(const struct step *s, const char *name);

#endif
