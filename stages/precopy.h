/* SPDX-License-Identifier: Apache-2.0 */
/* A generation of a running source as its steps see it.
 *
 *	precopy		makes the point in time: facts {number, point,
 *			since, sinceNumber, at}, and `lost` where it is not
 *			known what changed: {disk: why}
 *	precopy/DISK	copies the disk as it was then: the facts of every
 *			copy, and {pass, changed, begun, ended}, and `why` all
 *			of it was looked at, though it was copied before
 *	precopy-release	lets the point go: facts {number, point, at,
 *			generations}, the last GENERATIONS_KEPT of them; each
 *			has `why` likewise, by disk
 *	precopy-verify/DISK	reads back what was copied
 *
 * `number` is the ledger's generation: every point in time has its own, and so
 * has the cutover's last delta.  A generation that is cut short goes on at its
 * point in time while the source holds that, else at a new one. */
#ifndef STAGES_PRECOPY_H
#define STAGES_PRECOPY_H

#include "stages/source/source.h"
#include "stages/stage.h"

#define GENERATIONS_KEPT 32
#define POINT_NAME_SIZE 64

/* The point in time of this generation, as it is on record.  Without a name
 * none was made, as the vm is off: the generation has nothing to copy. */
struct precopy_point {
	uint32_t number, since_number; /* 0: since nothing */
	char name[POINT_NAME_SIZE], since[POINT_NAME_SIZE]; /* "": none */
	int64_t at_ms; /* wall: when it was about to be made */
};

/* The one that was recorded for this generation; false: none was. */
bool precopy_recorded(const struct work *w, struct precopy_point *ret);
/* A new one, recorded when this returns 0. */
int precopy_choose(struct work *w, struct precopy_point *ret, struct err *err);
/* What a copy step is to copy; ERR_BUG when no point was made. */
int precopy_made(const struct work *w, struct precopy_point *ret,
		 struct err *err);
/* The point in time is gone with who held it: it is to be made anew, by the
 * next run.  Always -1. */
int precopy_lost(struct work *w, struct err *err);
/* The generation applied on all disks last; false: none was. */
bool precopy_applied(const struct work *w, struct precopy_point *ret);

/* The facts of "precopy" and of "precopy-release"; without a point there is
 * nothing new. */
json_t *precopy_facts(const struct precopy_point *p);
json_t *precopy_no_point(const struct work *w);
/* Says on record that this point is about to be let go: whoever was killed
 * between that and its result lets it go again, and copies nothing from it. */
int precopy_releasing(struct work *w, const struct precopy_point *p,
		      struct err *err);
json_t *precopy_release_facts(const struct work *w,
			      const struct precopy_point *p);
/* When a disk was copied, how, and what had changed: for its facts. */
struct precopy_told {
	enum copy_pass pass;
	const char *why; /* no COPY_CHANGED; or NULL */
	uint64_t changed;
	int64_t begun_ms;
};
void precopy_tell(json_t *facts, const struct precopy_told *told);
/* Why it is not known what changed on the step's disk, as its point was made;
 * borrowed or NULL. */
const char *precopy_why_lost(const struct work *w);

/* Forgets all points at the source. */
int precopy_forget(struct work *w, struct err *err);

/* The number for what is copied behind the last point: above all so far. */
uint32_t precopy_next_number(const struct work *w);

#endif
