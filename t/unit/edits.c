/* SPDX-License-Identifier: Apache-2.0 */
/* Every field of every kind edited, one at a time, against the fingerprints of
 * the steps: which edits repeat a step, and which few copy bytes again.  The
 * fields are those of the reader's tables: a new one is edited, too, and has
 * to say in edits.h what it repeats, if it is anything.
 *
 * What the source says of its vms is held still: what comes of an image or a
 * disk that is another, t/3105-plan-edits.t shows. */
#include "t/unit/edits.h"
#include "t/unit/manifest.h"

#include <stdlib.h>
#include <unistd.h>

#include "graph.h"
#include "manifests/check.h"
#include "manifests/tables.h"

/* What one manifest comes to. */
struct outcome {
	bool refused, not_honoured;
	unsigned nplans; /* that are there with their vm */
	char *why;	 /* the first that refuses */
	json_t *steps;	 /* of both plans: "web/cutover" to fingerprint */
};

static void
outcome_done(struct outcome *o)
{
	free(o->why);
	json_decref(o->steps);
}

/* Single quotes for double ones, so that C can hold it. */
static json_t *
parse(const char *text)
{
	CLEANUP(mem_freep) char *copy = mem_strdup(text);
	json_t *value;

	for (char *c = copy; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	value = json_loads(copy, JSON_DECODE_ANY, NULL);
	if (!value)
		tap_diag("not JSON: %s", text);
	return value;
}

static const char *
name_of(const json_t *doc)
{
	return json_string_value(
	    json_object_get(json_object_get(doc, "metadata"), "name"));
}

static const char *
kind_of(const json_t *doc)
{
	return json_string_value(json_object_get(doc, "kind"));
}

/* --- what a manifest comes to ------------------------------------------ */

static struct inventory *
make_inventory(void)
{
	struct inventory *inv = inventory_new();
	struct inv_vm *vm;
	struct inv_nic *nic;

	vm = inventory_add_vm(inv);
	vm->id = "vm-1";
	vm->name = "web";
	vm->epoch = "e1";
	vm->sockets = vm->cores = vm->threads = 1;
	vm->memory_bytes = 1 << 30;
	for (int i = 0; i < 2; i++) {
		struct inv_disk *disk = inventory_add_disk(inv, vm);

		disk->id = i ? "disk-1" : "disk-0";
		disk->name = i ? "b.raw" : "a.raw";
		disk->storage_id = disk->storage_name = "san";
		disk->capacity_bytes = 1 << 30;
	}
	nic = inventory_add_nic(inv, vm);
	nic->name = "eth0";
	nic->mac = "52:54:00:00:00:01";
	nic->network_id = nic->network_name = "lan";
	inventory_add_network(inv, "lan", "lan");
	inventory_add_storage(inv, "san", "san");
	return inv;
}

static void
refuse(struct outcome *o, const struct findings *found)
{
	for (size_t i = 0; i < found->n; i++) {
		if (!finding_blocks(&found->v[i]))
			continue;
		if (!o->refused)
			o->why = mem_printf("%s: %s", found->v[i].type,
					    found->v[i].message);
		o->refused = true;
		o->not_honoured |= !strcmp(found->v[i].type, "NotHonoured");
	}
}

static void
add_steps(struct outcome *o, const struct view *v)
{
	struct graph *g = graph_of(v);

	for (size_t i = 0; i < g->nsteps; i++) {
		CLEANUP(mem_freep)
		char *key =
		    mem_printf("%s/%s", v->plan->o.name, g->steps[i].id);

		json_object_set_new(o->steps, key,
				    json_string(g->steps[i].fingerprint));
	}
	graph_free(g);
}

/* A plan that is not there has no steps, and neither has one whose vm has
 * another key: it is another vm, with a state of its own. */
static void
add_plan(struct outcome *o, const struct reading *r, const char *name)
{
	CLEANUP(mem_freep) char *full = mem_printf("demo/%s", name);
	struct findings found = {.arena = r->arena};
	const struct plan *plan;
	const struct plan_vm *pvm;
	struct inventory *inv;
	struct checker *c;
	struct view v = {.state_dir = "/state", .state_uuid = "uuid"};
	struct err err;

	if (manifest_plan(r->m, full, &plan, &err) < 0 || plan->archived ||
	    !plan->source || !plan->target)
		return;
	pvm = plan_vm_find(plan, "web");
	if (!pvm)
		return;
	inv = make_inventory();
	c = checker_new(NULL, plan, inv);
	check_plan(c, &found);
	refuse(o, &found);
	v.manifest = r->m;
	v.plan = plan;
	v.pvm = pvm;
	v.inventory = inv;
	v.vm = &inv->vms[0];
	v.shape = shape_of(r->arena, plan, pvm, &inv->vms[0], checker_names(c));
	o->nplans++;
	add_steps(o, &v);
	checker_free(c);
	findings_done(&found);
	inventory_free(inv);
}

static struct outcome
outcome_of(const json_t *docs)
{
	struct outcome o = {.steps = json_object()};
	CLEANUP(buf_done) struct buf text = {0};
	struct reading r;

	for (size_t i = 0; i < json_array_size(docs); i++) {
		CLEANUP(mem_freep)
		char *one = json_dumps(json_array_get(docs, i), 0);

		buf_printf(&text, "---\n%s\n", one);
	}
	read_text(&r, text.data, false);
	if (r.failed < 0) {
		o.refused = true;
		o.why = mem_strdup(r.err.text);
	} else {
		refuse(&o, &r.findings);
		add_plan(&o, &r, "web");
		add_plan(&o, &r, "appliances");
	}
	reading_done(&r);
	return o;
}

/* --- twins ------------------------------------------------------------- */

static json_t *
twin(const json_t *doc, const char *key, const char *value)
{
	json_t *copy = json_deep_copy(doc);

	json_object_set_new(json_object_get(copy, "metadata"), key,
			    json_string(value));
	return copy;
}

static json_t *
with_twins(const json_t *docs)
{
	json_t *all = json_deep_copy(docs);

	for (size_t i = 0; i < json_array_size(docs); i++) {
		const json_t *doc = json_array_get(docs, i);
		const char *kind = kind_of(doc);

		CLEANUP(mem_freep)
		char *name = mem_printf("%s-edited", name_of(doc));

		if (!strcmp(kind, "Migration"))
			continue;
		json_array_append_new(all, twin(doc, "name", name));
		json_array_append_new(all, twin(doc, "namespace", "edited"));
	}
	return all;
}

/* --- made-up values ----------------------------------------------------- */

static json_t *made_up(const struct field *f);

static void
fill_required(json_t *object, const struct field *table)
{
	for (const struct field *f = table; f->name; f++)
		if (f->required && !json_object_get(object, f->name))
			json_object_set_new(object, f->name, made_up(f));
}

static json_t *
text_for(const struct field *f)
{
	static const char *const texts[] = {"edited", "4", "ZWRpdGVk"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (!f->check || !f->check(texts[i]))
			return json_string(texts[i]);
	return json_string(texts[0]);
}

/* The first value that a field of its type may have. */
static json_t *
made_up(const struct field *f)
{
	json_t *value;

	switch (f->type) {
	case FIELD_BOOL:
		return json_true();
	case FIELD_INT:
		return json_integer(3);
	case FIELD_NUMBER:
		return json_real((f->min + f->max) / 2);
	case FIELD_DURATION:
		return json_string("77s");
	case FIELD_QUANTITY:
		return json_string("7Mi");
	case FIELD_TIME:
		return json_string("2031-01-02T03:04:05Z");
	case FIELD_WORD:
		return json_string(f->words[0]);
	case FIELD_LIST:
		value = json_array();
		json_array_append_new(value, made_up(f->item));
		return value;
	case FIELD_OBJECT:
		value = json_object();
		fill_required(value, f->sub);
		return value;
	case FIELD_MAP:
		value = json_object();
		json_object_set_new(value, "edited", text_for(f->item));
		return value;
	case FIELD_ANY:
	case FIELD_IGNORED:
		return json_pack("{s:s}", "edited", "yes");
	default:
		return text_for(f);
	}
}

/* --- edits --------------------------------------------------------------- */

struct edits {
	json_t *docs, *twins;
	const json_t *doc; /* that is edited, and its place */
	size_t ndoc;
	struct outcome base;
	bool used[sizeof(effects) / sizeof(*effects)];
	unsigned nfields, nedits, nrefused, nwaived, nrecopy;
};

/* Is `wanted` this field, of any document or of the one that is edited? */
static bool
is_path(const struct edits *e, const char *wanted, const char *path)
{
	CLEANUP(mem_freep)
	char *full =
	    mem_printf("%s %s %s", kind_of(e->doc), name_of(e->doc), path);

	return !strcmp(wanted, path) || !strcmp(wanted, full);
}

/* Where the field "a.b[].c" of the object goes, made if need be; *ret_last is
 * its own name. */
static json_t *
make_way(json_t *object, const struct field *table, const char *path,
	 const char **ret_last)
{
	for (;;) {
		size_t len = strcspn(path, ".[");
		CLEANUP(mem_freep) char *name = mem_strndup(path, len);
		const struct field *f = table;
		json_t *next;

		if (!path[len]) {
			*ret_last = path;
			return object;
		}
		while (strcmp(f->name, name) != 0)
			f++;
		next = json_object_get(object, name);
		if (!next ||
		    (f->type == FIELD_LIST && !json_array_size(next))) {
			next = made_up(f);
			json_object_set_new(object, name, next);
		}
		if (f->type == FIELD_LIST)
			next = json_array_get(next, 0);
		table = f->type == FIELD_LIST ? f->item->sub : f->sub;
		object = next;
		path += len + (f->type == FIELD_LIST ? 3 : 1);
	}
}

/* Says in the policy that none of what leads there need be honoured. */
static void
waive(json_t *docs, const char *path)
{
	json_t *paths = json_array();
	const char *end = strchr(path, '.');
	size_t len;

	while (end) {
		end = strchr(end + 1, '.');
		len = end ? (size_t)(end - path) : strlen(path);
		json_array_append_new(paths, json_stringn(path, len));
		if (path[len - 1] == ']')
			json_array_append_new(paths,
					      json_stringn(path, len - 2));
	}
	for (size_t i = 0; i < json_array_size(docs); i++) {
		json_t *doc = json_array_get(docs, i);

		if (strcmp(kind_of(doc), "RunPolicy") == 0)
			json_object_set(json_object_get(doc, "spec"), "waive",
					paths);
	}
	json_decref(paths);
}

/* "cutover/disk-0" once, whichever plan has it. */
static void
add_step(struct buf *words, const char *before, const char *key)
{
	CLEANUP(mem_freep)
	char *word = mem_printf(" %s%s", before, strchr(key, '/') + 1);
	CLEANUP(mem_freep) char *inside = mem_printf("%s ", word);
	CLEANUP(mem_freep) char *all = mem_printf("%s ", words->data);

	if (!strstr(all, inside))
		buf_adds(words, word);
}

/* The steps with another fingerprint, then new ones, of both plans; what is
 * there no more does nothing. */
static char *
effect_of(const struct outcome *base, const struct outcome *now)
{
	CLEANUP(buf_done) struct buf words = {0};
	const char *key;
	json_t *was, *is;

	buf_adds(&words, "");
	if (now->refused)
		return mem_strdup("refused");
	if (now->nplans < base->nplans)
		return mem_strdup("none of it");
	json_object_foreach(base->steps, key, was)
	{
		is = json_object_get(now->steps, key);
		if (is && !json_equal(is, was))
			add_step(&words, "", key);
	}
	json_object_foreach(now->steps, key, is)
	{
		if (!json_object_get(base->steps, key))
			add_step(&words, "+", key);
	}
	return mem_strdup(words.data + (words.len > 0));
}

/* The first that fits "Plan web spec.vms[].name: 'db'": all of it, what stands
 * before the value, or the field alone. */
static const char *
wanted_effect(struct edits *e, const char *path, const char *edit)
{
	for (size_t i = 0; i < sizeof(effects) / sizeof(*effects); i++) {
		if (strcmp(effects[i].edit, edit) != 0 &&
		    !is_path(e, effects[i].edit, path))
			continue;
		e->used[i] = true;
		return effects[i].effect;
	}
	return "";
}

static void
judge(struct edits *e, const char *path, const char *edit,
      const struct outcome *now)
{
	CLEANUP(mem_freep) char *effect = effect_of(&e->base, now);
	const char *wanted = wanted_effect(e, path, edit);

	e->nedits++;
	e->nrefused += now->refused;
	e->nrecopy += strstr(effect, "cutover/") != NULL;
	if (!strcmp(effect, wanted))
		return;
	ok(false, "%s", edit);
	tap_diag("{\"%s\", \"%s\"}, %s", edit, effect,
		 now->why ? now->why : "");
}

static void
edit(struct edits *e, const struct field *table, const char *path,
     const json_t *value)
{
	json_t *docs = json_deep_copy(e->twins);
	json_t *doc = json_array_get(docs, e->ndoc), *at;
	CLEANUP(mem_freep)
	char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
	CLEANUP(mem_freep)
	char *name = mem_printf("%s %s", kind_of(e->doc), name_of(e->doc));
	CLEANUP(mem_freep) char *what = NULL;
	struct outcome now;
	const char *last;

	for (char *c = text; *c; c++)
		*c = *c == '"' ? '\'' : *c;
	what = mem_printf("%s %s: %s", name, path, text);
	at = make_way(doc, table, path, &last);
	if (json_equal(json_object_get(at, last), value)) {
		json_decref(docs);
		return;
	}
	json_object_set(at, last, (json_t *)value);
	now = outcome_of(docs);
	if (now.not_honoured) {
		CLEANUP(mem_freep) char *waived = mem_strdup(path);

		outcome_done(&now);
		waive(docs, waived);
		now = outcome_of(docs);
		e->nwaived += !now.refused;
	}
	judge(e, path, what, &now);
	outcome_done(&now);
	json_decref(docs);
}

static void
edit_field(struct edits *e, const struct field *top, const struct field *f,
	   const char *path)
{
	json_t *value;

	e->nfields++;
	for (size_t i = sizeof(values) / sizeof(*values); i-- > 0;) {
		if (!is_path(e, values[i].path, path))
			continue;
		value = parse(values[i].value);
		edit(e, top, path, value);
		json_decref(value);
		return;
	}
	for (size_t i = 0; f->type == FIELD_WORD && f->words[i]; i++) {
		value = json_string(f->words[i]);
		edit(e, top, path, value);
		json_decref(value);
	}
	if (f->type == FIELD_BOOL) {
		edit(e, top, path, json_false());
		edit(e, top, path, json_true());
	} else if (f->type != FIELD_WORD) {
		value = made_up(f);
		edit(e, top, path, value);
		json_decref(value);
	}
}

static void
edit_fields(struct edits *e, const struct field *top, const struct field *table,
	    const char *prefix)
{
	for (const struct field *f = table; f->name; f++) {
		bool is_list = f->type == FIELD_LIST && f->item->sub;
		CLEANUP(mem_freep)
		char *path = mem_printf("%s%s", prefix, f->name);
		CLEANUP(mem_freep)
		char *below = mem_printf("%s%s.", path, is_list ? "[]" : "");

		if (is_list)
			edit_fields(e, top, f->item->sub, below);
		else if (f->type == FIELD_OBJECT)
			edit_fields(e, top, f->sub, below);
		else
			edit_field(e, top, f, path);
	}
}

/* What a Plan's fields do, one plan shows. */
static bool
is_second_plan(const json_t *doc)
{
	return !strcmp(name_of(doc), "appliances");
}

static void
every_field(struct edits *e)
{
	for (e->ndoc = 0; e->ndoc < json_array_size(e->docs); e->ndoc++) {
		const struct kind *k;

		e->doc = json_array_get(e->docs, e->ndoc);
		if (is_second_plan(e->doc))
			continue;
		k = kind_find(kind_of(e->doc));
		edit_fields(e, k->table, k->table, "");
	}
}

/* No kind was forgotten above, and no effect that is none any more stays. */
static void
nothing_forgotten(const struct edits *e)
{
	for (const struct kind *k = kinds; k->name; k++) {
		bool found = false;

		for (size_t i = 0; i < json_array_size(e->docs); i++)
			found |= !strcmp(
			    k->name, json_string_value(json_object_get(
					 json_array_get(e->docs, i), "kind")));
		ok(found, "%s is edited", k->name);
	}
	for (size_t i = 0; i < sizeof(effects) / sizeof(*effects); i++)
		ok(e->used[i], "%s is edited", effects[i].edit);
}

int
main(void)
{
	struct edits e = {.docs = parse(base_text)};
	struct err err;

	if (chdir(tap_dir()) < 0 ||
	    fs_write("edited.lua", "log(2)", 6, 0600, &err) < 0)
		tap_diag("%s", err.text);
	e.twins = with_twins(e.docs);
	e.base = outcome_of(e.twins);
	ok(!e.base.refused, "the plans are ready: %s",
	   e.base.why ? e.base.why : "nothing speaks against them");
	ok(json_object_get(e.base.steps, "web/cutover/disk-1") &&
	       json_object_get(e.base.steps, "appliances/cutover/disk-1"),
	   "and copy disks");
	every_field(&e);
	nothing_forgotten(&e);
	ok(true,
	   "%u fields edited in %u ways: %u refused, %u waived, %u recopy",
	   e.nfields, e.nedits, e.nrefused, e.nwaived, e.nrecopy);
	outcome_done(&e.base);
	json_decref(e.docs);
	json_decref(e.twins);
	return tap_done();
}
