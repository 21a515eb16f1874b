/* SPDX-License-Identifier: Apache-2.0 */
/* The promise never to ignore in silence: what a plan asks for and we do not
 * do is an Error, unless its run policy waives it. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "manifests/load.h"

/* --- when a value matters ----------------------------------------------- */

static bool
is_from(const struct plan *p, const char *type)
{
	return p->source && !strcmp(p->source->type, type);
}

/* Files: nothing runs there, nothing is shared. */
static bool
is_from_files(const struct plan *p)
{
	return !p->source || is_from(p, "ova") || is_from(p, "disk") ||
	       is_from(p, "fake") || is_from(p, "local");
}

static bool
is_set(const struct node *value)
{
	return value->type != NODE_BOOL || value->truth;
}

bool
matters_at_cluster(const struct plan *p, const struct node *value)
{
	return p->target && !strcmp(p->target->type, "openshift") &&
	       is_set(value);
}

bool
matters_from_vsphere(const struct plan *p, const struct node *value)
{
	return is_from(p, "vsphere") && is_set(value);
}

bool
matters_from_ovirt(const struct plan *p, const struct node *value)
{
	return is_from(p, "ovirt") && is_set(value);
}

bool
matters_from_ec2(const struct plan *p, const struct node *value)
{
	return is_from(p, "ec2") && is_set(value);
}

bool
matters_static_ips(const struct plan *p, const struct node *value)
{
	return (is_from(p, "vsphere") || is_from(p, "hyperv")) && is_set(value);
}

/* Both values ask for something where disks can be shared; libvirt's inventory
 * keeps back those who share one. */
bool
matters_shared_disks(const struct plan *p, const struct node *value)
{
	(void)value;
	return !is_from_files(p) && !is_from(p, "libvirt");
}

bool
matters_when_true(const struct plan *p, const struct node *value)
{
	(void)p;
	return is_set(value);
}

static bool
can_be_warm(const struct plan *p)
{
	return is_from(p, "fake") || is_from(p, "libvirt");
}

bool
matters_warm(const struct plan *p, const struct node *value)
{
	return is_set(value) && !can_be_warm(p);
}

bool
matters_quiesce(const struct plan *p, const struct node *value)
{
	return plan_is_warm(p) && strcmp(value->text, "require") == 0;
}

bool
matters_type(const struct plan *p, const struct node *value)
{
	if (value->text && strcmp(value->text, "warm") == 0)
		return !can_be_warm(p);
	return value->text && value->text[0] &&
	       strcmp(value->text, "cold") != 0;
}

/* --- findings ----------------------------------------------------------- */

/* "spec.vms[3].luks" to "spec.vms[].luks", as `waive` has it. */
static char *
waive_path(const char *path)
{
	struct buf text = {0};

	for (; *path; path++) {
		buf_add(&text, path, 1);
		if (*path == '[')
			path += strspn(path + 1, "0123456789");
	}
	return buf_steal(&text);
}

static void
not_honoured(struct reader *r, const struct plan *p, const struct object *o,
	     const struct pending *pending)
{
	const struct field *f = pending->field;
	const struct node *value = pending->value;
	CLEANUP(mem_freep) char *waive = waive_path(pending->path);
	CLEANUP(mem_freep) char *accept = NULL, *shown = NULL;
	bool explain = f->why && (f->final || !f->matters);
	struct finding *said;
	size_t i;

	if (!f->final)
		accept = mem_printf(" Remove it, or accept running without "
				    "it: add %s to spec.waive of the "
				    "RunPolicy.",
				    waive);
	if (value->text)
		shown = mem_printf("(%s) ", value->text);
	said = say(r, FINDING_ERROR, "NotHonoured", o, value->pos,
		   pending->path, "%sis not honoured yet%s%s.%s",
		   shown ? shown : "", explain ? ": " : "",
		   explain ? f->why : "", accept ? accept : "");
	if (sscanf(pending->path, "spec.vms[%zu]", &i) == 1 && o == &p->o)
		said->vm = arena_strdup(r->findings->arena, p->vms[i].key);
}

static void
check_pendings(struct reader *r, const struct plan *p, struct loaded *l)
{
	for (size_t i = 0; i < l->pendings.list.n; i++) {
		struct pending *pending = &l->pendings.list.v[i];
		field_matters_fn *matters = pending->field->matters;

		if (pending->said || (matters && !matters(p, pending->value)))
			continue;
		if (!pending->field->final &&
		    run_policy_waives(p->policy, pending->path))
			continue;
		not_honoured(r, p, l->o, pending);
		pending->said = true;
	}
}

static void
check_object(struct reader *r, const struct plan *p, const struct object *o)
{
	struct loaded *l =
	    o ? load_find(r, o->kind, o->namespace, o->name) : NULL;

	if (l)
		check_pendings(r, p, l);
}

/* Waived hooks are taken out, so that nothing downstream meets them. */
static void
drop_foreign_hooks(struct plan_vm *vm)
{
	size_t n = 0;

	for (size_t i = 0; i < vm->nhooks; i++)
		if (!vm->hooks[i].hook)
			vm->hooks[n++] = vm->hooks[i];
	vm->nhooks = n;
}

/* One finding per Hook, however many vms it is for. */
static void
check_hooks(struct reader *r, const struct plan *p, struct plan_vm *vm,
	    bool waived, struct strmap *said)
{
	for (size_t i = 0; i < vm->nhooks; i++) {
		const struct hook *hook = vm->hooks[i].hook;
		char *key;

		if (!hook || waived)
			continue;
		key = arena_printf(r->scratch, "%s/%s", hook->o.namespace,
				   hook->o.name);
		if (strmap_add(said, key, vm))
			continue;
		say(r, FINDING_ERROR, "NotHonoured", &p->o,
		    vm->hooks[i].ref.pos, "spec.vms[].hooks",
		    "uses Hook '%s', and a Hook is not carried out yet. Use a "
		    "Script (kind: Script), or accept running without it: add "
		    "spec.vms[].hooks to spec.waive of the RunPolicy.",
		    key);
	}
	if (waived)
		drop_foreign_hooks(vm);
}

void
honour_plan(struct reader *r, struct loaded *l)
{
	struct plan *p = (struct plan *)l->o;
	bool waived = run_policy_waives(p->policy, "spec.vms[].hooks");
	struct strmap said = {0};

	check_pendings(r, p, l);
	check_object(r, p, p->network_map ? &p->network_map->o : NULL);
	check_object(r, p, p->storage_map ? &p->storage_map->o : NULL);
	check_object(r, p, p->policy->o.pos.file ? &p->policy->o : NULL);
	for (size_t i = 0; i < l->migrations.n; i++)
		check_pendings(r, p, l->migrations.v[i]);
	for (size_t i = 0; i < p->nvms; i++)
		check_hooks(r, p, &p->vms[i], waived, &said);
	strmap_done(&said);
}
