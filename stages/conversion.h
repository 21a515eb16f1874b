/* SPDX-License-Identifier: Apache-2.0 */
/* A conversion upon overlays of its own: for good, behind the cutover
 * (convert.c), or of a generation, to see what it would come to
 * (rehearsal.c). */
#ifndef STAGES_CONVERSION_H
#define STAGES_CONVERSION_H

#include "stages/stage.h"

struct conversion {
	const char *kind;      /* of its overlays (overlay.h) */
	const char *copied_by; /* the stage whose steps copied what is below */
};

/* What run() and probe() of a stage are: nothing but overlays is written, and
 * of what failed none are left.  The probe believes what conversion_done() said
 * of these facts, and until then a conversion is worth nothing. */
int conversion_run(struct work *w, const struct conversion *c,
		   json_t **ret_facts, struct err *err);
void conversion_done(struct work *w, const struct conversion *c,
		     const json_t *facts);
int conversion_probe(struct work *w, const struct conversion *c, bool *ret_done,
		     json_t **ret_facts, struct err *err);

#endif
