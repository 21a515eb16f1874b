/* SPDX-License-Identifier: Apache-2.0 */
/* gc: remove what we made and no longer need; the disks only when asked. */
#include "stages/gc.h"

#include "base/fs.h"
#include "base/mem.h"
#include "stages/precopy.h"
#include "stages/overlay.h"
#include "stages/v2v.h"

/* Between the conversion and the commit they are the only converted content,
 * unless the vm was given back to its source. */
static bool
overlays_are_needed(const struct work *w, enum handover mark)
{
	return mark != HANDOVER_ROLLED_BACK && work_fact(w, "convert") &&
	       !work_fact(w, "commit");
}

static int
gc_run(struct work *w, json_t **ret_facts, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};
	CLEANUP(mem_freep) char *scratch = NULL;
	enum handover mark = HANDOVER_NONE;
	bool ours = false, removed = false;

	if (convert_remove_tmpdir(w, &removed, err) < 0 ||
	    place_open(w->view, &p, err) < 0 ||
	    p.ops->owned(&p.vm, &ours, err) < 0 ||
	    p.ops->marked(&p.vm, &mark, err) < 0)
		return -1;
	scratch = p.ops->scratch(&p.vm);
	if (ours && overlays_clear(scratch, overlays_are_needed(w, mark),
				   &removed, err) < 0)
		return -1;
	*ret_facts = json_pack("{s:s, s:b}", "say",
			       ours ? "what is left is needed"
				    : "nothing of ours is at the target",
			       "removed", removed);
	return 0;
}

int
gc_may_remove(const struct place *p, struct err *err)
{
	enum handover mark = HANDOVER_NONE;
	bool ignored;

	if (p->ops->owned(&p->vm, &ignored, err) < 0 ||
	    p->ops->marked(&p->vm, &mark, err) < 0)
		return -1;
	if (mark == HANDOVER_NONE || mark == HANDOVER_ROLLED_BACK)
		return 0;
	return err_set(err, ERR_FAIL,
		       "the target '%s' was handed over and is the vm now: its "
		       "disks are removed only after 'palletjack rollback'",
		       p->vm.shape->name);
}

static int
remove_ledgers(const struct view *v, bool *removed, struct err *err)
{
	for (size_t i = 0; i < v->vm->ndisks; i++) {
		CLEANUP(mem_freep)
		char *path = place_ledger(v, &v->vm->disks[i]);

		*removed |= fs_exists(path);
		if (fs_remove(path, err) < 0)
			return -1;
	}
	return 0;
}

static int
gc_disks_run(struct work *w, json_t **ret_facts, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};
	CLEANUP(mem_freep) char *scratch = NULL;
	bool ours = false, removed = false;

	if (convert_remove_tmpdir(w, &removed, err) < 0 ||
	    place_open(w->view, &p, err) < 0 || gc_may_remove(&p, err) < 0 ||
	    place_must_be_off(&p, err) < 0 ||
	    p.ops->owned(&p.vm, &ours, err) < 0)
		return -1;
	/* behind this nobody knows of them any more */
	if (w->view->has_points && precopy_forget(w, err) < 0)
		return -1;
	scratch = p.ops->scratch(&p.vm);
	if (ours && overlays_clear(scratch, false, NULL, err) < 0)
		return -1;
	work_doing(w, "removing the disks at the target");
	if (p.ops->remove(&p.vm, err) < 0 ||
	    remove_ledgers(w->view, &removed, err) < 0)
		return -1;
	*ret_facts =
	    json_pack("{s:s, s:b}", "say", "nothing of ours is left", "removed",
		      removed || ours || w->view->has_points);
	return 0;
}

/* No probes: removing what is not there any more is looking. */
const struct stage stage_gc = {
    .name = "gc",
    .scope = STAGE_VM,
    .run = gc_run,
};

const struct stage stage_gc_disks = {
    .name = "gc/disks",
    .scope = STAGE_VM,
    .run = gc_disks_run,
};
