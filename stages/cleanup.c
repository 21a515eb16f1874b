/* SPDX-License-Identifier: Apache-2.0 */
/* cleanup: drop our overlays and what helpers left. */
#include "base/mem.h"
#include "stages/overlay.h"
#include "stages/place.h"
#include "stages/precopy.h"

static int
run(struct work *w, json_t **ret_facts, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};
	CLEANUP(mem_freep) char *scratch = NULL;

	(void)ret_facts;
	/* until commit is recorded they are the only converted content */
	if (w->view->shape->converted && !work_fact(w, "commit"))
		return err_set(err, ERR_BUG,
			       "the overlays are not committed: "
			       "they are not removed");
	if (place_open(w->view, &p, err) < 0)
		return -1;
	scratch = p.ops->scratch(&p.vm);
	if (w->view->has_points && precopy_forget(w, err) < 0)
		return -1;
	return overlays_clear(scratch, false, NULL, err);
}

/* No probe: removing what is not there any more is looking. */
const struct stage stage_cleanup = {
    .name = "cleanup",
    .scope = STAGE_VM,
    .run = run,
};
