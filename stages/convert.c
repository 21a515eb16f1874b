/* SPDX-License-Identifier: Apache-2.0 */
/* convert: make the guest bootable at the target, on overlays.
 *
 * The replica is only read.  An attempt that ends early leaves overlays that
 * nobody reads again: the next one begins on fresh ones, because converting
 * what is half converted, or converted, is not the same as converting once.
 * One that came to its end, checked and synced, says so beside its overlays:
 * should nobody have heard of it, it is not done again. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/units.h"
#include "stages/conversion.h"
#include "stages/copy/ledger.h"
#include "stages/inputs.h"
#include "stages/overlay.h"
#include "stages/place.h"
#include "stages/v2v.h"

#define SCRATCH_MIN_BYTES ((uint64_t)1024 * 1024 * 1024)
#define TMPDIR_PREFIX "/tmp/palletjack-v2v."

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

static int64_t
deadline_ms(const struct run_policy *policy)
{
	return policy->deadlines.conversion_ms;
}

/* Once commit began, a replica is no longer what was copied: converting it
 * would be converting our own result.  The target knows that better than a
 * state directory, which may be an older copy of what it was. */
static int
refuse_sealed(const struct work *w, const struct conversion *c,
	      const struct place *p, struct err *err)
{
	bool committed;

	if (place_is_committed(p, &committed, err) < 0)
		return -1;
	if (committed)
		return err_set(err, ERR_FAIL,
			       "what is at the target has been committed, at "
			       "least in part: it cannot be converted again; "
			       "'palletjack plan' says how to set it aside "
			       "and copy anew");
	if (place_is_as_copied(w, p, c->copied_by, err) < 0)
		return -1;
	for (size_t i = 0; i < w->view->shape->ndisks; i++) {
		const struct inv_disk *d = w->view->shape->disks[i].source;
		CLEANUP(mem_freep) char *path = place_ledger(w->view, d);
		struct ledger *l = NULL;
		bool sealed;

		if (!fs_exists(path))
			continue; /* a policy without proof */
		if (ledger_open_readonly(path, &l, err) < 0)
			return -1;
		sealed = ledger_sealed(l);
		ledger_close(l);
		if (sealed)
			return err_set(err, ERR_FAIL,
				       "disk '%s' has been committed, at least "
				       "in part: it cannot be converted again, "
				       "only copied anew",
				       d->id);
	}
	return 0;
}

static int
check_room(const char *scratch, struct err *err)
{
	char have[UNITS_TEXT_SIZE];
	uint64_t left;

	if (fs_free_bytes(scratch, &left, err) < 0)
		return -1;
	if (left >= SCRATCH_MIN_BYTES)
		return 0;
	return err_set(err, ERR_RETRY,
		       "'%s' has %s free, conversion wants 1 GiB for its "
		       "overlays",
		       scratch, units_format_bytes(left, have));
}

static char *
tmpdir_of(const struct work *w, const char *which)
{
	return mem_printf(TMPDIR_PREFIX "%.8s.%s", w->view->state_uuid, which);
}

/* Of whatever attempt of this state: which step recorded it does not matter,
 * and that may be one that is never begun again.  "PREFIX12345678." and then
 * what was made up. */
static int
sweep_tmpdirs(const struct work *w, bool *removed, struct err *err)
{
	CLEANUP(mem_freep) char *like = tmpdir_of(w, "");
	CLEANUP(mem_freep) char *dir = fs_dirname(like);
	const char *name = fs_basename(like);
	DIR *d = opendir(dir);
	const struct dirent *e;
	int rc = 0;

	while (d && rc == 0 && (e = readdir(d))) {
		CLEANUP(mem_freep) char *path = fs_path(dir, e->d_name);
		struct stat st;

		if (strncmp(e->d_name, name, strlen(name)) == 0 &&
		    lstat(path, &st) == 0 && S_ISDIR(st.st_mode) &&
		    st.st_uid == geteuid()) {
			rc = fs_remove_tree(path, err);
			*removed = true;
		}
	}
	if (d)
		closedir(d);
	return rc;
}

/* Those of earlier versions bear no state's name. */
int
convert_remove_tmpdir(const struct work *w, bool *removed, struct err *err)
{
	const char *old = json_string_value(work_recorded(w, "tmpdir"));
	struct stat st;
	bool ignored;

	if (!removed)
		removed = &ignored;
	if (!old || strncmp(old, TMPDIR_PREFIX, strlen(TMPDIR_PREFIX)) != 0 ||
	    strchr(old + strlen(TMPDIR_PREFIX), '/') || lstat(old, &st) < 0 ||
	    st.st_uid != geteuid())
		return sweep_tmpdirs(w, removed, err);
	*removed = true;
	return fs_remove_tree(old, err) < 0 ? -1
					    : sweep_tmpdirs(w, removed, err);
}

/* Its name is recorded before it is made: nothing is left that nobody knows.
 * NULL on failure; caller frees. */
static char *
make_tmpdir(struct work *w, struct err *err)
{
	CLEANUP(mem_freep) char *dir = NULL;
	char which[17];
	uint64_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random)) {
		err_sys(err, "cannot make up a name for a directory");
		return NULL;
	}
	snprintf(which, sizeof(which), "%016llx", (unsigned long long)random);
	dir = tmpdir_of(w, which);
	if (work_record(w, "tmpdir", json_string(dir), err) < 0)
		return NULL;
	if (mkdir(dir, 0700) < 0) {
		err_sys(err, "cannot make directory '%s'", dir);
		return NULL;
	}
	return steal(&dir);
}

/* Proof before the record: each overlay whole, and on disk.  libguestfs wrote
 * them through a cache that promises nothing. */
static int
settle(const struct overlays *o, struct err *err)
{
	for (size_t i = 0; i < o->n; i++)
		if (overlay_check(o->v[i].path, err) < 0 ||
		    fs_sync_file(o->v[i].path, err) < 0)
			return -1;
	return fs_sync_dir(o->dir, err);
}

/* What the overlays lie on: they are worth nothing above another copy. */
static json_t *
basis_of(const struct work *w, const struct conversion *c)
{
	json_t *copies = json_array();

	for (size_t i = 0; i < w->view->shape->ndisks; i++) {
		CLEANUP(mem_freep)
		char *step = mem_printf("%s/%s", c->copied_by,
					w->view->shape->disks[i].source->id);
		const json_t *fact = work_fact(w, step);

		json_array_append_new(
		    copies,
		    json_pack("{s:O?, s:O?, s:O?}", "volumeId",
			      json_object_get(fact, "volumeId"), "generation",
			      json_object_get(fact, "generation"), "root",
			      json_object_get(fact, "root")));
	}
	return json_pack("{s:i, s:o}", "redone", w->redone, "copies", copies);
}

/* Where that cannot be said, the step is done all the same. */
void
conversion_done(struct work *w, const struct conversion *c, const json_t *facts)
{
	CLEANUP(overlays_done) struct overlays o = {0};
	json_t *basis = basis_of(w, c);
	struct err err;

	if (overlays_from_json(json_object_get(facts, "overlays"),
			       w->view->shape, &o, &err) < 0 ||
	    overlays_note_done(o.dir, w->stage->name, basis, facts, &err) < 0)
		work_log(w, LOG_LEVEL_WARNING, "%s", err.text);
	json_decref(basis);
}

static int
convert_on(struct work *w, const struct overlays *o, const char *tmpdir,
	   json_t **ret_facts, struct err *err)
{
	CLEANUP(mem_freep)
	char *name = mem_printf("%s.%d.log", w->stage->name, w->attempt);
	CLEANUP(mem_freep) char *log = work_log_path(w, name);
	int64_t begun_ms = clock_mono_ms();
	json_t *messages = NULL;
	struct accel_info accel;
	struct v2v_run run = {.work = w,
			      .overlays = o->v,
			      .dir = o->dir,
			      .tmpdir = tmpdir,
			      .log = log};

	work_doing(w, "seeing whether guests run in hardware here");
	accel_probe(&accel);
	run.accel = accel.accel;
	run.mono_deadline_ms =
	    place_deadline(w, w->view->plan->policy->deadlines.conversion_ms);
	if (v2v_convert(&run, &messages, err) < 0)
		return err_wrap(err, "conversion attempt %d (log '%s')",
				w->attempt, log);
	if (settle(o, err) < 0) {
		json_decref(messages);
		return -1;
	}
	*ret_facts =
	    json_pack("{s:i, s:o, s:o, s:s, s:I}", "attempt", w->attempt,
		      "overlays", overlays_to_json(o), "messages", messages,
		      "accel", accel_name(accel.accel), STAGES_TOOK,
		      (json_int_t)(clock_mono_ms() - begun_ms));
	return 0;
}

/* The protocol's order is its point: who may still write is gone, its
 * overlays are gone, the attempt is recorded, and only then anything begins.
 * What failed is thrown away at once. */
static int
convert(struct work *w, const struct conversion *c, struct place *p,
	const char *scratch, json_t **ret_facts, struct err *err)
{
	CLEANUP(overlays_done) struct overlays o = {0};
	CLEANUP(mem_freep) char *tmpdir = NULL;
	struct err ignored;
	int rc;

	if (v2v_end_earlier(w, err) < 0 ||
	    overlays_sweep_all(scratch, err) < 0 ||
	    convert_remove_tmpdir(w, NULL, err) < 0 ||
	    check_room(scratch, err) < 0 ||
	    work_record(w, "converting", json_integer(w->attempt), err) < 0)
		return -1;
	if (overlays_create(scratch, c->kind, w->attempt, p->vm.shape,
			    p->volumes, &o, err) < 0)
		return -1;
	tmpdir = make_tmpdir(w, err);
	if (!tmpdir)
		return -1;
	rc = convert_on(w, &o, tmpdir, ret_facts, err);
	(void)fs_remove_tree(tmpdir, &ignored);
	if (rc < 0)
		(void)overlays_sweep(scratch, c->kind, &ignored);
	return rc;
}

int
conversion_run(struct work *w, const struct conversion *c, json_t **ret_facts,
	       struct err *err)
{
	CLEANUP(place_done) struct place p = {0};
	CLEANUP(mem_freep) char *scratch = NULL;

	if (place_open(w->view, &p, err) < 0 || p.ops->guard(&p.vm, err) < 0 ||
	    refuse_sealed(w, c, &p, err) < 0)
		return -1;
	scratch = p.ops->scratch(&p.vm);
	if (fs_mkdirs(scratch, 0700, err) < 0)
		return -1;
	return convert(w, c, &p, scratch, ret_facts, err);
}

/* The last attempt alone: each begins by removing what was there before it. */
int
conversion_probe(struct work *w, const struct conversion *c, bool *ret_done,
		 json_t **ret_facts, struct err *err)
{
	json_int_t last = json_integer_value(work_recorded(w, "converting"));
	CLEANUP(place_done) struct place p = {0};
	CLEANUP(mem_freep) char *scratch = NULL, *dir = NULL;
	json_t *basis;
	int rc;

	if (place_open(w->view, &p, err) < 0 || p.ops->guard(&p.vm, err) < 0 ||
	    refuse_sealed(w, c, &p, err) < 0)
		return -1;
	scratch = p.ops->scratch(&p.vm);
	dir = mem_printf("%s/%s%" JSON_INTEGER_FORMAT, scratch, c->kind, last);
	basis = basis_of(w, c);
	rc = overlays_find_done(dir, w->stage->name, basis, ret_facts, err);
	json_decref(basis);
	*ret_done = *ret_facts != NULL;
	if (rc < 0 || !*ret_done)
		return rc;
	return convert_remove_tmpdir(w, NULL, err);
}

/* The stage. */

static const struct conversion for_good = {OVERLAYS_CONVERTED, "cutover"};

static int
run(struct work *w, json_t **ret_facts, struct err *err)
{
	if (conversion_run(w, &for_good, ret_facts, err) < 0)
		return -1;
	conversion_done(w, &for_good, *ret_facts);
	return 0;
}

static int
probe(struct work *w, bool *ret_done, json_t **ret_facts, struct err *err)
{
	return conversion_probe(w, &for_good, ret_done, ret_facts, err);
}

const struct stage stage_convert = {
    .name = "convert",
    .scope = STAGE_VM,
    .trusts_replicas = true,
    .pool = POOL_CONVERSIONS,
    .writes_disks = true,
    .watches_epoch = true,
    .applies = applies,
    .inputs = inputs,
    .probe = probe,
    .run = run,
    .deadline_ms = deadline_ms,
};
