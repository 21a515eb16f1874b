/* SPDX-License-Identifier: Apache-2.0 */
/* commit: fold the converted overlays into the disks.  From its beginning on
 * the replicas are gone; the overlays are its redo log until cleanup, so that
 * it is repeated, from the start, until it went through.  That it did is said
 * beside them: the disks alone do not tell. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/units.h"
#include "io/process.h"
#include "stages/inputs.h"
#include "stages/overlay.h"
#include "stages/place.h"
#include "stages/replica.h"

/* The second half of the conversion. */
static int64_t
deadline_ms(const struct run_policy *policy)
{
	return policy->deadlines.conversion_ms;
}

static bool
applies(const struct view *v)
{
	return v->shape->converted;
}

static void
inputs(const struct view *v, const struct inv_disk *disk, json_t *ret)
{
	(void)disk;
	inputs_converted(v, ret);
}

int
replica_seal(const struct view *v, const struct inv_disk *disk, struct err *err)
{
	CLEANUP(mem_freep) char *path = place_ledger(v, disk);
	struct ledger_identity id;
	struct ledger *l = NULL;
	int rc;

	if (!fs_exists(path))
		return 0;
	/* opened as what it says it is bound to: sealing asks no more */
	if (ledger_open_readonly(path, &l, err) < 0)
		return -1;
	id = *ledger_identity(l);
	ledger_close(l);
	if (ledger_open(path, &id, &l, err) < 0)
		return -1;
	rc = ledger_seal(l, err);
	ledger_close(l);
	return rc;
}

/* The first attempt may have filled the disk that the next one needs. */
static int
advise(const struct volume *base, struct err *err)
{
	CLEANUP(mem_freep) char *text = mem_strdup(err->text);
	char room[UNITS_TEXT_SIZE] = "nothing";
	struct statvfs fs;

	if (err->sys != ENOSPC && err->sys != EDQUOT && err->sys != EIO)
		return -1;
	if (statvfs(base->path, &fs) == 0)
		units_format_bytes((uint64_t)fs.f_bavail * fs.f_frsize, room);
	return err_set(
	    err, ERR_RETRY,
	    "%s; %s is free where '%s' is: %s, the commit is "
	    "repeated from its beginning and loses nothing",
	    text, room, base->path,
	    err->sys == EIO ? "see to that storage" : "make room there");
}

/* -d leaves the overlay as it is; without it qemu-img would empty what the
 * next attempt needs. */
static int
fold(struct work *w, const struct volume *overlay, const struct volume *base,
     struct err *err)
{
	int64_t until =
	    place_deadline(w, w->view->plan->policy->deadlines.conversion_ms);
	const char *argv[] = {"qemu-img", "commit", "-q",	   "-d", "-f",
			      "qcow2",	  "--",	    overlay->path, NULL};

	if (!fs_exists(overlay->path))
		return err_set(err, ERR_FAIL,
			       "overlay '%s' is gone, and with it the "
			       "conversion: the disk below is no longer what "
			       "was copied; copy it anew",
			       overlay->path);
	if (process_run(argv, (int)(until - clock_mono_ms()), NULL, err) < 0)
		return advise(base, err);
	return fs_sync_file(base->path, err);
}

static int
commit_all(struct work *w, const struct place *p, const struct overlays *o,
	   struct err *err)
{
	/* at the target, too: a state directory may be put back to what it was
	 * before, and would know nothing of this */
	if (place_is_as_copied(w, p, "cutover", err) < 0 ||
	    p->ops->seal(&p->vm, err) < 0)
		return -1;
	for (size_t i = 0; i < o->n; i++)
		if (replica_seal(w->view, p->vm.shape->disks[i].source, err) <
		    0)
			return -1;
	for (size_t i = 0; i < o->n; i++) {
		work_progress(w, i, o->n);
		work_doing(w, "folding the overlay into '%s'",
			   p->volumes[i].path);
		if (fold(w, &o->v[i], &p->volumes[i], err) < 0)
			return -1;
	}
	return 0;
}

/* Which overlays they are that are folded in. */
static json_t *
basis_of(const struct work *w)
{
	const json_t *converted = work_fact(w, "convert");

	return json_pack("{s:i, s:O?, s:O?}", "redone", w->redone, "attempt",
			 json_object_get(converted, "attempt"), "overlays",
			 json_object_get(converted, "overlays"));
}

/* Where that cannot be said, the step is done all the same. */
static void
note_done(struct work *w, const struct overlays *o, const json_t *facts)
{
	json_t *basis = basis_of(w);
	struct err err;

	if (overlays_note_done(o->dir, stage_commit.name, basis, facts, &err) <
	    0)
		work_log(w, LOG_LEVEL_WARNING, "%s", err.text);
	json_decref(basis);
}

static int
run(struct work *w, json_t **ret_facts, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};
	CLEANUP(overlays_done) struct overlays o = {0};
	const json_t *converted = work_fact(w, "convert");
	json_t *disks;

	if (!converted)
		return err_set(err, ERR_BUG,
			       "there is nothing to commit: no "
			       "conversion is recorded");
	if (place_open(w->view, &p, err) < 0 || p.ops->guard(&p.vm, err) < 0 ||
	    overlays_from_json(json_object_get(converted, "overlays"),
			       p.vm.shape, &o, err) < 0 ||
	    commit_all(w, &p, &o, err) < 0)
		return -1;
	disks = json_array();
	for (size_t i = 0; i < o.n; i++)
		json_array_append_new(disks, json_string(p.volumes[i].path));
	*ret_facts =
	    json_pack("{s:O?, s:o}", "attempt",
		      json_object_get(converted, "attempt"), "disks", disks);
	note_done(w, &o, *ret_facts);
	return 0;
}

static int
probe(struct work *w, bool *ret_done, json_t **ret_facts, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};
	CLEANUP(overlays_done) struct overlays o = {0};
	const json_t *converted = work_fact(w, "convert");
	json_t *basis;
	int rc;

	if (!converted)
		return 0; /* run() says what is wrong */
	if (place_open(w->view, &p, err) < 0 || p.ops->guard(&p.vm, err) < 0 ||
	    overlays_from_json(json_object_get(converted, "overlays"),
			       p.vm.shape, &o, err) < 0)
		return -1;
	basis = basis_of(w);
	rc =
	    overlays_find_done(o.dir, stage_commit.name, basis, ret_facts, err);
	json_decref(basis);
	*ret_done = *ret_facts != NULL;
	return rc;
}

const struct stage stage_commit = {
    .name = "commit",
    .scope = STAGE_VM,
    .trusts_replicas = true,
    .writes_disks = true,
    .watches_epoch = true,
    .applies = applies,
    .inputs = inputs,
    .probe = probe,
    .run = run,
    .deadline_ms = deadline_ms,
};
