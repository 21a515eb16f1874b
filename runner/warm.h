/* SPDX-License-Identifier: Apache-2.0 */
/* What is next for a vm that is copied while it runs: another generation, its
 * cutover, or nothing until some time.  Pure but for the text it makes. */
#ifndef RUNNER_WARM_H
#define RUNNER_WARM_H

#include <stdbool.h>
#include <stdint.h>

#include "due.h"
#include "history.h"
#include "manifests/model.h"
#include "stages/stage.h"

/* How far its generations are, by its journal. */
struct warm_past {
	unsigned round; /* begun last; 0: none */
	bool whole;	/* and it is applied and let go, and read back */
	int64_t begun_ms, ended_ms; /* wall; of the last one that is whole */
};

void warm_past_of(const struct history *h, struct warm_past *ret);

enum warm_move {
	WARM_COPY,     /* a generation is due, or not finished */
	WARM_CUT_OVER, /* its time has come, and the last delta is fresh */
	WARM_REST,     /* until `until_ms` */
};

struct warm_next {
	enum warm_move move;
	int64_t until_ms; /* WARM_REST: wall, or one of DUE_* */
	int64_t copy_ms;  /* when the next generation is due; DUE_NEVER: none */
	char why[500];	  /* what its budget or its window says; "" */
};

/* A run, begun at `run_ms`, takes one generation that is due by its interval,
 * or finishes one, unless it stays for more until `stay_ms`; what it has begun
 * itself is not old when its cutover comes. */
struct warm_run {
	int64_t run_ms, stay_ms, now_ms; /* wall */
};
void warm_next_of(const struct run_policy *policy, const struct warm_past *past,
		  const struct due *due, const struct warm_run *run,
		  struct warm_next *ret);

/* The generation that a vm is at now, for its view: 0 when it is not copied
 * warm, or was found off before the first. */
unsigned warm_round(const struct plan *plan, const struct plan_vm *pvm,
		    const struct inv_vm *vm, const struct history *h,
		    const struct standing *standing, int64_t now_ms);

/* Why the source is not stopped, though it could be: what came of booting the
 * generation that the view is at.  NULL: nothing speaks against it; caller
 * frees. */
char *warm_rehearsal_text(const struct history *h, const struct view *v);

/* "generation 3 is done; the next at 14:00:00 UTC; cutover at ..."; caller
 * frees. */
char *warm_text(const struct warm_past *past, const struct warm_next *next,
		const struct due *due);

#endif
