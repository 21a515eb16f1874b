/* SPDX-License-Identifier: Apache-2.0 */
/* A plan's vms: their keys, their hooks, and that each is there once. */
#include <string.h>

#include "base/mem.h"
#include "manifests/load.h"

/* What no two entries may share. */
struct seen {
	struct strmap ids, target_names;
};

static struct finding *
say_vm(struct reader *r, enum finding_category category, const char *type,
       const struct plan *p, const struct plan_vm *vm, struct pos pos,
       const char *below, const char *text)
{
	CLEANUP(mem_freep)
	char *field = mem_printf("spec.vms[%zu]%s", vm->index, below);
	struct finding *f =
	    say(r, category, type, &p->o, pos, field, "%s", text);

	f->vm = arena_strdup(r->findings->arena, vm->key);
	return f;
}

static void
say_twice(struct reader *r, const struct plan *p, const struct plan_vm *vm,
	  const struct plan_vm *old, const char *what, const char *value,
	  const char *remedy)
{
	CLEANUP(mem_freep)
	char *text = mem_printf("has the %s '%s', like spec.vms[%zu] at line "
				"%u; %s",
				what, value, old->index, old->pos.line, remedy);

	say_vm(r, FINDING_CRITICAL, "DuplicateVM", p, vm, vm->pos, "", text);
}

/* Ids and names are compared apart, keys across both: a key names the state
 * directory, and two vms must never share one. */
static void
check_unique(struct reader *r, struct plan *p, struct plan_vm *vm,
	     struct seen *seen)
{
	const char *id = vm->ref.id;
	const struct plan_vm *old;

	old = id ? strmap_add(&seen->ids, id, vm) : NULL;
	if (old) {
		say_twice(r, p, vm, old, "id", id, "remove one of them");
		return;
	}
	old = strmap_add(p->by_key, vm->key, vm);
	if (old)
		say_twice(r, p, vm, old, "name", vm->key,
			  "names tell vms apart in our state: remove one, or "
			  "name them by id only");
	old = vm->target_name
		  ? strmap_add(&seen->target_names, vm->target_name, vm)
		  : NULL;
	if (old)
		say_twice(r, p, vm, old, "targetName", vm->target_name,
			  "give them different ones");
}

static void
settle_power(const struct plan *p, struct plan_vm *vm)
{
	const json_t *entry =
	    json_array_get(json_object_get(p->o.spec, "vms"), vm->index);

	if (!json_object_get(entry, "targetPowerState"))
		vm->target_power = p->target_power;
}

/* --- hooks ------------------------------------------------------------- */

static void
hook_missing(struct reader *r, const struct plan *p, const struct plan_vm *vm,
	     const struct vm_hook *hook, const char *namespace, size_t i)
{
	bool is_script = !hook->ref.kind && load_find(r, "Script", namespace,
						      hook->ref.name) != NULL;
	CLEANUP(mem_freep) char *below = mem_printf(".hooks[%zu].hook", i);
	CLEANUP(mem_freep)
	char *text = mem_printf("names %s '%s/%s', which is not in the "
				"manifest%s",
				hook->ref.kind ? hook->ref.kind : "Hook",
				namespace, hook->ref.name,
				is_script ? "; there is a Script of that name: "
					    "add kind: Script"
					  : "");

	say_vm(r, FINDING_CRITICAL, "HookNotValid", p, vm, hook->ref.pos, below,
	       text);
}

static void
resolve_hook(struct reader *r, const struct plan *p, const struct plan_vm *vm,
	     struct vm_hook *hook, size_t i)
{
	const char *kind = hook->ref.kind ? hook->ref.kind : "Hook";
	const char *namespace =
	    hook->ref.namespace ? hook->ref.namespace : p->o.namespace;
	struct loaded *l;

	if (!hook->ref.pos.file)
		return; /* missing: the table said so */
	if (!hook->ref.name ||
	    (strcmp(kind, "Hook") != 0 && strcmp(kind, "Script") != 0)) {
		say_vm(r, FINDING_CRITICAL, "HookNotValid", p, vm,
		       hook->ref.pos, ".hooks",
		       "must name a Hook, or a Script with kind: Script");
		return;
	}
	l = load_find(r, kind, namespace, hook->ref.name);
	if (!l)
		hook_missing(r, p, vm, hook, namespace, i);
	else if (!strcmp(kind, "Script"))
		hook->script = (const struct script *)l->o;
	else
		hook->hook = (const struct hook *)l->o;
}

static void
resolve_hooks(struct reader *r, const struct plan *p, struct plan_vm *vm)
{
	size_t n[2] = {0};

	for (size_t i = 0; i < vm->nhooks; i++) {
		struct vm_hook *hook = &vm->hooks[i];

		resolve_hook(r, p, vm, hook, i);
		if (n[hook->step == HOOK_POST]++ == 1)
			say_vm(r, FINDING_WARN, "HookIgnored", p, vm,
			       hook->ref.pos, ".hooks",
			       "has more than one hook of a step; only the "
			       "first of each is run");
	}
}

static void
drop_index(void *index)
{
	strmap_done(index);
}

static void
resolve_vm(struct reader *r, struct plan *p, size_t i, struct seen *seen)
{
	struct plan_vm *vm = &p->vms[i];
	size_t said;

	vm->index = i;
	vm->ref.pos = vm->pos;
	vm->key = vm->ref.name ? vm->ref.name : vm->ref.id;
	settle_power(p, vm);
	if (!vm->key) {
		vm->key = arena_printf(r->arena, "vms[%zu]", i);
		say_vm(r, FINDING_CRITICAL, "VMRefNotValid", p, vm, vm->pos, "",
		       "names no vm: it needs an id or a name");
	} else {
		check_unique(r, p, vm, seen);
	}
	said = r->findings->n;
	resolve_hooks(r, p, vm);
	if (p->archived)
		r->findings->n = said;
}

void
resolve_vms(struct reader *r, struct plan *p)
{
	struct seen seen = {0};

	p->by_key = arena_alloc(r->arena, sizeof(*p->by_key));
	arena_defer(r->arena, drop_index, p->by_key);
	for (size_t i = 0; i < p->nvms; i++)
		resolve_vm(r, p, i, &seen);
	if (p->nvms == 0 && !p->archived)
		say(r, FINDING_WARN, "VMRefNotValid", &p->o, p->o.pos,
		    "spec.vms", "is empty: there is nothing to do");
	strmap_done(&seen.ids);
	strmap_done(&seen.target_names);
}
