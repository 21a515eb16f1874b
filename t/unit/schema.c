/* SPDX-License-Identifier: Apache-2.0 */
/* Our CRDs against the reader's tables: manifests/schema holds what this
 * program makes of them.  `build/t/unit/schema --write` puts it there. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "manifests/tables.h"
#include "t/tap.h"

static void add_line(struct buf *out, int depth, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
add_line(struct buf *out, int depth, const char *fmt, ...)
{
	CLEANUP(mem_freep) char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = mem_vprintf(fmt, ap);
	va_end(ap);
	buf_printf(out, "%*s%s\n", 2 * depth, "", text);
}

/* Words such as off must be quoted to stay words. */
static char *
quoted(const char *text)
{
	json_t *value = json_string(text);
	char *line = json_dumps(value, JSON_ENCODE_ANY);

	json_decref(value);
	return line;
}

static const char *
schema_type(const struct field *f)
{
	switch (f->type) {
	case FIELD_BOOL:
		return "boolean";
	case FIELD_INT:
		return "integer";
	case FIELD_NUMBER:
		return "number";
	case FIELD_LIST:
		return "array";
	case FIELD_MAP:
	case FIELD_OBJECT:
		return "object";
	case FIELD_ANY:
	case FIELD_QUANTITY:
		return NULL;
	default:
		return "string";
	}
}

static bool
is_literal(const struct field *f)
{
	return f->type == FIELD_BOOL || f->type == FIELD_INT ||
	       f->type == FIELD_NUMBER || f->type == FIELD_LIST ||
	       f->type == FIELD_MAP || f->type == FIELD_OBJECT;
}

static void
add_default(struct buf *out, int depth, const struct field *f)
{
	CLEANUP(mem_freep) char *text = f->dflt ? quoted(f->dflt) : NULL;

	if (f->dflt)
		add_line(out, depth, "default: %s",
			 is_literal(f) ? f->dflt : text);
}

static void
add_enum(struct buf *out, int depth, const struct field *f)
{
	if (f->type != FIELD_WORD)
		return;
	add_line(out, depth, "enum:");
	for (size_t i = 0; f->words[i]; i++) {
		CLEANUP(mem_freep) char *word = quoted(f->words[i]);

		add_line(out, depth, "- %s", word);
	}
}

static void add_properties(struct buf *out, int depth,
			   const struct field *table);

static void
add_schema(struct buf *out, int depth, const struct field *f)
{
	CLEANUP(mem_freep) char *doc = f->doc ? quoted(f->doc) : NULL;
	bool scalar = f->type != FIELD_OBJECT && f->type != FIELD_LIST &&
		      f->type != FIELD_MAP;

	if (doc)
		add_line(out, depth, "description: %s", doc);
	if (schema_type(f))
		add_line(out, depth, "type: %s", schema_type(f));
	if (f->type == FIELD_QUANTITY)
		add_line(out, depth, "x-kubernetes-int-or-string: true");
	if (f->type == FIELD_ANY)
		add_line(out, depth,
			 "x-kubernetes-preserve-unknown-fields: true");
	add_default(out, depth, f);
	if (scalar && f->name && !f->dflt && !f->required)
		add_line(out, depth, "nullable: true");
	if (f->min > 0)
		add_line(out, depth, "minimum: %g", f->min);
	if (f->type == FIELD_NUMBER)
		add_line(out, depth, "maximum: %g", f->max);
	else if (f->type == FIELD_INT && f->size != sizeof(int64_t))
		add_line(out, depth, "maximum: %lld",
			 (long long)field_int_max(f));
	add_enum(out, depth, f);
	if (f->item) {
		add_line(
		    out, depth,
		    f->type == FIELD_LIST ? "items:" : "additionalProperties:");
		add_schema(out, depth + 1, f->item);
	}
	if (f->sub)
		add_properties(out, depth, f->sub);
}

static void
add_properties(struct buf *out, int depth, const struct field *table)
{
	bool required = false;

	add_line(out, depth, "properties:");
	for (const struct field *f = table; f->name; f++) {
		add_line(out, depth + 1, "%s:", f->name);
		add_schema(out, depth + 2, f);
		required = required || f->required;
	}
	if (!required)
		return;
	add_line(out, depth, "required:");
	for (const struct field *f = table; f->name; f++)
		if (f->required)
			add_line(out, depth, "- %s", f->name);
}

/* metadata is the cluster's own business, and there is no status. */
static void
add_top(struct buf *out, const struct kind *kind)
{
	for (const struct field *f = kind->table; f->name; f++) {
		if (strcmp(f->name, "spec") != 0)
			continue;
		add_line(out, 5, "spec:");
		add_schema(out, 6, f);
		if (f->required) {
			add_line(out, 4, "required:");
			add_line(out, 4, "- spec");
		}
	}
}

static const char *
plural(const struct kind *kind)
{
	if (!strcmp(kind->name, "RunPolicy"))
		return "runpolicies";
	return !strcmp(kind->name, "Script") ? "scripts" : "endpoints";
}

static char *
crd(const struct kind *kind)
{
	CLEANUP(mem_freep) char *lower = mem_strdup(kind->name);
	CLEANUP(mem_freep) char *doc = quoted(kind->doc);
	struct buf out = {0};

	for (char *c = lower; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	buf_printf(&out,
		   "# SPDX-License-Identifier: Apache-2.0\n"
		   "apiVersion: apiextensions.k8s.io/v1\n"
		   "kind: CustomResourceDefinition\n"
		   "metadata:\n"
		   "  name: %s.palletjack.io\n"
		   "spec:\n"
		   "  group: palletjack.io\n"
		   "  names:\n"
		   "    kind: %s\n"
		   "    listKind: %sList\n"
		   "    plural: %s\n"
		   "    singular: %s\n"
		   "  scope: Namespaced\n"
		   "  versions:\n"
		   "  - name: v1alpha1\n"
		   "    served: true\n"
		   "    storage: true\n"
		   "    schema:\n"
		   "      openAPIV3Schema:\n"
		   "        description: %s\n"
		   "        type: object\n"
		   "        properties:\n"
		   "          apiVersion:\n"
		   "            type: string\n"
		   "          kind:\n"
		   "            type: string\n"
		   "          metadata:\n"
		   "            type: object\n",
		   plural(kind), kind->name, kind->name, plural(kind), lower,
		   doc);
	add_top(&out, kind);
	return buf_steal(&out);
}

int
main(int argc, char **argv)
{
	bool write = argc > 1 && !strcmp(argv[1], "--write");

	for (const struct kind *k = kinds; k->name; k++) {
		CLEANUP(mem_freep) char *want = NULL;
		CLEANUP(mem_freep) char *path = NULL;
		CLEANUP(buf_done) struct buf got = {0};
		struct err err;

		if (strcmp(k->api_version, API_PALLETJACK) != 0)
			continue;
		want = crd(k);
		path = mem_printf("manifests/schema/palletjack.io_%s.yaml",
				  plural(k));
		if (write) {
			if (fs_write(path, want, strlen(want), 0644, &err) < 0)
				return 1;
			continue;
		}
		if (!ok(fs_read(path, (size_t)1 << 20, false, &got, &err) == 0,
			"%s is there", path))
			continue;
		ok(!strcmp(got.data, want), "%s says what tables say", path);
	}
	return write ? 0 : tap_done();
}
