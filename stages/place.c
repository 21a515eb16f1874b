/* SPDX-License-Identifier: Apache-2.0 */
/* The target as one vm's stages see it. */
#include "stages/place.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/nbd.h"
#include "stages/copy/copy.h"
#include "stages/fake.h"
#include "stages/source/source.h"

/* What ends a helper that is late, and says so, before the step's own deadline
 * ends the step. */
#define MARGIN_MS (PROCESS_GRACE_MS + 3000)
#define UNLIMITED_MS ((int64_t)24 * 60 * 60 * 1000)

static void
fill(const struct view *v, const struct target_ops *ops, struct place *ret)
{
	*ret = (struct place){
	    .ops = ops,
	    .vm = {.endpoint = v->plan->target,
		   .plan = v->plan,
		   .pvm = v->pvm,
		   .vm = v->vm,
		   .shape = v->shape,
		   .state_uuid = v->state_uuid,
		   .state_dir = v->state_dir,
		   .takeover = v->takeover,
		   .aside = v->aside},
	};
}

int
place_name(const struct view *v, struct place *ret, struct err *err)
{
	const struct target_ops *ops = target_find(v->plan->target->type);

	if (!ops)
		return err_set(err, ERR_USER,
			       "this build has no target of type '%s'",
			       v->plan->target->type);
	fill(v, ops, ret);
	return 0;
}

int
place_open(const struct view *v, struct place *ret, struct err *err)
{
	struct target_at *at = NULL;

	if (place_name(v, ret, err) < 0)
		return -1;
	if (ret->ops->open && ret->ops->open(&ret->vm, &at, err) < 0)
		return -1;
	ret->vm.at = at;
	ret->volumes = mem_new((v->shape->ndisks + 1) * sizeof(*ret->volumes));
	for (size_t i = 0; i < v->shape->ndisks; i++)
		ret->ops->volume(&ret->vm, i, &ret->volumes[i]);
	return 0;
}

/* What stands in for a fake target: a place at `local` without disks. */
struct place_stand_in {
	struct endpoint endpoint;
	struct shape shape;
	char *path;
};

bool
place_has_claim(const struct plan *plan)
{
	const struct endpoint *t = plan->target;

	return target_find(t->type) || (fake_is(t->type) && t->path);
}

int
place_open_claim(const struct view *v, struct place *ret, struct err *err)
{
	struct place_stand_in *s;

	if (!fake_is(v->plan->target->type))
		return place_open(v, ret, err);
	s = mem_new(sizeof(*s));
	s->path = mem_printf("%s/claims/%s", v->plan->target->path,
			     v->plan->target_namespace);
	s->endpoint = *v->plan->target;
	s->endpoint.path = s->path;
	s->endpoint.type = target_local.type;
	s->shape = *v->shape;
	s->shape.ndisks = 0;
	fill(v, &target_local, ret);
	ret->vm.endpoint = &s->endpoint;
	ret->vm.shape = &s->shape;
	ret->stand_in = s;
	return 0;
}

void
place_done(struct place *p)
{
	if (p->stand_in)
		free(p->stand_in->path);
	mem_freep(&p->stand_in);
	for (size_t i = 0; p->volumes && i < p->vm.shape->ndisks; i++)
		volume_done(&p->volumes[i]);
	free(p->volumes);
	p->volumes = NULL;
	if (p->vm.at)
		p->ops->close(p->vm.at);
	p->vm.at = NULL;
}

int
place_hold(struct work *w, const struct place *p, struct err *err)
{
	int fd = -1;

	if (p->ops->hold(&p->vm, w->held_fd, &fd, err) < 0)
		return -1;
	/* the run keeps it from now on, and so do our helpers */
	if (fd >= 0) {
		w->held_fd = fd;
		process_inherit(fd);
		work_hold(w, fd);
	}
	return 0;
}

/* A source that was stopped for the other state ran, though it is off now; one
 * that was off then is looked at. */
static int
record_power(struct work *w, const json_t *claim, struct err *err)
{
	const char *was =
	    json_string_value(json_object_get(claim, TARGET_CLAIM_POWER));

	return was && strcmp(was, "on") == 0
		   ? work_record(w, "power", json_string(was), err)
		   : 0;
}

/* Whose it was is on record before it is ours: a run that is cut short between
 * the two goes on without being asked again. */
static int
record_takeover(struct work *w, const struct place *p, struct err *err)
{
	json_t *claim = NULL;
	int rc = 0;

	if (!p->vm.takeover)
		return 0;
	if (p->ops->claimant(&p->vm, &claim, err) < 0)
		return -1;
	if (claim) {
		work_log(w, LOG_LEVEL_WARNING, "taking over '%s' from %s",
			 json_string_value(json_object_get(claim, "where")),
			 json_string_value(json_object_get(claim, "who")));
		rc = record_power(w, json_object_get(claim, "claim"), err);
		if (rc == 0)
			rc = work_record(
			    w, WORK_TAKEOVER,
			    json_incref(json_object_get(claim, "id")), err);
	}
	json_decref(claim);
	return rc;
}

int
place_claim(struct work *w, const struct place *p, struct err *err)
{
	bool ours = false;

	if (record_takeover(w, p, err) < 0 || p->ops->claim(&p->vm, err) < 0 ||
	    place_hold(w, p, err) < 0 || p->ops->owned(&p->vm, &ours, err) < 0)
		return -1;
	return ours ? 0
		    : err_set(err, ERR_RETRY, "the claim of '%s' did not last",
			      p->vm.shape->name);
}

int
place_forget_power(const struct place *p, struct err *err)
{
	bool ours = false;

	if (p->ops->owned(&p->vm, &ours, err) < 0)
		return -1;
	return ours ? p->ops->note_power(&p->vm, NULL, err) : 0;
}

int
place_holds_ours(const struct work *w, const struct place *p, bool *ret,
		 struct err *err)
{
	if (p->ops->owned(&p->vm, ret, err) < 0)
		return -1;
	*ret |= work_fact(w, "cutover") != NULL;
	return 0;
}

/* Before it is marked: who is refused finds all as it was. */
static int
must_be_stoppable(const struct place *p, struct err *err)
{
	if (!p->ops->may_stop || p->ops->may_stop(&p->vm, err) == 0)
		return 0;
	return err_wrap(err, "asking whether the target runs");
}

int
place_source_is_itself(const struct view *v, struct err *err)
{
	const struct source_ops *ops = source_find(v->plan->source->type);

	if (!ops || !ops->is_itself ||
	    ops->is_itself(v->plan->source, v->vm, err) == 0)
		return 0;
	return err_wrap(err,
			"looking whether the source is what "
			"'%s/inventory.json' tells of",
			v->state_dir);
}

int
place_may_undo(const struct view *v, const struct place *p, struct err *err)
{
	enum handover mark = HANDOVER_NONE;

	if (p->ops->marked(&p->vm, &mark, err) < 0)
		return -1;
	if (mark == HANDOVER_NONE || mark == HANDOVER_ROLLED_BACK)
		return must_be_stoppable(p, err);
	if (v->may_discard)
		return place_source_is_itself(v, err) < 0
			   ? -1
			   : must_be_stoppable(p, err);
	return err_set(err, ERR_FAIL,
		       "the target '%s' was handed over and may have run: what "
		       "it wrote since is lost when the source is given back; "
		       "'palletjack rollback --discard-target-writes' says "
		       "that this is meant",
		       v->shape->name);
}

int
place_must_be_off(const struct place *p, struct err *err)
{
	enum power_state state;

	if (p->ops->power_state(&p->vm, &state, err) < 0)
		return err_wrap(err, "asking whether the target runs");
	if (state == POWER_STATE_OFF)
		return 0;
	return err_set(err, ERR_RETRY, "the target '%s' is not off",
		       p->vm.shape->name);
}

int
place_is_committed(const struct place *p, bool *ret, struct err *err)
{
	*ret = false;
	for (size_t i = 0; !*ret && i < p->vm.shape->ndisks; i++) {
		CLEANUP(mem_freep) char *id = NULL;

		if (p->ops->volume_is(&p->vm, i, &id, ret, err) < 0)
			return -1;
	}
	return 0;
}

int
place_is_as_copied(const struct work *w, const struct place *p,
		   const char *copied_by, struct err *err)
{
	for (size_t i = 0; i < p->vm.shape->ndisks; i++) {
		CLEANUP(mem_freep)
		char *step = mem_printf("%s/%s", copied_by,
					p->vm.shape->disks[i].source->id);
		CLEANUP(mem_freep) char *id = NULL;
		const char *copied = json_string_value(
		    json_object_get(work_fact(w, step), "volumeId"));
		bool sealed;

		if (p->ops->volume_is(&p->vm, i, &id, &sealed, err) < 0)
			return -1;
		if (copied && (!id || strcmp(id, copied) != 0))
			return err_set(err, ERR_FAIL,
				       "'%s' is not the volume that was copied "
				       "to: somebody made it anew, maybe with "
				       "a copy of this state directory; 'run "
				       "--redo cutover' copies anew",
				       p->volumes[i].path);
	}
	return 0;
}

char *
place_ledger(const struct view *v, const struct inv_disk *disk)
{
	return place_ledger_at(v->state_dir, disk->id);
}

char *
place_ledger_at(const char *state_dir, const char *disk)
{
	return mem_printf("%s/ledger/%s.ledger", state_dir, disk);
}

int64_t
place_deadline(const struct work *w, int64_t limit_ms)
{
	int64_t now = clock_mono_ms(), left = w->mono_deadline_ms - now;
	int64_t own = now + (limit_ms ? limit_ms : UNLIMITED_MS);
	int64_t step = left > 2 * MARGIN_MS ? left - MARGIN_MS : left / 2;

	return w->mono_deadline_ms && now + step < own ? now + step : own;
}

int
place_serve(struct work *w, const struct volume *volume, bool writable,
	    struct nbd_server *server, struct copy_target *ret, struct err *err)
{
	struct nbd_serve_opts opts = {
	    .filename = volume->path,
	    .format = volume->format,
	    .writable = writable,
	    .direct = !writable,
	    .on_start = work_helper_started,
	    .arg = w,
	};

	*ret = (struct copy_target){.file = volume->path};
	if (strcmp(volume->format, "raw") == 0)
		return 0;
	if (nbd_serve_image(&opts, server, err) < 0)
		return err_wrap(err, "opening the volume");
	*ret = (struct copy_target){.uri = server->uri};
	return 0;
}
