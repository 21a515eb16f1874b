/* SPDX-License-Identifier: Apache-2.0 */
/* What a vm's run may do now: whether it is cancelled, and from when on its
 * source may be stopped.  Told from the manifest's migrations, the run policy's
 * gate and window, and the requests that people have left.
 *
 * Time decides when a step is ready, never whether it is done. */
#ifndef RUNNER_DUE_H
#define RUNNER_DUE_H

#include <stdbool.h>
#include <stdint.h>

#include "history.h"
#include "manifests/inventory.h"
#include "manifests/model.h"
#include "request.h"

/* The requests that hold: those in force, with what waits to be taken in. */
struct standing {
	json_t *requests[NREQUESTS]; /* NULL: none */
	bool waits[NREQUESTS];	     /* no run has seen it yet */
};

/* `vm_dir` NULL: only those in force. */
int standing_read(const struct history *h, const char *vm_dir,
		  struct standing *ret, struct err *err);
void standing_done(struct standing *s);

struct due {
	char cancelled[300]; /* "by Migration t/m"; "": it is not */
	int64_t cutover_ms;  /* wall, or one of DUE_*; 0: at once */
	char cutover[300];   /* what says so: "Migration t/m" */
	/* Of cutover.window, the one that it is to begin in; to_ms 0: none is
	 * asked for.  What is told here holds until it ends. */
	struct window_span window;
};

#define DUE_NEVER INT64_MAX	       /* not in this run */
#define DUE_ON_REQUEST (INT64_MAX - 1) /* when somebody opens the gate */

/* Was the cutover begun, so that no time holds it back any more?  One that
 * failed before the source was off, which now runs (`vm`, or NULL when nobody
 * was asked), begins anew. */
bool due_is_begun(const struct history *h, const struct inv_vm *vm);
/* Is the cutover still to come? */
bool due_waits(const struct due *due);
/* Has its window ended meanwhile? */
bool due_is_stale(const struct due *due);
/* Its window as {opens, closes}, or NULL; new reference. */
json_t *due_window_json(const struct due *due);
/* "cutover at 2026-12-24 22:00:00 UTC (Migration t/m)"; caller frees. */
char *due_text(const struct due *due);

/* `vm` is NULL when its source was not asked. */
void due_of(const struct plan *plan, const struct plan_vm *pvm,
	    const struct inv_vm *vm, const struct history *h,
	    const struct standing *standing, struct due *ret);

#endif
