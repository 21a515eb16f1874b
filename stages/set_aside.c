/* SPDX-License-Identifier: Apache-2.0 */
/* set-aside: what was committed, and is not handed over, is taken out of the
 * way before all is copied anew.  Somebody accepted that; nothing is lost. */
#include "base/mem.h"
#include "stages/place.h"

static bool
applies(const struct view *v)
{
	return v->aside > 0;
}

static void
inputs(const struct view *v, const struct inv_disk *disk, json_t *ret)
{
	(void)disk;
	json_object_set_new(ret, "set aside", json_integer(v->aside));
}

static int
run(struct work *w, json_t **ret_facts, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};
	CLEANUP(mem_freep) char *names = stages_aside_text(w->view);
	bool ours = false;

	if (place_open(w->view, &p, err) < 0 || p.ops->guard(&p.vm, err) < 0 ||
	    p.ops->owned(&p.vm, &ours, err) < 0)
		return -1;
	/* where nothing is claimed nothing is ours: cutover makes it anew */
	if (ours && p.ops->set_aside(&p.vm, err) < 0)
		return err_wrap(err, "setting the disks aside");
	*ret_facts = json_pack("{s:s}", "say",
			       ours ? names : "nothing of ours was there");
	return 0;
}

/* No probe: each file is looked at before it is moved, and one that was moved
 * stays. */
const struct stage stage_set_aside = {
    .name = "set-aside",
    .scope = STAGE_VM,
    .writes_disks = true,
    .applies = applies,
    .inputs = inputs,
    .run = run,
};
