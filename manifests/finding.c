/* SPDX-License-Identifier: Apache-2.0 */
/* The list of findings, and its JSON form. */
#include "manifests/finding.h"

#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "base/vec.h"

static const char *const category_names[] = {
    "Critical", "Error", "Warn", "Advisory", "Information",
};

#define NCATEGORIES (sizeof(category_names) / sizeof(*category_names))

struct finding *
findings_add(struct findings *f, enum finding_category category,
	     const char *type, const char *fmt, ...)
{
	struct finding *one = vec_push(f);
	CLEANUP(mem_freep) char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = mem_vprintf(fmt, ap);
	va_end(ap);
	/* file names and others' messages come along in it */
	utf8_clean(text);
	one->category = category;
	one->type = arena_strdup(f->arena, type);
	one->message = arena_strdup(f->arena, text);
	return one;
}

void
findings_done(struct findings *f)
{
	vec_done(f);
}

bool
finding_blocks(const struct finding *f)
{
	return f->category <= FINDING_ERROR;
}

size_t
findings_blocking(const struct findings *f, const char *vm)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++) {
		const struct finding *one = &f->v[i];

		if (!finding_blocks(one))
			continue;
		if (!one->vm || (vm && !strcmp(one->vm, vm)))
			n++;
	}
	return n;
}

const char *
finding_category_name(enum finding_category category)
{
	return category < NCATEGORIES ? category_names[category] : "Critical";
}

/* A category we do not know comes from a newer run: the worst is safest. */
static enum finding_category
parse_category(const char *name)
{
	for (size_t i = 0; i < NCATEGORIES; i++)
		if (!strcmp(name, category_names[i]))
			return (enum finding_category)i;
	return FINDING_CRITICAL;
}

void
finding_text(const struct finding *f, struct buf *out)
{
	if (f->pos.file) {
		buf_adds(out, f->pos.file);
		if (f->pos.line)
			buf_printf(out, ":%u", f->pos.line);
		if (f->pos.line && f->pos.column)
			buf_printf(out, ":%u", f->pos.column);
		buf_adds(out, ": ");
	}
	if (f->object)
		buf_printf(out, "%s: ", f->object);
	if (f->vm)
		buf_printf(out, "vm %s: ", f->vm);
	buf_adds(out, f->message);
}

static void
set_text(json_t *o, const char *key, const char *text)
{
	CLEANUP(mem_freep) char *clean = mem_strdup(text);

	if (!clean)
		return;
	utf8_clean(clean);
	json_object_set_new(o, key, json_string(clean));
}

static void
set_number(json_t *o, const char *key, unsigned n)
{
	if (n)
		json_object_set_new(o, key, json_integer(n));
}

json_t *
findings_to_json(const struct findings *f)
{
	json_t *array = json_array();

	for (size_t i = 0; i < f->n; i++) {
		const struct finding *one = &f->v[i];
		json_t *o = json_object();

		set_text(o, "category", finding_category_name(one->category));
		set_text(o, "type", one->type);
		set_text(o, "message", one->message);
		set_text(o, "object", one->object);
		set_text(o, "vm", one->vm);
		set_text(o, "field", one->field);
		set_text(o, "file", one->pos.file);
		set_number(o, "line", one->pos.line);
		set_number(o, "column", one->pos.column);
		json_array_append_new(array, o);
	}
	return array;
}

static const char *
get_text(const struct findings *f, const json_t *o, const char *key)
{
	return arena_strdup(f->arena,
			    json_string_value(json_object_get(o, key)));
}

static unsigned
get_number(const json_t *o, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(o, key));

	return n > 0 && n <= UINT32_MAX ? (unsigned)n : 0;
}

static const char lost_message[] =
    "what a check found did not arrive whole; run again, with one version of "
    "palletjack";

void
findings_add_json(struct findings *f, const json_t *array)
{
	const json_t *o;
	size_t i;

	json_array_foreach(array, i, o)
	{
		const char *category =
		    json_string_value(json_object_get(o, "category"));
		const char *type =
		    json_string_value(json_object_get(o, "type"));
		const char *message =
		    json_string_value(json_object_get(o, "message"));
		struct finding *one;

		if (!category || !type || !message)
			one =
			    findings_add(f, FINDING_CRITICAL,
					 type ? type : "FindingNotValid", "%s",
					 message ? message : lost_message);
		else
			one = findings_add(f, parse_category(category), type,
					   "%s", message);
		one->object = get_text(f, o, "object");
		one->vm = get_text(f, o, "vm");
		one->field = get_text(f, o, "field");
		one->pos.file = get_text(f, o, "file");
		one->pos.line = get_number(o, "line");
		one->pos.column = get_number(o, "column");
	}
}
