/* SPDX-License-Identifier: Apache-2.0 */
/* The walk of a node along its table. */
#include "manifests/field.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "manifests/text.h"

static void
add_path(const struct field_path *path, struct buf *text)
{
	if (path->up)
		add_path(path->up, text);
	if (!path->name)
		buf_printf(text, "[%zu]", path->index);
	else
		buf_printf(text, "%s%s", text->len ? "." : "", path->name);
}

char *
field_path_text(struct arena *arena, const struct field_path *path)
{
	CLEANUP(buf_done) struct buf text = {0};

	add_path(path, &text);
	return arena_strdup(arena, text.data);
}

/* The path opens the message, so that it can be read without its fields. */
static void complain(struct walk *w, enum finding_category category,
		     const char *type, struct pos pos,
		     const struct field_path *path, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));

static void
complain(struct walk *w, enum finding_category category, const char *type,
	 struct pos pos, const struct field_path *path, const char *fmt, ...)
{
	CLEANUP(mem_freep) char *text = NULL;
	char *field = field_path_text(w->findings->arena, path);
	struct finding *f;
	va_list ap;

	va_start(ap, fmt);
	text = mem_vprintf(fmt, ap);
	va_end(ap);
	f = finding_at(w->findings, category, type, pos, "%s %s", field, text);
	f->field = field;
	f->object = arena_strdup(w->findings->arena, w->object);
}

static const char *
nearest_name(const struct field *table, const char *name)
{
	const char *nearest = NULL;
	size_t best = 0, distance;

	for (const struct field *f = table; f->name; f++) {
		if (!text_is_near(name, f->name, &distance))
			continue;
		if (!nearest || distance < best) {
			nearest = f->name;
			best = distance;
		}
	}
	return nearest;
}

static void
unknown_field(struct walk *w, const struct field *table, const struct node *key,
	      const struct field_path *path)
{
	const char *nearest = nearest_name(table, key->text);

	complain(w, w->strict ? FINDING_ERROR : FINDING_WARN, "FieldUnknown",
		 key->pos, path, "is not a field of %s%s%s%s", w->kind,
		 nearest ? "; did you mean '" : "", nearest ? nearest : "",
		 nearest ? "'?" : "");
}

static void
wrong_value(struct walk *w, const struct field *f, const struct node *n,
	    const struct field_path *path, const char *wrong)
{
	enum finding_category category =
	    f->condition ? FINDING_CRITICAL : FINDING_ERROR;
	const char *type = f->condition ? f->condition : "FieldNotValid";
	bool is_list = n->type == NODE_LIST || n->type == NODE_MAP;
	bool quote =
	    f->type == FIELD_STRING && !is_list && n->type != NODE_STRING;

	if (quote && f->secret)
		complain(w, category, type, n->pos, path,
			 "%s, not %s; quote it", wrong, node_type_name(n));
	else if (quote)
		complain(w, category, type, n->pos, path,
			 "%s, but %s without quotes is %s; quote it: \"%s\"",
			 wrong, n->text, node_type_name(n), n->text);
	else if (is_list)
		complain(w, category, type, n->pos, path, "must be %s, not %s",
			 field_type_name(f), node_type_name(n));
	else if (f->secret || !n->text)
		complain(w, category, type, n->pos, path, "%s", wrong);
	else
		complain(w, category, type, n->pos, path, "%s; it is '%s'",
			 wrong, n->text);
}

static char *
join_words(const struct field *f)
{
	struct buf text = {0};

	for (size_t i = 0; f->words[i]; i++)
		buf_printf(&text, "%s%s", i ? ", " : "", f->words[i]);
	return buf_steal(&text);
}

static void
wrong_word(struct walk *w, const struct field *f, const struct node *n,
	   const struct field_path *path)
{
	CLEANUP(mem_freep) char *all = join_words(f);
	const char *nearest = n->text ? field_nearest_word(f, n->text) : NULL;

	complain(w, f->condition ? FINDING_CRITICAL : FINDING_ERROR,
		 f->condition ? f->condition : "FieldNotValid", n->pos, path,
		 "must be one of %s%s%s%s", all,
		 nearest ? "; did you mean '" : "", nearest ? nearest : "",
		 nearest ? "'?" : "");
}

static void
out_of_range(struct walk *w, const struct field *f, const struct node *n,
	     const struct field_path *path)
{
	if (f->type == FIELD_INT)
		complain(w, FINDING_ERROR, "FieldNotValid", n->pos, path,
			 "must be a whole number from %lld to %lld; it is %s",
			 (long long)f->min, (long long)field_int_max(f),
			 n->text);
	else
		complain(w, FINDING_ERROR, "FieldNotValid", n->pos, path,
			 "must be a number from %g to %g; it is %s", f->min,
			 f->max, n->text);
}

static bool
is_unset(const struct node *n)
{
	switch (n->type) {
	case NODE_NULL:
		return true;
	case NODE_BOOL:
		return !n->truth;
	case NODE_STRING:
		return !n->text[0];
	case NODE_LIST:
	case NODE_MAP:
		return n->n == 0;
	default:
		return false;
	}
}

/* Keeps what may turn out not to be honoured until plans are known. */
static void
keep_pending(struct walk *w, const struct field *f, const struct node *n,
	     bool written, const struct field_path *path)
{
	bool is_default = f->dflt && n->text && !strcmp(f->dflt, n->text);

	if (f->honour != NOT_YET)
		return;
	if (!f->matters && (!written || is_default || is_unset(n)))
		return;
	*vec_push(&w->pendings->list) =
	    (struct pending){f, n, field_path_text(w->scratch, path), false};
}

static json_t *walk_value(struct walk *w, const struct field *f,
			  const struct node *n, void *base,
			  const struct field_path *path);

static json_t *
walk_list(struct walk *w, const struct field *f, const struct node *n,
	  char *base, const struct field_path *path)
{
	json_t *list = json_array();
	char *items = NULL;

	if (base && f->at && f->size) {
		items = arena_alloc(w->arena, n->n * f->size + 1);
		*(char **)(base + f->at - 1) = items;
		*(size_t *)(base + f->count_at - 1) = n->n;
	}
	for (size_t i = 0; i < n->n; i++) {
		struct field_path here = {path, NULL, i};
		const struct node *item = n->items[i];
		json_t *value = NULL;

		if (item->type == NODE_NULL)
			complain(w, FINDING_ERROR, "FieldNotValid", item->pos,
				 &here, "must be %s, not empty",
				 field_type_name(f->item));
		else
			value = walk_value(w, f->item, item,
					   items ? items + i * f->size : NULL,
					   &here);
		json_array_append_new(list, value ? value : json_null());
	}
	return list;
}

static json_t *
walk_map(struct walk *w, const struct field *f, const struct node *n,
	 char *base, const struct field_path *path)
{
	json_t *map = json_object();

	for (size_t i = 0; i < n->n; i++) {
		const struct pair *pair = &n->pairs[i];
		struct field_path here = {path, pair->key->text, 0};
		json_t *value =
		    walk_value(w, f->item, pair->value, NULL, &here);

		if (value)
			json_object_set_new(map, pair->key->text, value);
	}
	if (base && f->at)
		*(json_t **)(base + f->at - 1) = map;
	return map;
}

static json_t *
walk_scalar(struct walk *w, const struct field *f, const struct node *n,
	    char *base, const struct field_path *path)
{
	void *at = base && f->at ? base + f->at - 1 : NULL;
	const char *wrong = field_decode(f, n, w->arena, at);

	if (!wrong)
		return f->type == FIELD_WORD ? json_string(n->text)
					     : node_to_json(n);
	if (f->type == FIELD_WORD)
		wrong_word(w, f, n, path);
	else if (!strcmp(wrong, FIELD_OUT_OF_RANGE))
		out_of_range(w, f, n, path);
	else
		wrong_value(w, f, n, path, wrong);
	return NULL;
}

static char *
inner_base(const struct field *f, char *base)
{
	if (f->at == NOWHERE)
		return NULL;
	return base && f->at ? base + f->at - 1 : base;
}

/* NULL: it is wrong, and that was said. */
static json_t *
walk_value(struct walk *w, const struct field *f, const struct node *n,
	   void *base, const struct field_path *path)
{
	char *at = base;
	bool wants_map = f->type == FIELD_OBJECT || f->type == FIELD_MAP;

	if ((wants_map && n->type != NODE_MAP) ||
	    (f->type == FIELD_LIST && n->type != NODE_LIST)) {
		wrong_value(w, f, n, path,
			    wants_map ? "must be a map" : "must be a list");
		return NULL;
	}
	if (at && f->pos_at)
		*(struct pos *)(at + f->pos_at - 1) = n->pos;
	switch (f->type) {
	case FIELD_OBJECT:
		return field_walk(w, f->sub, n, inner_base(f, at), path);
	case FIELD_LIST:
		return walk_list(w, f, n, at, path);
	case FIELD_MAP:
		return walk_map(w, f, n, at, path);
	case FIELD_ANY:
		return node_to_json(n);
	case FIELD_IGNORED:
		return NULL;
	default:
		return walk_scalar(w, f, n, at, path);
	}
}

static void
missing(struct walk *w, const struct field *f, struct pos pos,
	const struct field_path *path)
{
	complain(w, f->condition ? FINDING_CRITICAL : FINDING_ERROR,
		 f->condition ? f->condition : "FieldMissing", pos, path,
		 "is missing; it must be %s", field_type_name(f));
}

static void
walk_field(struct walk *w, const struct field *f, const struct node *map,
	   json_t *into, void *base, const struct field_path *up)
{
	struct field_path path = {up, f->name, 0};
	const struct node *n = node_get(map, f->name);
	struct pos pos = map ? map->pos : (struct pos){0};
	bool written = n && n->type != NODE_NULL;
	json_t *value;

	if (f->type == FIELD_IGNORED)
		return;
	if (!written && f->dflt)
		n = node_plain(w->scratch, f->dflt, pos);
	if (!n || n->type == NODE_NULL) {
		if (f->required)
			missing(w, f, n ? n->pos : pos, &path);
		return;
	}
	keep_pending(w, f, n, written, &path);
	value = walk_value(w, f, n, base, &path);
	if (value)
		json_object_set_new(into, f->name, value);
}

static const struct field *
find_field(const struct field *table, const char *name)
{
	for (const struct field *f = table; f->name; f++)
		if (!strcmp(f->name, name))
			return f;
	return NULL;
}

json_t *
field_walk(struct walk *w, const struct field *table, const struct node *n,
	   void *base, const struct field_path *path)
{
	json_t *into = json_object();

	for (size_t i = 0; n && n->type == NODE_MAP && i < n->n; i++) {
		const struct node *key = n->pairs[i].key;
		struct field_path here = {path, key->text, 0};

		if (!find_field(table, key->text))
			unknown_field(w, table, key, &here);
	}
	for (const struct field *f = table; f->name; f++)
		walk_field(w, f, n, into, base, path);
	return into;
}
