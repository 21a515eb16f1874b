/* SPDX-License-Identifier: Apache-2.0 */
/* References to objects, across documents and namespaces. */
#include <string.h>

#include "base/mem.h"
#include "manifests/load.h"
#include "manifests/text.h"

#define MOST_SUGGESTIONS 100

/* Kinds a reference may mean, in the order they are looked for. */
static const char *const endpoint_kinds[] = {"Provider", "Endpoint", NULL};
static const char *const network_kinds[] = {"NetworkMap", NULL};
static const char *const storage_kinds[] = {"StorageMap", NULL};

static const char *
namespace_of(const struct object *o, const struct object_ref *ref)
{
	return ref->namespace ? ref->namespace : o->namespace;
}

/* Something of these kinds with nearly that name, for "did you mean". */
static const struct object *
nearest_object(struct reader *r, const char *const *these, const char *name)
{
	const struct object *nearest = NULL;
	size_t best = 0, distance;

	if (r->nsuggestions++ >= MOST_SUGGESTIONS)
		return NULL;
	for (size_t i = 0; i < r->objects.n; i++) {
		const struct object *o = r->objects.v[i]->o;
		bool fits = !strcmp(o->kind, these[0]) ||
			    (these[1] && !strcmp(o->kind, these[1]));

		if (!fits || !text_is_near(name, o->name, &distance))
			continue;
		if (!nearest || distance < best) {
			nearest = o;
			best = distance;
		}
	}
	return nearest;
}

static void
not_found(struct reader *r, const struct object *o,
	  const struct object_ref *ref, const char *const *these,
	  const char *condition, const char *field)
{
	const struct object *nearest = nearest_object(r, these, ref->name);
	CLEANUP(mem_freep) char *hint = NULL;

	if (nearest)
		hint = mem_printf("; did you mean %s '%s/%s'?", nearest->kind,
				  nearest->namespace, nearest->name);
	say(r, FINDING_CRITICAL, condition, o, ref->pos, field,
	    "names %s%s%s '%s/%s', which is not in the manifest%s",
	    ref->kind ? ref->kind : these[0],
	    !ref->kind && these[1] ? " or " : "",
	    !ref->kind && these[1] ? these[1] : "", namespace_of(o, ref),
	    ref->name, hint ? hint : "");
}

/* NULL: it is not there, and that was said. */
static void *
resolve(struct reader *r, const struct object *o, const struct object_ref *ref,
	const char *const *these, const char *condition, const char *field)
{
	bool kind_fits = !ref->kind;

	if (!ref->pos.file)
		return NULL; /* missing: the table said so */
	if (!ref->name) {
		say(r, FINDING_CRITICAL, condition, o, ref->pos, field,
		    "names nothing");
		return NULL;
	}
	for (size_t i = 0; these[i]; i++) {
		struct loaded *l;

		if (ref->kind && strcmp(ref->kind, these[i]) != 0)
			continue;
		kind_fits = true;
		l = load_find(r, these[i], namespace_of(o, ref), ref->name);
		if (l)
			return l->o;
	}
	if (kind_fits)
		not_found(r, o, ref, these, condition, field);
	else
		say(r, FINDING_CRITICAL, condition, o, ref->pos, field,
		    "names a %s; it must be a %s%s%s", ref->kind, these[0],
		    these[1] ? " or " : "", these[1] ? these[1] : "");
	return NULL;
}

/* --- what this build can read and write --------------------------------- */

static bool
is_one_of(const char *type, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(type, *list))
			return true;
	return false;
}

static void
check_source(struct reader *r, const struct plan *p)
{
	static const char *const ready[] = {"ova", "disk", "libvirt", "fake",
					    NULL};
	const struct endpoint *ep = p->source;

	if (!ep || is_one_of(ep->type, ready) || !ep->type[0])
		return;
	if (!strcmp(ep->type, "local"))
		say(r, FINDING_CRITICAL, "SourceProviderNotValid", &p->o,
		    p->source_ref.pos, "spec.provider.source",
		    "is of type local, which can only be a destination");
	else
		say(r, FINDING_ERROR, "SourceProviderNotValid", &p->o,
		    p->source_ref.pos, "spec.provider.source",
		    "is of type %s, which this build cannot read yet; it "
		    "reads ova, disk and libvirt",
		    ep->type);
}

static void
check_target(struct reader *r, const struct plan *p)
{
	static const char *const ready[] = {"local", "libvirt", "fake", NULL};
	const struct endpoint *ep = p->target;

	if (!ep || is_one_of(ep->type, ready) || !ep->type[0])
		return;
	if (!strcmp(ep->type, "openshift"))
		say(r, FINDING_ERROR, "DestinationProviderNotValid", &p->o,
		    p->target_ref.pos, "spec.provider.destination",
		    "is of type %s, which this build cannot write to yet; it "
		    "writes to Endpoints of type local and libvirt",
		    ep->type);
	else
		say(r, FINDING_CRITICAL, "DestinationProviderNotValid", &p->o,
		    p->target_ref.pos, "spec.provider.destination",
		    "is of type %s, which can only be a source", ep->type);
}

/* --- plans ------------------------------------------------------------- */

/* The plan's annotation, else `default` in its namespace, else built in. */
static void
bind_policy(struct reader *r, struct plan *p)
{
	const char *name = json_string_value(
	    json_object_get(p->o.annotations, "palletjack.io/run-policy"));
	struct loaded *l =
	    load_find(r, "RunPolicy", p->o.namespace, name ? name : "default");

	if (name && !l)
		say(r, FINDING_ERROR, "RunPolicyNotValid", &p->o, p->o.pos,
		    "metadata.annotations",
		    "names RunPolicy '%s/%s', which is not in the manifest",
		    p->o.namespace, name);
	if (!l)
		l = r->builtin_policy;
	p->policy = (const struct run_policy *)l->o;
}

static void
resolve_policy(struct reader *r, struct run_policy *policy)
{
	const char *name = policy->boot_probe.script_name;
	struct loaded *l;

	if (!name)
		return;
	l = load_find(r, "Script", policy->o.namespace, name);
	if (!l)
		say(r, FINDING_ERROR, "ScriptNotValid", &policy->o,
		    policy->o.pos, "spec.bootProbe.script",
		    "names Script '%s/%s', which is not in the manifest",
		    policy->o.namespace, name);
	policy->boot_probe.script = l ? (const struct script *)l->o : NULL;
}

/* Forklift goes warm when either field says so. */
static void
settle_type(struct plan *p)
{
	bool warm = json_is_true(json_object_get(p->o.spec, "warm"));

	if (warm && !run_policy_waives(p->policy, "spec.warm"))
		p->type = "warm";
	else if (!p->type)
		p->type = "cold";
}

/* Forklift's operator makes this Provider by itself, so that manifests name it
 * without having it. */
static struct endpoint *
built_in_host(struct reader *r, const struct plan *p)
{
	const struct object_ref *ref = &p->target_ref;
	struct endpoint *ep;

	if (!ref->name || strcmp(ref->name, "host") != 0 ||
	    (ref->kind && strcmp(ref->kind, "Provider") != 0) ||
	    load_find(r, "Provider", namespace_of(&p->o, ref), "host") ||
	    load_find(r, "Endpoint", namespace_of(&p->o, ref), "host"))
		return NULL;
	ep = arena_alloc(r->arena, sizeof(*ep));
	ep->o.kind = "Provider";
	ep->o.namespace = namespace_of(&p->o, ref);
	ep->o.name = "host";
	ep->o.labels = ep->o.annotations = ep->o.spec = ep->settings =
	    load_empty_json(r);
	ep->is_provider = true;
	ep->type = "openshift";
	ep->url = "";
	return ep;
}

static void
resolve_endpoints(struct reader *r, struct plan *p)
{
	p->source = resolve(r, &p->o, &p->source_ref, endpoint_kinds,
			    "SourceProviderNotValid", "spec.provider.source");
	p->target = built_in_host(r, p);
	if (!p->target)
		p->target = resolve(r, &p->o, &p->target_ref, endpoint_kinds,
				    "DestinationProviderNotValid",
				    "spec.provider.destination");
	check_source(r, p);
	check_target(r, p);
}

/* Cutovers that are told by the inventory to differ: check.c. */
static void
compare_cutovers(struct reader *r, struct plan *p)
{
	for (size_t i = 0; i < p->nvms; i++) {
		struct vm_asked asked;
		struct finding *f;

		plan_vm_asked(p, &p->vms[i], NULL, NULL, &asked);
		if (!asked.differs)
			continue;
		f = say(r, FINDING_ERROR, "CutoverDiffers", &p->o,
			asked.differs->o.pos, NULL,
			"Migrations '%s' and '%s' set different cutover times "
			"for it; leave only one",
			asked.cutover_by->o.name, asked.differs->o.name);
		f->vm = arena_strdup(r->findings->arena, p->vms[i].key);
	}
}

static void
resolve_refs(struct reader *r, struct plan *p)
{
	resolve_endpoints(r, p);
	p->network_map = resolve(r, &p->o, &p->network_ref, network_kinds,
				 "NetworkMapRefNotValid", "spec.map.network");
	p->storage_map = resolve(r, &p->o, &p->storage_ref, storage_kinds,
				 "StorageRefNotValid", "spec.map.storage");
}

/* An archived plan is over: what it names may be gone, and nobody needs to
 * hear that.  What is there is needed to give sources back. */
static void
resolve_plan(struct reader *r, struct loaded *l)
{
	struct plan *p = (struct plan *)l->o;
	size_t said;

	bind_policy(r, p);
	settle_type(p);
	p->nmigrations = l->migrations.n;
	p->migrations = arena_alloc(
	    r->arena, (p->nmigrations + 1) * sizeof(*p->migrations));
	for (size_t i = 0; i < p->nmigrations; i++)
		p->migrations[i] =
		    (const struct migration *)l->migrations.v[i]->o;
	if (!p->target_namespace)
		p->target_namespace = "";
	said = r->findings->n;
	resolve_refs(r, p);
	if (p->archived)
		r->findings->n = said;
	resolve_vms(r, p);
	resolve_waves(r, p);
	if (!p->archived) {
		compare_cutovers(r, p);
		honour_plan(r, l);
	}
}

static void
check_cancels(struct reader *r, const struct migration *m)
{
	for (size_t i = 0; i < m->ncancel; i++) {
		CLEANUP(mem_freep)
		char *field = mem_printf("spec.cancel[%zu]", i);

		if (!m->cancel[i].id && !m->cancel[i].name)
			say(r, FINDING_ERROR, "VMRefNotValid", &m->o,
			    m->cancel[i].pos.file ? m->cancel[i].pos : m->o.pos,
			    field,
			    "names no vm: it needs an id or a name; nothing "
			    "is cancelled by it");
	}
}

static void
resolve_migration(struct reader *r, struct loaded *migration)
{
	struct migration *m = (struct migration *)migration->o;
	static const char *const plan_kinds[] = {"Plan", NULL};
	struct object *plan = resolve(r, &m->o, &m->plan_ref, plan_kinds,
				      "PlanNotValid", "spec.plan");
	struct loaded *l;

	check_cancels(r, m);
	migration_index(m, r->arena);
	if (!plan)
		return;
	l = load_find(r, "Plan", plan->namespace, plan->name);
	*vec_push(&l->migrations) = migration;
}

/* Where it is not here the daemon may do without. */
static void
resolve_secret(struct reader *r, struct endpoint *ep)
{
	struct loaded *l;

	if (!ep->secret_ref.name)
		return;
	l = load_find(r, "Secret", namespace_of(&ep->o, &ep->secret_ref),
		      ep->secret_ref.name);
	ep->secret = l ? (const struct secret *)l->o : NULL;
	if (!l && !strcmp(ep->type, "libvirt"))
		say(r, FINDING_WARN, "SecretNotValid", &ep->o,
		    ep->secret_ref.pos, "spec.secret",
		    "names Secret '%s/%s', which is not in the manifest: a "
		    "daemon that asks for a user and a password gets none",
		    namespace_of(&ep->o, &ep->secret_ref), ep->secret_ref.name);
}

static void
soften(struct reader *r, const struct object *o)
{
	CLEANUP(mem_freep)
	char *ours = mem_printf("%s %s/%s", o->kind, o->namespace, o->name);

	for (size_t i = 0; i < r->findings->n; i++) {
		struct finding *f = &r->findings->v[i];

		if (finding_blocks(f) && f->object &&
		    strcmp(f->object, ours) == 0)
			f->category = FINDING_WARN;
	}
}

/* What is wrong with a plan that no run works on keeps nobody back. */
static void
soften_archived(struct reader *r, const struct plan *p)
{
	if (!p->archived || !p->o.name || !p->o.namespace)
		return;
	soften(r, &p->o);
	for (size_t i = 0; i < p->nmigrations; i++)
		if (p->migrations[i]->o.name)
			soften(r, &p->migrations[i]->o);
}

void
resolve_all(struct reader *r)
{
	for (size_t i = 0; i < r->objects.n; i++) {
		struct object *o = r->objects.v[i]->o;

		if (!strcmp(o->kind, "Migration"))
			resolve_migration(r, r->objects.v[i]);
		else if (!strcmp(o->kind, "Provider") ||
			 !strcmp(o->kind, "Endpoint"))
			resolve_secret(r, (struct endpoint *)o);
		else if (!strcmp(o->kind, "RunPolicy"))
			resolve_policy(r, (struct run_policy *)o);
	}
	for (size_t i = 0; i < r->objects.n; i++)
		if (!strcmp(r->objects.v[i]->kind->name, "Plan"))
			resolve_plan(r, r->objects.v[i]);
	for (size_t i = 0; i < r->objects.n; i++)
		if (!strcmp(r->objects.v[i]->kind->name, "RunPolicy"))
			check_waves(
			    r, (const struct run_policy *)r->objects.v[i]->o);
	for (size_t i = 0; i < r->objects.n; i++)
		if (!strcmp(r->objects.v[i]->kind->name, "Plan"))
			soften_archived(
			    r, (const struct plan *)r->objects.v[i]->o);
}
