/* SPDX-License-Identifier: Apache-2.0 */
/* The table of stages, and the questions every stage asks first. */
#include "stages/stage.h"

#include <string.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "lua/host.h"
#include "stages/fake.h"
#include "stages/gc.h"
#include "stages/place.h"
#include "stages/source/source.h"
#include "stages/v2v.h"

/* The pipeline (design: section 1); fake.c has the same names. */
static const struct stage *const pipeline[] = {
    &stage_validate,
    &stage_pre_hook,
    &stage_set_aside,
    &stage_precopy,
    &stage_precopy_copy,
    &stage_precopy_release,
    &stage_precopy_verify,
    &stage_precopy_convert,
    &stage_precopy_boot_test,
    &stage_cutover,
    &stage_copy,
    &stage_verify,
    &stage_convert,
    &stage_boot_test,
    &stage_commit,
    &stage_create_vm,
    &stage_start,
    &stage_post_hook,
    &stage_cleanup,
};

#define NSTAGES (sizeof(pipeline) / sizeof(pipeline[0]))

const struct stage *const *
stages_all(size_t *ret_n)
{
	*ret_n = NSTAGES;
	return pipeline;
}

const struct stage *const *
stages_of(const struct view *v, size_t *ret_n)
{
	if (fake_is(v->plan->source->type))
		return fake_stages(ret_n);
	return stages_all(ret_n);
}

int
stages_look_at_mark(const struct view *v, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};

	if (fake_is(v->plan->target->type))
		return fake_look_at_mark(v, err);
	if (place_open(v, &p, err) < 0)
		return -1;
	return p.ops->guard(&p.vm, err);
}

int
stages_may_undo(const struct view *v, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};
	bool ours = false;

	if (fake_is(v->plan->target->type))
		return fake_may_undo(v, err);
	if (place_open(v, &p, err) < 0 || p.ops->owned(&p.vm, &ours, err) < 0)
		return -1;
	return ours ? place_may_undo(v, &p, err) : 0;
}

int
stages_may_remove(const struct view *v, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};

	if (fake_is(v->plan->target->type))
		return fake_may_remove(v, err);
	if (place_open(v, &p, err) < 0)
		return -1;
	return gc_may_remove(&p, err);
}

char *
stages_aside_text(const struct view *v)
{
	CLEANUP(place_done) struct place p = {0};
	CLEANUP(buf_done) struct buf b = {0};
	struct err ignored;

	if (fake_is(v->plan->target->type))
		return fake_aside_text(v);
	if (place_name(v, &p, &ignored) < 0)
		return mem_strdup("");
	for (size_t i = 0; i < v->shape->ndisks; i++) {
		CLEANUP(mem_freep) char *name = p.ops->name(&p.vm, i);
		CLEANUP(mem_freep) char *aside = p.ops->aside(&p.vm, i);

		buf_printf(&b, "%s%s as %s", i ? ", " : "", name, aside);
	}
	return buf_steal(&b);
}

const struct stage *
stages_gc(const struct view *v, bool disks)
{
	if (fake_is(v->plan->target->type))
		return fake_gc(disks);
	return disks ? &stage_gc_disks : &stage_gc;
}

int
stages_look_at_epoch(struct work *w, struct err *err)
{
	const struct endpoint *source = w->view->plan->source;
	const struct source_ops *ops = source_find(source->type);
	const char *left = json_string_value(
	    json_object_get(work_fact(w, "cutover"), CUTOVER_LEFT));
	CLEANUP(mem_freep) char *now = NULL;

	if (!ops || !ops->epoch)
		return 0;
	if (ops->epoch(source, w->view->vm, &now, err) < 0)
		return err_wrap(err, "looking whether the source changed");
	if (strcmp(now, left ? left : w->view->vm->epoch) == 0)
		return 0;
	return err_set(err, ERR_AGAIN,
		       "the source changed since this run began; run again, "
		       "and what changed is copied again");
}

bool
stages_can_be_claimed(const struct plan *plan)
{
	return place_has_claim(plan);
}

int
stages_claimant(const struct view *v, json_t **ret, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};

	if (!stages_can_be_claimed(v->plan))
		return 0;
	/* what is handed over is nobody's to take */
	if (fake_is(v->plan->target->type) && !fake_is_unmarked(v))
		return 0;
	if (place_open_claim(v, &p, err) < 0)
		return -1;
	return p.ops->claimant(&p.vm, ret, err);
}

int
stages_committed(const struct view *v, bool *ret, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};
	enum handover mark = HANDOVER_NONE;
	bool ours = false;

	*ret = false;
	if (!stages_can_be_claimed(v->plan))
		return 0;
	if (fake_is(v->plan->target->type)) {
		*ret = fake_is_committed(v);
		return 0;
	}
	if (place_open(v, &p, err) < 0 || p.ops->owned(&p.vm, &ours, err) < 0 ||
	    p.ops->marked(&p.vm, &mark, err) < 0)
		return -1;
	return ours && mark == HANDOVER_NONE ? place_is_committed(&p, ret, err)
					     : 0;
}

/* The lock first, then the look at whose it is. */
static int
hold_target(struct work *w, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};

	if (!stages_can_be_claimed(w->view->plan))
		return 0;
	if (place_open_claim(w->view, &p, err) < 0)
		return -1;
	return place_hold(w, &p, err);
}

/* What is wrong with names and maps is a finding of validation's. */
static bool
is_for_validation(const struct work *w, const struct err *err)
{
	return err->class == ERR_USER && w->stage == &stage_validate;
}

/* Stopping a source that runs is the first thing that costs; one that is off
 * already is copied to mend what is there. */
static bool
rests_on_replicas(const struct work *w)
{
	const struct view *v = w->view;

	if (!w->stage->trusts_replicas)
		return false;
	return strcmp(w->stage->name, stage_cutover.name) != 0 ||
	       (v->round > 0 && v->vm->power != POWER_STATE_OFF);
}

static int
look_at_doubts(const struct work *w, struct err *err)
{
	const struct view *v = w->view;
	bool proved = v->plan->policy->proof != PROOF_NONE;

	for (size_t i = 0; i < v->vm->ndisks; i++) {
		const char *disk = v->vm->disks[i].id;
		const json_t *doubt = json_object_get(w->doubts, disk);
		const char *by =
		    json_string_value(json_object_get(doubt, "by"));

		if (!doubt)
			continue;
		return err_set(err, ERR_MISMATCH,
			       "%s found that '%s' is not what was copied, and "
			       "it was not read back whole since: %s",
			       by ? by : "somebody", disk,
			       proved ? "'palletjack verify' does that, and "
					"--repair mends it"
				      : "without a proof it has to be copied "
					"anew");
	}
	return 0;
}

int
stages_before(struct work *w, struct err *err)
{
	if (hold_target(w, err) < 0 && !is_for_validation(w, err))
		return -1;
	if ((w->stage->writes_disks || w->stage->minds_mark) &&
	    stages_look_at_mark(w->view, err) < 0)
		return -1;
	if (w->stage->watches_epoch && stages_look_at_epoch(w, err) < 0)
		return -1;
	return rests_on_replicas(w) ? look_at_doubts(w, err) : 0;
}

int
stages_inventory(const struct endpoint *ep, struct inventory *ret,
		 struct err *err)
{
	const struct source_ops *ops = source_find(ep->type);

	if (fake_is(ep->type))
		return fake_inventory(ep, ret, err);
	if (!ops)
		return err_set(err, ERR_USER,
			       "a source of type '%s' is not in this build yet",
			       ep->type);
	return ops->inventory(ep, ret, err);
}

static void
check_target_type(const struct endpoint *t, struct findings *findings)
{
	const struct target_ops *ops = t ? target_find(t->type) : NULL;
	struct err why;

	if (!t || fake_is(t->type))
		return;
	if (!ops && strcmp(t->type, "libvirt") == 0)
		findings_add(findings, FINDING_ERROR,
			     "DestinationProviderNotValid",
			     "this build has no libvirt; build it with "
			     "libvirt-dev installed");
	else if (!ops)
		findings_add(findings, FINDING_ERROR,
			     "DestinationProviderNotValid",
			     "a target of type '%s' is not in this build yet; "
			     "local and libvirt are",
			     t->type);
	else if (ops->accepts && !ops->accepts(t, &why))
		findings_add(findings, FINDING_ERROR,
			     "DestinationProviderNotValid", "%s", why.text);
}

void
stages_check_plan(const struct plan *plan, struct findings *findings)
{
	const struct endpoint *s = plan->source, *t = plan->target;

	if (s && !source_find(s->type) && !strcmp(s->type, "libvirt"))
		findings_add(findings, FINDING_ERROR, "SourceProviderNotValid",
			     "this build has no libvirt; build it with "
			     "libvirt-dev installed");
	else if (s && !source_find(s->type) && !fake_is(s->type))
		findings_add(findings, FINDING_ERROR, "SourceProviderNotValid",
			     "a source of type '%s' is not in this build yet; "
			     "ova, disk and "
			     "libvirt are",
			     s->type);
	if (s && plan_is_warm(plan) && !fake_is(s->type) &&
	    source_find(s->type) && !source_find(s->type)->warm)
		findings_add(findings, FINDING_ERROR, "WarmMigrationNotReady",
			     "a source of type '%s' cannot be copied while its "
			     "vms run; `type: cold` stops them first",
			     s->type);
	check_target_type(t, findings);
	if (s && t && fake_is(s->type) != fake_is(t->type))
		findings_add(findings, FINDING_ERROR,
			     "DestinationProviderNotValid",
			     "a fake source wants a fake target, and the other "
			     "way round");
}

/* What is wrong with a script, or "": many vms share one. */
static const char *
script_error(struct stages_checked *checked, const struct script *script)
{
	CLEANUP(mem_freep)
	char *name = mem_printf("%s/%s", script->o.namespace, script->o.name);
	const char *text = strmap_get(&checked->scripts, name);
	struct err err = {0};

	if (text)
		return text;
	if (!checked->arena)
		checked->arena = arena_new();
	(void)lua_check(script, &err);
	text = arena_strdup(checked->arena, err.text);
	strmap_add(&checked->scripts, arena_strdup(checked->arena, name),
		   (void *)text);
	return text;
}

void
stages_checked_done(struct stages_checked *checked)
{
	strmap_done(&checked->scripts);
	arena_free(checked->arena);
	checked->arena = NULL;
}

/* A post-hook's typing error would else show when the target was handed over
 * already. */
static void
check_script(const struct script *script, const struct plan_vm *pvm,
	     struct stages_checked *checked, struct findings *findings)
{
	const char *text;
	struct finding *f;

	if (!script || !script->lua)
		return;
	text = script_error(checked, script);
	if (!*text)
		return;
	f = findings_add(findings, FINDING_CRITICAL, "ScriptNotValid", "%s",
			 text);
	f->vm = pvm->key;
	f->pos = script->o.pos;
}

static void
check_scripts(const struct view *v, struct stages_checked *checked,
	      struct findings *findings)
{
	const struct run_policy *policy = v->plan->policy;

	for (size_t i = 0; i < v->pvm->nhooks; i++)
		check_script(v->pvm->hooks[i].script, v->pvm, checked,
			     findings);
	if (policy->boot_test != BOOT_TEST_OFF)
		check_script(policy->boot_probe.script, v->pvm, checked,
			     findings);
}

/* What the target has to say, who needs room there beside us included. */
static int
check_target(const struct view *v, struct findings *findings, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};
	CLEANUP(mem_freep) struct target_vm *ahead = NULL;

	if (place_open(v, &p, err) < 0) {
		if (err->class != ERR_USER)
			return -1;
		findings_add(findings, FINDING_ERROR, "TargetNotValid", "%s",
			     err->text)
		    ->vm = v->pvm->key;
		return 0;
	}
	ahead = mem_new((v->nahead + 1) * sizeof(*ahead));
	for (size_t i = 0; i < v->nahead; i++) {
		ahead[i] = p.vm;
		ahead[i].pvm = v->ahead[i]->pvm;
		ahead[i].vm = v->ahead[i]->vm;
		ahead[i].shape = v->ahead[i]->shape;
		ahead[i].aside = v->ahead[i]->aside;
	}
	p.vm.ahead = ahead;
	p.vm.nahead = v->nahead;
	return p.ops->check(&p.vm, findings, err);
}

static void
tell_reading(void *arg, uint64_t done, uint64_t total)
{
	if (arg)
		work_progress(arg, done, total);
}

int
stages_check(const struct view *v, bool read_data,
	     struct stages_checked *checked, struct findings *findings,
	     struct err *err)
{
	const struct source_ops *source = source_find(v->plan->source->type);
	struct source_reader reader = {tell_reading, checked->work};

	check_scripts(v, checked, findings);
	if (fake_is(v->plan->source->type))
		return 0;
	if (read_data && source->validate &&
	    source->validate(v->plan->source, v->vm, &reader, findings, err) <
		0)
		return -1;
	if (check_target(v, findings, err) < 0)
		return -1;
	convert_check(v, findings);
	return 0;
}
