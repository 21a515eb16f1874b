/* SPDX-License-Identifier: Apache-2.0 */
/* pre-hook and post-hook: the operator's scripts.  They cannot be probed:
 * at least once, with a key that is the same each time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "lua/host.h"
#include "stages/inputs.h"
#include "stages/stage.h"

static bool
has_pre_hook(const struct view *v)
{
	return plan_vm_hook(v->pvm, HOOK_PRE) != NULL;
}

static bool
has_post_hook(const struct view *v)
{
	return plan_vm_hook(v->pvm, HOOK_POST) != NULL;
}

/* Which script it is, not what it says: mending a hook that has run is no
 * reason to run it again. */
static void
hook_inputs(const struct vm_hook *hook, json_t *ret)
{
	inputs_set(ret, "hook", hook->ref.name);
}

static void
pre_hook_inputs(const struct view *v, const struct inv_disk *disk, json_t *ret)
{
	(void)disk;
	hook_inputs(plan_vm_hook(v->pvm, HOOK_PRE), ret);
}

static void
post_hook_inputs(const struct view *v, const struct inv_disk *disk, json_t *ret)
{
	(void)disk;
	hook_inputs(plan_vm_hook(v->pvm, HOOK_POST), ret);
}

static void
log_from_script(void *arg, enum log_level level, const char *text)
{
	struct work *w = arg;

	work_log(w, level, "%s", text);
	work_doing(w, "%s", text);
}

static int
run_script(struct work *w, const struct vm_hook *hook, json_t **ret_facts,
	   struct err *err)
{
	const struct view *v = w->view;
	CLEANUP(mem_freep)
	char *key = mem_printf("%s/%s/%s/%s", v->state_uuid, v->plan->o.name,
			       v->pvm->key, w->step);
	json_t *vm = inv_vm_to_json(v->vm), *notes = NULL;
	struct lua_hook_call call = {
	    .script = hook->script,
	    .step = w->step,
	    .key = key,
	    .plan = v->plan->o.spec,
	    .vm = vm,
	    .notes = json_object_get(work_fact(w, "pre-hook"), "notes"),
	    .deadline_ms = v->plan->policy->deadlines.hook_ms,
	    .log = log_from_script,
	    .arg = w,
	};
	int rc = lua_hook(&call, &notes, err);

	json_decref(vm);
	if (rc == 0)
		*ret_facts = json_pack("{s:o}", "notes", notes);
	return rc;
}

static int
pre_hook_run(struct work *w, json_t **ret_facts, struct err *err)
{
	return run_script(w, plan_vm_hook(w->view->pvm, HOOK_PRE), ret_facts,
			  err);
}

static int
post_hook_run(struct work *w, json_t **ret_facts, struct err *err)
{
	return run_script(w, plan_vm_hook(w->view->pvm, HOOK_POST), ret_facts,
			  err);
}

/* The script has its own deadline, which gives the better message; this one
 * is for a script that hangs where Lua cannot be interrupted. */
static int64_t
hook_deadline(const struct run_policy *policy)
{
	return policy->deadlines.hook_ms ? policy->deadlines.hook_ms + 5000 : 0;
}

/* No probe: only the script could tell, by its key. */
const struct stage stage_pre_hook = {
    .name = "pre-hook",
    .scope = STAGE_VM,
    .applies = has_pre_hook,
    .inputs = pre_hook_inputs,
    .run = pre_hook_run,
    .deadline_ms = hook_deadline,
};

const struct stage stage_post_hook = {
    .name = "post-hook",
    .scope = STAGE_VM,
    .applies = has_post_hook,
    .inputs = post_hook_inputs,
    .run = post_hook_run,
    .deadline_ms = hook_deadline,
};
