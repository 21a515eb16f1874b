/* SPDX-License-Identifier: Apache-2.0 */
/* Whose a fake target is: the claim is the very one that type `local` has, in a
 * directory of its own. */
#include "stages/fake_claim.h"

#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "stages/copy/copy_file.h"
#include "stages/fake_world.h"
#include "stages/place.h"

/* The claim whose contents are forgotten. */
#define FORGOTTEN "forgotten"

static bool
is_forgotten(const struct work *w)
{
	const json_t *taken = work_recorded(w, WORK_TAKEOVER);

	return !taken || json_equal(taken, work_recorded(w, FORGOTTEN));
}

static int
forget(const struct view *v, const char *what, struct err *err)
{
	CLEANUP(mem_freep) char *path = fake_path(v, what);

	return fs_remove(path, err);
}

/* As long as this is not on record the next attempt does it again: no byte was
 * copied meanwhile. */
static int
forget_contents(struct work *w, struct err *err)
{
	const struct view *v = w->view;

	if (is_forgotten(w))
		return 0;
	for (size_t i = 0; i < v->vm->ndisks; i++) {
		CLEANUP(mem_freep)
		char *disk = fake_path(v, v->vm->disks[i].id);

		if (copy_file_remove(disk, err) < 0)
			return -1;
	}
	if (forget(v, "vm", err) < 0 || forget(v, "overlay", err) < 0 ||
	    fake_change(v, "disks", "replicas", err) < 0)
		return -1;
	return work_record(
	    w, FORGOTTEN,
	    json_incref((json_t *)(uintptr_t)work_recorded(w, WORK_TAKEOVER)),
	    err);
}

int
fake_claim(struct work *w, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};

	if (!place_has_claim(w->view->plan))
		return 0;
	if (place_open_claim(w->view, &p, err) < 0 ||
	    place_claim(w, &p, err) < 0)
		return err_wrap(err, "claiming the target");
	return forget_contents(w, err);
}

static int
is_ours(const struct view *v, bool *ret, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};

	*ret = true;
	if (!place_has_claim(v->plan))
		return 0;
	if (place_open_claim(v, &p, err) < 0)
		return -1;
	return p.ops->owned(&p.vm, ret, err);
}

bool
fake_is_claimed(const struct work *w)
{
	struct err ignored;
	bool ours;

	return is_ours(w->view, &ours, &ignored) == 0 && ours &&
	       is_forgotten(w);
}

char *
fake_whose(const struct view *v)
{
	CLEANUP(place_done) struct place p = {0};
	json_t *claim = NULL;
	struct err ignored;
	char *who = NULL;

	if (place_has_claim(v->plan) &&
	    place_open_claim(v, &p, &ignored) == 0 &&
	    p.ops->claimant(&p.vm, &claim, &ignored) == 0 && claim)
		who = mem_strdup(
		    json_string_value(json_object_get(claim, "who")));
	json_decref(claim);
	return who;
}

int
fake_look_at_claim(const struct view *v, struct err *err)
{
	bool ours;

	return is_ours(v, &ours, err);
}

int
fake_note_power(const struct view *v, const char *was, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};

	if (!place_has_claim(v->plan))
		return 0;
	if (place_open_claim(v, &p, err) < 0)
		return -1;
	return was ? p.ops->note_power(&p.vm, was, err)
		   : place_forget_power(&p, err);
}

int
fake_release(const struct view *v, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};

	if (!place_has_claim(v->plan))
		return 0;
	if (place_open_claim(v, &p, err) < 0)
		return -1;
	return p.ops->remove(&p.vm, err);
}
