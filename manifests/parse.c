/* SPDX-License-Identifier: Apache-2.0 */
/* libyaml's events into nodes, within limits that no manifest can exceed.
 *
 * An alias shares the node it names, so that expanding costs nothing here; it
 * is the weight that counts every copy and stops a bomb before anything walks
 * it. */
#include "manifests/node.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/mem.h"
#include "manifests/text.h"

/* Maps of at least so many keys are searched by index. */
#define INDEX_FROM 12

struct parse {
	yaml_parser_t yaml;
	struct arena *arena;
	const char *file;
	struct findings *findings;
	struct strmap anchors; /* of this document */
	unsigned nodes;	       /* so far in this file, aliases expanded */
	unsigned expanded;     /* of these, what aliases added */
};

struct frame {
	struct node *node;
	struct node *key; /* of a map: read, its value is not */
	VEC(struct node *) items;
	VEC(struct pair) pairs;
};

static struct pos
pos_of(const struct parse *p, yaml_mark_t mark)
{
	return (struct pos){p->file, (unsigned)mark.line + 1,
			    (unsigned)mark.column + 1};
}

static int fail_at(struct pos pos, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int
fail_at(struct pos pos, struct err *err, const char *fmt, ...)
{
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(err, ERR_USER, "%s:%u:%u: %s", pos.file, pos.line,
		       pos.column, text);
}

static int
next_event(struct parse *p, yaml_event_t *ret, struct err *err)
{
	const char *problem, *context;

	if (yaml_parser_parse(&p->yaml, ret))
		return 0;
	problem = p->yaml.problem ? p->yaml.problem : "not YAML";
	context = p->yaml.context;
	if (p->yaml.error == YAML_READER_ERROR)
		return err_set(err, ERR_USER, "%s: byte %zu: %s", p->file,
			       p->yaml.problem_offset, problem);
	if (!context)
		return fail_at(pos_of(p, p->yaml.problem_mark), err, "%s",
			       problem);
	return fail_at(pos_of(p, p->yaml.problem_mark), err,
		       "%s %s (which began at line %zu, column %zu)", problem,
		       context, p->yaml.context_mark.line + 1,
		       p->yaml.context_mark.column + 1);
}

/* Counts nodes; `from_alias` when they are a copy of others. */
static int
count(struct parse *p, unsigned n, bool from_alias, struct pos pos,
      struct err *err)
{
	p->nodes += n;
	if (from_alias)
		p->expanded += n;
	if (p->expanded > NODE_MAX_EXPANDED)
		return fail_at(pos, err,
			       "aliases stand for more than %u nodes; write "
			       "the manifest with fewer aliases",
			       NODE_MAX_EXPANDED);
	if (p->nodes > NODE_MAX_NODES)
		return fail_at(pos, err,
			       "more than %u nodes in one file; split it",
			       NODE_MAX_NODES);
	return 0;
}

static struct node *
new_node(struct parse *p, enum node_type type, yaml_mark_t mark,
	 const yaml_char_t *anchor)
{
	struct node *n = arena_alloc(p->arena, sizeof(*n));

	n->type = type;
	n->pos = pos_of(p, mark);
	n->weight = 1;
	if (anchor)
		strmap_set(&p->anchors,
			   arena_strdup(p->arena, (const char *)anchor), n);
	return n;
}

static void
bad_tag(struct parse *p, const struct node *n)
{
	/* what was meant as a value may be a secret: it is not repeated */
	finding_at(p->findings, FINDING_ERROR, "TagNotValid", n->pos,
		   "a tag that does not fit here; leave it out, and quote "
		   "values that begin with * or !");
}

/* What an explicit tag makes of a scalar. */
static void
apply_tag(struct parse *p, struct node *n, const char *tag)
{
	static const struct {
		const char *tag;
		enum node_type type;
	} known[] = {
	    {YAML_NULL_TAG, NODE_NULL},	 {YAML_BOOL_TAG, NODE_BOOL},
	    {YAML_INT_TAG, NODE_INT},	 {YAML_FLOAT_TAG, NODE_FLOAT},
	    {YAML_STR_TAG, NODE_STRING}, {"!", NODE_STRING},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (strcmp(tag, known[i].tag) != 0)
			continue;
		if (known[i].type == NODE_STRING)
			n->type = NODE_STRING;
		else
			node_resolve_plain(n);
		if (n->type == known[i].type)
			return;
		if (known[i].type == NODE_FLOAT && n->type == NODE_INT)
			return;
	}
	bad_tag(p, n);
}

static int
read_scalar(struct parse *p, const yaml_event_t *e, struct node **ret,
	    struct err *err)
{
	const char *value = (const char *)e->data.scalar.value;
	const char *tag = (const char *)e->data.scalar.tag;
	bool plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	struct node *n =
	    new_node(p, NODE_STRING, e->start_mark, e->data.scalar.anchor);

	/* "\0" in a quoted scalar */
	if (strlen(value) != e->data.scalar.length)
		return fail_at(n->pos, err, "a string with a NUL byte");
	n->text = arena_strndup(p->arena, value, e->data.scalar.length);
	if (tag)
		apply_tag(p, n, tag);
	else if (plain)
		node_resolve_plain(n);
	n->done = true;
	*ret = n;
	return count(p, 1, false, n->pos, err);
}

static int
read_alias(struct parse *p, const yaml_event_t *e, struct node **ret,
	   struct err *err)
{
	const char *name = (const char *)e->data.alias.anchor;
	struct pos pos = pos_of(p, e->start_mark);
	struct node *n = strmap_get(&p->anchors, name);

	if (!n)
		return fail_at(pos, err,
			       "an alias that names no anchor of this "
			       "document; quote values that begin with * "
			       "or !");
	if (!n->done)
		return fail_at(pos, err,
			       "an alias that stands inside of what it "
			       "names; quote values that begin with * or !");
	*ret = n;
	return count(p, n->weight, true, pos, err);
}

static bool
is_merge_key(const struct node *key)
{
	return key->type == NODE_STRING && !strcmp(key->text, "<<");
}

/* Adds a pair unless the key is there; gives the pair that was first. */
static const struct pair *
add_pair(struct node *map, struct pair pair)
{
	struct pair *slot = &map->pairs[map->n];
	const struct pair *old;

	*slot = pair;
	if (map->index) {
		old = strmap_add(map->index, pair.key->text, slot);
		if (old)
			return old;
	} else {
		for (size_t i = 0; i < map->n; i++)
			if (!strcmp(map->pairs[i].key->text, pair.key->text))
				return &map->pairs[i];
	}
	map->n++;
	map->weight += pair.key->weight + pair.value->weight;
	return NULL;
}

static void
free_index(void *index)
{
	strmap_done(index);
}

static void
make_room(struct parse *p, struct node *map, size_t n)
{
	map->pairs = arena_alloc(p->arena, (n + 1) * sizeof(*map->pairs));
	if (n < INDEX_FROM)
		return;
	map->index = arena_alloc(p->arena, sizeof(*map->index));
	arena_defer(p->arena, free_index, map->index);
}

/* How many pairs the value of a merge key can add; a list gives maps. */
static size_t
count_merged(const struct node *value)
{
	size_t n = 0;

	if (value->type == NODE_MAP)
		return value->n;
	if (value->type == NODE_LIST)
		for (size_t i = 0; i < value->n; i++)
			n += value->items[i]->type == NODE_MAP
				 ? value->items[i]->n
				 : 0;
	return n;
}

static void
merge_map(struct parse *p, struct node *map, const struct node *from)
{
	if (from->type != NODE_MAP) {
		finding_at(p->findings, FINDING_ERROR, "MergeKeyNotValid",
			   from->pos,
			   "'<<' takes a map or a list of maps, not %s",
			   node_type_name(from));
		return;
	}
	for (size_t i = 0; i < from->n; i++)
		add_pair(map, from->pairs[i]);
}

static void
merge(struct parse *p, struct node *map, const struct node *value)
{
	if (value->type != NODE_LIST) {
		merge_map(p, map, value);
		return;
	}
	for (size_t i = 0; i < value->n; i++)
		merge_map(p, map, value->items[i]);
}

/* Explicit keys first, so that they win over merged ones. */
static void
end_map(struct parse *p, struct frame *f)
{
	size_t room = f->pairs.n;
	struct node *map = f->node;

	for (size_t i = 0; i < f->pairs.n; i++)
		if (is_merge_key(f->pairs.v[i].key))
			room += count_merged(f->pairs.v[i].value);
	make_room(p, map, room);
	for (size_t i = 0; i < f->pairs.n; i++) {
		struct pair pair = f->pairs.v[i];
		const struct pair *old;

		if (is_merge_key(pair.key))
			continue;
		old = add_pair(map, pair);
		if (old)
			finding_at(p->findings, FINDING_ERROR, "DuplicateKey",
				   pair.key->pos,
				   "the key '%s' is there already, at line "
				   "%u, column %u; remove one of them",
				   pair.key->text, old->key->pos.line,
				   old->key->pos.column);
	}
	for (size_t i = 0; i < f->pairs.n; i++)
		if (is_merge_key(f->pairs.v[i].key))
			merge(p, map, f->pairs.v[i].value);
}

static void
end_list(struct parse *p, struct frame *f)
{
	struct node *list = f->node;

	list->n = f->items.n;
	list->items =
	    arena_alloc(p->arena, (list->n + 1) * sizeof(*list->items));
	for (size_t i = 0; i < list->n; i++) {
		list->items[i] = f->items.v[i];
		list->weight += list->items[i]->weight;
	}
}

static int
put_into(struct frame *f, struct node *n, struct err *err)
{
	if (f->node->type == NODE_LIST) {
		*vec_push(&f->items) = n;
		return 0;
	}
	if (f->key) {
		*vec_push(&f->pairs) = (struct pair){f->key, n};
		f->key = NULL;
		return 0;
	}
	if (n->type == NODE_LIST || n->type == NODE_MAP)
		return fail_at(n->pos, err, "a key must be a word, not %s",
			       node_type_name(n));
	f->key = n;
	return 0;
}

/* The nesting of one document while it is read. */
struct nesting {
	struct frame frames[NODE_MAX_DEPTH];
	size_t depth;
	struct node *root;
};

static void
nesting_done(struct nesting *s)
{
	for (size_t i = 0; i < NODE_MAX_DEPTH; i++) {
		vec_done(&s->frames[i].items);
		vec_done(&s->frames[i].pairs);
	}
}

static int
put(struct nesting *s, struct node *n, struct err *err)
{
	if (s->depth)
		return put_into(&s->frames[s->depth - 1], n, err);
	s->root = n;
	return 0;
}

static int
open_frame(struct parse *p, struct nesting *s, const yaml_event_t *e,
	   struct err *err)
{
	bool map = e->type == YAML_MAPPING_START_EVENT;
	const yaml_char_t *anchor =
	    map ? e->data.mapping_start.anchor : e->data.sequence_start.anchor;
	const char *tag = (const char *)(map ? e->data.mapping_start.tag
					     : e->data.sequence_start.tag);
	struct node *n =
	    new_node(p, map ? NODE_MAP : NODE_LIST, e->start_mark, anchor);
	struct frame *f;

	if (s->depth == NODE_MAX_DEPTH)
		return fail_at(n->pos, err, "nested deeper than %d levels",
			       NODE_MAX_DEPTH);
	if (tag && strcmp(tag, map ? YAML_MAP_TAG : YAML_SEQ_TAG) != 0)
		bad_tag(p, n);
	/* the parent takes it now, so that keys are seen to be words */
	if (put(s, n, err) < 0)
		return -1;
	f = &s->frames[s->depth++];
	f->node = n;
	f->key = NULL;
	f->items.n = f->pairs.n = 0;
	return count(p, 1, false, n->pos, err);
}

static void
close_frame(struct parse *p, struct nesting *s)
{
	struct frame *f = &s->frames[--s->depth];

	if (f->node->type == NODE_MAP)
		end_map(p, f);
	else
		end_list(p, f);
	f->node->done = true;
}

/* One event within a document. */
static int
take(struct parse *p, struct nesting *s, const yaml_event_t *e, struct err *err)
{
	struct node *n = NULL;

	switch (e->type) {
	case YAML_SCALAR_EVENT:
		return read_scalar(p, e, &n, err) < 0 ? -1 : put(s, n, err);
	case YAML_ALIAS_EVENT:
		return read_alias(p, e, &n, err) < 0 ? -1 : put(s, n, err);
	case YAML_MAPPING_START_EVENT:
	case YAML_SEQUENCE_START_EVENT:
		return open_frame(p, s, e, err);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		close_frame(p, s);
		return 0;
	default:
		return 0;
	}
}

static int
end_document(struct parse *p, struct nesting *s, struct documents *ret,
	     struct err *err)
{
	strmap_done(&p->anchors);
	if (!s->root || s->root->type == NODE_NULL)
		return 0;
	if (ret->list.n == NODE_MAX_DOCUMENTS)
		return fail_at(s->root->pos, err,
			       "more than %d documents in one file; split it",
			       NODE_MAX_DOCUMENTS);
	*vec_push(&ret->list) = s->root;
	s->root = NULL;
	return 0;
}

static int
read_stream(struct parse *p, struct nesting *s, struct documents *ret,
	    struct err *err)
{
	yaml_event_t e;
	yaml_event_type_t type;
	int failed;

	do {
		if (next_event(p, &e, err) < 0)
			return -1;
		type = e.type;
		failed = take(p, s, &e, err);
		yaml_event_delete(&e);
		if (failed)
			return -1;
		if (type == YAML_DOCUMENT_END_EVENT &&
		    end_document(p, s, ret, err) < 0)
			return -1;
	} while (type != YAML_STREAM_END_EVENT);
	return 0;
}

int
node_parse(struct arena *arena, const char *file, const char *text, size_t len,
	   struct findings *findings, struct documents *ret, struct err *err)
{
	struct parse p = {.arena = arena, .file = file, .findings = findings};
	CLEANUP(nesting_done) struct nesting s = {0};
	int failed;

	if (text_check(file, text, len, err) < 0)
		return -1;
	if (!yaml_parser_initialize(&p.yaml))
		abort();
	yaml_parser_set_input_string(&p.yaml, (const unsigned char *)text, len);
	failed = read_stream(&p, &s, ret, err);
	yaml_parser_delete(&p.yaml);
	strmap_done(&p.anchors);
	return failed;
}

void
documents_done(struct documents *d)
{
	vec_done(&d->list);
}
