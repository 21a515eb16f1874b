/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a check, shared by check.c and check_*.c; nobody else
 * includes it. */
#ifndef MANIFESTS_CHECKER_H
#define MANIFESTS_CHECKER_H

#include "manifests/check.h"
#include "manifests/shape.h"
#include "manifests/strmap.h"

/* To suggest what was meant costs a pass over everything. */
#define MOST_SUGGESTIONS 20

struct checker {
	const struct plan *plan;
	const struct inventory *inv;
	struct findings *findings;
	struct arena *arena; /* for shapes */
	const char *object;  /* "Plan demo/web" */
	struct shape_names *names;
	/* who came first, by id at the source and by MAC */
	struct strmap vms, macs;
	/* what other plans of the manifest move, and where to */
	struct strmap rival_ids, rival_names;
	int nsuggestions;
};

/* The entry's vm at the source, or NULL. */
const struct inv_vm *checker_vm(const struct checker *c,
				const struct plan_vm *pvm);
/* The finding is about this entry of the plan, or a field of it. */
void checker_about(const struct checker *c, const struct plan_vm *pvm,
		   const char *field, struct finding *f);
/* The other plans, once; then whom of them this vm collides with. */
void checker_note_rivals(struct checker *c, const struct manifest *m);
void checker_rivals(struct checker *c, const struct plan_vm *pvm,
		    const struct inv_vm *vm);
/* What migrations ask for vms the plan does not have. */
void checker_asked(struct checker *c);

#endif
