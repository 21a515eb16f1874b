/* SPDX-License-Identifier: Apache-2.0 */
/* Looking into trees, and what plain scalars mean. */
#include "manifests/node.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct word {
	const char *text;
	enum node_type type;
	bool truth, word;
};

static const struct word words[] = {
    {"", NODE_NULL, false, false},	{"~", NODE_NULL, false, false},
    {"null", NODE_NULL, false, false},	{"Null", NODE_NULL, false, false},
    {"NULL", NODE_NULL, false, false},	{"true", NODE_BOOL, true, false},
    {"True", NODE_BOOL, true, false},	{"TRUE", NODE_BOOL, true, false},
    {"false", NODE_BOOL, false, false}, {"False", NODE_BOOL, false, false},
    {"FALSE", NODE_BOOL, false, false}, {"yes", NODE_BOOL, true, true},
    {"Yes", NODE_BOOL, true, true},	{"YES", NODE_BOOL, true, true},
    {"y", NODE_BOOL, true, true},	{"Y", NODE_BOOL, true, true},
    {"on", NODE_BOOL, true, true},	{"On", NODE_BOOL, true, true},
    {"ON", NODE_BOOL, true, true},	{"no", NODE_BOOL, false, true},
    {"No", NODE_BOOL, false, true},	{"NO", NODE_BOOL, false, true},
    {"n", NODE_BOOL, false, true},	{"N", NODE_BOOL, false, true},
    {"off", NODE_BOOL, false, true},	{"Off", NODE_BOOL, false, true},
    {"OFF", NODE_BOOL, false, true},
};

/* Digits with underscores taken out, as YAML 1.1 allows them; NULL when the
 * text is too long for a number. */
static const char *
strip_underscores(const char *text, char buf[64])
{
	size_t n = 0;

	for (; *text; text++) {
		if (*text == '_')
			continue;
		if (n == 63)
			return NULL;
		buf[n++] = *text;
	}
	buf[n] = '\0';
	return buf;
}

/* 10, -3, 0x1f, 0755, 0o755, 0b101 */
static bool
parse_integer(const char *text, int64_t *ret)
{
	bool negative = *text == '-';
	const char *digits = text + (*text == '-' || *text == '+');
	int base = 10;
	unsigned long long magnitude;
	char *end;

	if (digits[0] == '0' && digits[1]) {
		char mark = digits[1];

		base = mark == 'x' ? 16 : mark == 'b' ? 2 : 8;
		digits += mark == 'x' || mark == 'b' || mark == 'o' ? 2 : 1;
	}
	if (!strspn(digits, "0123456789abcdefABCDEF"))
		return false;
	errno = 0;
	magnitude = strtoull(digits, &end, base);
	if (*end || errno || magnitude > (unsigned long long)INT64_MAX)
		return false;
	*ret = negative ? -(int64_t)magnitude : (int64_t)magnitude;
	return true;
}

/* 1.5, .5, 1e3, and integers too large for us; no infinities, no hex. */
static bool
parse_real(const char *text, double *ret)
{
	const char *start = text + (*text == '-' || *text == '+');
	char *end;

	if (strspn(start, "0123456789.eE+-") != strlen(start) ||
	    !strpbrk(start, "0123456789") || *start == '+' || *start == '-')
		return false;
	*ret = strtod(text, &end);
	return !*end && isfinite(*ret);
}

void
node_resolve_plain(struct node *n)
{
	char buf[64];
	const char *digits;

	n->type = NODE_STRING;
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (strcmp(n->text, words[i].text) != 0)
			continue;
		n->type = words[i].type;
		n->truth = words[i].truth;
		n->word = words[i].word;
		return;
	}
	if (!strchr("+-.0123456789", n->text[0]))
		return;
	digits = strip_underscores(n->text, buf);
	if (!digits || n->text[0] == '_')
		return;
	if (parse_integer(digits, &n->integer))
		n->type = NODE_INT;
	else if (parse_real(digits, &n->real))
		n->type = NODE_FLOAT;
}

struct node *
node_plain(struct arena *arena, const char *text, struct pos pos)
{
	struct node *n = arena_alloc(arena, sizeof(*n));

	n->pos = pos;
	n->text = text;
	n->weight = 1;
	n->done = true;
	if (!strcmp(text, "[]"))
		n->type = NODE_LIST;
	else if (!strcmp(text, "{}"))
		n->type = NODE_MAP;
	else
		node_resolve_plain(n);
	return n;
}

const struct node *
node_get(const struct node *n, const char *key)
{
	if (!n || n->type != NODE_MAP)
		return NULL;
	if (n->index) {
		const struct pair *pair = strmap_get(n->index, key);

		return pair ? pair->value : NULL;
	}
	for (size_t i = 0; i < n->n; i++)
		if (!strcmp(n->pairs[i].key->text, key))
			return n->pairs[i].value;
	return NULL;
}

const char *
node_type_name(const struct node *n)
{
	static const char *const names[] = {
	    [NODE_NULL] = "null",	[NODE_BOOL] = "a boolean",
	    [NODE_INT] = "a number",	[NODE_FLOAT] = "a number",
	    [NODE_STRING] = "a string", [NODE_LIST] = "a list",
	    [NODE_MAP] = "a map",
	};

	return names[n->type];
}

static json_t *
list_to_json(const struct node *n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n->n; i++)
		json_array_append_new(list, node_to_json(n->items[i]));
	return list;
}

static json_t *
map_to_json(const struct node *n)
{
	json_t *map = json_object();

	for (size_t i = 0; i < n->n; i++)
		json_object_set_new(map, n->pairs[i].key->text,
				    node_to_json(n->pairs[i].value));
	return map;
}

/* 1e3 is 1000 in JSON, as it is for Kubernetes' clients. */
static json_t *
real_to_json(double real)
{
	if (real == trunc(real) && fabs(real) < 0x1p53)
		return json_integer((json_int_t)real);
	return json_real(real);
}

json_t *
node_to_json(const struct node *n)
{
	switch (n->type) {
	case NODE_BOOL:
		return json_boolean(n->truth);
	case NODE_INT:
		return json_integer(n->integer);
	case NODE_FLOAT:
		return real_to_json(n->real);
	case NODE_STRING:
		return json_string(n->text);
	case NODE_LIST:
		return list_to_json(n);
	case NODE_MAP:
		return map_to_json(n);
	case NODE_NULL:
		break;
	}
	return json_null();
}

struct finding *
finding_at(struct findings *f, enum finding_category category, const char *type,
	   struct pos pos, const char *fmt, ...)
{
	CLEANUP(mem_freep) char *text = NULL;
	struct finding *one;
	va_list ap;

	va_start(ap, fmt);
	text = mem_vprintf(fmt, ap);
	va_end(ap);
	one = findings_add(f, category, type, "%s", text);
	one->pos = pos;
	one->pos.file = arena_strdup(f->arena, pos.file);
	return one;
}
