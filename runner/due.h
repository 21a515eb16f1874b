/* SPDX-License-Identifier: Apache-2.0 */
/* What a vm's run may do now: whether it is cancelled.  Told from the
 * manifest's migrations and the requests that people have left. */
#ifndef RUNNER_DUE_H
#define RUNNER_DUE_H

#include <stdbool.h>

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
};

/* `vm` is NULL when its source was not asked. */
void due_of(const struct plan *plan, const struct plan_vm *pvm,
	    const struct inv_vm *vm, const struct history *h,
	    const struct standing *standing, struct due *ret);

#endif
