/* SPDX-License-Identifier: Apache-2.0 */
/* Documents into objects: which kind it is, its table, its name. */
#include "manifests/load.h"

#include <string.h>

#include "base/mem.h"
#include "manifests/text.h"

#define GROUP_FORKLIFT "forklift.konveyor.io/"
#define GROUP_PALLETJACK "palletjack.io/"

/* Forklift's kinds that ask nothing of a run. */
static const char *const passed_over[] = {
    "Conversion",
    "ForkliftController",
    "HyperVProviderServer",
    "OVAProviderServer",
    "OpenstackVolumePopulator",
    "OvirtVolumePopulator",
    "VSphereXcopyVolumePopulator",
};

struct finding *
say(struct reader *r, enum finding_category category, const char *type,
    const struct object *about, struct pos pos, const char *field,
    const char *fmt, ...)
{
	CLEANUP(mem_freep) char *text = NULL;
	struct arena *arena = r->findings->arena;
	struct finding *f;
	va_list ap;

	va_start(ap, fmt);
	text = mem_vprintf(fmt, ap);
	va_end(ap);
	f = finding_at(r->findings, category, type, pos, "%s%s%s",
		       field ? field : "", field ? " " : "", text);
	f->field = arena_strdup(arena, field);
	if (about)
		f->object = arena_printf(arena, "%s %s/%s", about->kind,
					 about->namespace, about->name);
	return f;
}

static const char *
scalar_text(const struct node *map, const char *key)
{
	const struct node *n = node_get(map, key);

	return n && n->text ? n->text : "";
}

static void
decref(void *json)
{
	json_decref(json);
}

json_t *
load_empty_json(struct reader *r)
{
	json_t *o = json_object();

	arena_defer(r->arena, decref, o);
	return o;
}

static void
free_loaded(void *p)
{
	struct loaded *l = p;

	vec_done(&l->pendings.list);
	vec_done(&l->migrations);
}

static char *
object_key(struct arena *arena, const char *kind, const char *namespace,
	   const char *name)
{
	return arena_printf(arena, "%s/%s/%s", kind, namespace, name);
}

struct loaded *
load_find(const struct reader *r, const char *kind, const char *namespace,
	  const char *name)
{
	CLEANUP(mem_freep)
	char *key = mem_printf("%s/%s/%s", kind, namespace, name);

	return strmap_get(&r->by_name, key);
}

static void
remember(struct reader *r, struct loaded *l)
{
	const struct object *o = l->o;
	struct loaded *old = strmap_add(
	    &r->by_name, object_key(r->scratch, o->kind, o->namespace, o->name),
	    l);

	if (old)
		say(r, FINDING_ERROR, "ObjectDuplicate", o, o->pos, NULL,
		    "is there already, at %s:%u:%u; remove one of them",
		    old->o->pos.file, old->o->pos.line, old->o->pos.column);
}

/* A name that is wrong was reported; the object stays, so that the rest of it
 * is checked too. */
static void
name_object(struct reader *r, struct loaded *l, const struct node *metadata)
{
	struct object *o = l->o;
	const struct node *name = node_get(metadata, "name");
	bool made_up = !strcmp(o->kind, "Migration") &&
		       scalar_text(metadata, "generateName")[0];

	if (!o->namespace)
		o->namespace = "default";
	if (o->name) {
		remember(r, l);
		return;
	}
	o->name = "?";
	if (!name && made_up)
		o->name = arena_strdup(r->arena,
				       scalar_text(metadata, "generateName"));
	else if (metadata && (!name || name->type == NODE_NULL))
		say(r, FINDING_ERROR, "FieldMissing", o, metadata->pos,
		    "metadata.name", "is missing");
}

static void
fill_object(struct reader *r, struct loaded *l, const struct node *doc)
{
	const struct node *metadata = node_get(doc, "metadata");
	const char *namespace = scalar_text(metadata, "namespace");
	const char *name = scalar_text(metadata, "name");
	struct walk w = {
	    .arena = r->arena,
	    .scratch = r->scratch,
	    .findings = r->findings,
	    .strict = r->strict,
	    .kind = l->kind->name,
	    .pendings = &l->pendings,
	};
	struct object *o = l->o;
	json_t *json;

	w.object = arena_printf(r->scratch, "%s %s/%s", l->kind->name,
				*namespace ? namespace : "default",
				*name ? name : "?");
	json = field_walk(&w, l->kind->table, doc, o, NULL);
	arena_defer(r->arena, decref, json);
	o->spec = json_object_get(json, "spec");
	if (!o->labels)
		o->labels = load_empty_json(r);
	if (!o->annotations)
		o->annotations = load_empty_json(r);
}

static struct loaded *
new_object(struct reader *r, const struct kind *kind, const struct node *doc)
{
	struct loaded *l = arena_alloc(r->scratch, sizeof(*l));

	arena_defer(r->scratch, free_loaded, l);
	l->kind = kind;
	l->o = arena_alloc(r->arena, kind->size);
	l->o->kind = kind->name;
	l->o->pos = doc->pos;
	return l;
}

static void
load_object(struct reader *r, const struct kind *kind, const struct node *doc)
{
	struct loaded *l = new_object(r, kind, doc);

	fill_object(r, l, doc);
	name_object(r, l, node_get(doc, "metadata"));
	*vec_push(&r->objects) = l;
	finish_object(r, l);
}

void
load_builtin_policy(struct reader *r)
{
	static const char text[] = "apiVersion: " API_PALLETJACK "\n"
				   "kind: RunPolicy\n"
				   "metadata: {name: built-in}\n";
	CLEANUP(documents_done) struct documents docs = {0};
	struct err err;
	struct loaded *l;

	if (node_parse(r->scratch, "built-in", text, strlen(text), r->findings,
		       &docs, &err) < 0)
		return;
	l = new_object(r, kind_find("RunPolicy"), docs.list.v[0]);
	fill_object(r, l, docs.list.v[0]);
	l->o->pos = (struct pos){0};
	l->o->name = NULL;
	l->o->namespace = "default";
	r->builtin_policy = l;
}

static bool
is_encrypted(struct reader *r, const struct node *doc, const char *kind)
{
	const struct node *sops = node_get(doc, "sops");

	if (!sops)
		return false;
	finding_at(r->findings, FINDING_ERROR, "Encrypted", sops->pos,
		   "this %s is encrypted (SOPS); decrypt the file before it "
		   "is given to palletjack",
		   kind);
	return true;
}

static const char *
nearest_kind(const char *name)
{
	const char *nearest = NULL;
	size_t best = 0, distance;

	for (const struct kind *k = kinds; k->name; k++) {
		if (!text_is_near(name, k->name, &distance))
			continue;
		if (!nearest || distance < best) {
			nearest = k->name;
			best = distance;
		}
	}
	return nearest;
}

static void
unknown_kind(struct reader *r, const struct node *doc, const char *api,
	     const char *name)
{
	const struct kind *kind = kind_find(name);
	const char *nearest = kind ? NULL : nearest_kind(name);

	for (size_t i = 0; i < sizeof(passed_over) / sizeof(*passed_over); i++)
		if (!strcmp(name, passed_over[i])) {
			finding_at(r->findings, FINDING_INFORMATION,
				   "KindPassedOver", doc->pos,
				   "a %s asks nothing of a run; it is passed "
				   "over",
				   name);
			return;
		}
	if (kind)
		finding_at(r->findings, FINDING_ERROR, "KindNotValid", doc->pos,
			   "the kind %s is not read as '%s'; use apiVersion "
			   "'%s'",
			   name, api, kind->api_version);
	else
		finding_at(r->findings, FINDING_ERROR, "KindNotValid", doc->pos,
			   "there is no kind '%s' in '%s'%s%s%s", name, api,
			   nearest ? "; did you mean '" : "",
			   nearest ? nearest : "", nearest ? "'?" : "");
}

static bool
is_ours(const char *api)
{
	return !strncmp(api, GROUP_FORKLIFT, strlen(GROUP_FORKLIFT)) ||
	       !strncmp(api, GROUP_PALLETJACK, strlen(GROUP_PALLETJACK));
}

static void load_document(struct reader *r, const struct node *doc);

static void
load_items(struct reader *r, const struct node *doc)
{
	const struct node *items = node_get(doc, "items");

	for (size_t i = 0; items && items->type == NODE_LIST && i < items->n;
	     i++)
		load_document(r, items->items[i]);
}

/* Other tools' files stand beside manifests: values.yaml, kustomization.yaml.
 */
static void
no_object(struct reader *r, const struct node *doc, bool nearly_ours,
	  const char *lacks)
{
	bool wrong = nearly_ours || r->strict;

	finding_at(r->findings, wrong ? FINDING_ERROR : FINDING_INFORMATION,
		   wrong ? "KindNotValid" : "KindPassedOver", doc->pos,
		   "this is no Kubernetes object: it has no %s%s", lacks,
		   wrong ? "" : "; it is passed over");
}

/* A kind of ours in a group that is nearly ours is a slip of the pen; in any
 * other group it is somebody else's. */
static void
load_document(struct reader *r, const struct node *doc)
{
	const char *api = scalar_text(doc, "apiVersion");
	const char *name = scalar_text(doc, "kind");
	const struct kind *kind = kind_find(name);
	size_t distance;

	if (!*api || !*name)
		no_object(r, doc, *api ? is_ours(api) : kind != NULL,
			  *api ? "kind" : "apiVersion");
	else if (!strcmp(api, "v1") && !strcmp(name, "List"))
		load_items(r, doc);
	else if (kind && !strcmp(api, kind->api_version)) {
		if (!is_encrypted(r, doc, name))
			load_object(r, kind, doc);
	} else if (is_ours(api) ||
		   (kind && strchr(kind->api_version, '/') &&
		    text_is_near(api, kind->api_version, &distance)))
		unknown_kind(r, doc, api, name);
}

int
load_text(struct reader *r, const char *file, const char *text, size_t len,
	  struct err *err)
{
	CLEANUP(documents_done) struct documents docs = {0};

	if (node_parse(r->scratch, file, text, len, r->findings, &docs, err) <
	    0)
		return -1;
	for (size_t i = 0; i < docs.list.n; i++)
		load_document(r, docs.list.v[i]);
	return 0;
}
