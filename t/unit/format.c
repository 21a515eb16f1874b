/* SPDX-License-Identifier: Apache-2.0 */
/* FORMAT.md against the reader's tables, both ways: between the marks
 *
 *	<!-- fields: Plan -->
 *	<!-- end -->
 *
 * stands what this program makes of them.  `build/t/unit/format --write` puts
 * it there. */
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "manifests/tables.h"
#include "t/tap.h"

#define FORMAT "manifests/FORMAT.md"

static void
add_type(struct buf *out, const struct field *f)
{
	static const char *const names[] = {
	    [FIELD_STRING] = "string",	   [FIELD_BOOL] = "boolean",
	    [FIELD_INT] = "integer",	   [FIELD_NUMBER] = "number",
	    [FIELD_DURATION] = "duration", [FIELD_QUANTITY] = "quantity",
	    [FIELD_TIME] = "time",	   [FIELD_OBJECT] = "object",
	    [FIELD_ANY] = "any",	   [FIELD_IGNORED] = "any",
	};

	if (f->type == FIELD_LIST || f->type == FIELD_MAP) {
		buf_adds(out, f->type == FIELD_LIST ? "list of " : "map of ");
		add_type(out, f->item);
	} else if (f->type == FIELD_WORD) {
		for (size_t i = 0; f->words[i]; i++)
			buf_printf(out, "%s`%s`", i ? " " : "", f->words[i]);
	} else if (f->sub == fields_ref) {
		buf_adds(out, "reference");
	} else {
		buf_adds(out, names[f->type]);
	}
}

static void
add_honoured(struct buf *out, const struct field *f, const char *parent)
{
	if (f->honour == HONOURED && parent)
		buf_printf(out, "as `%s`", parent);
	else if (f->honour == HONOURED)
		buf_adds(out, "yes");
	else if (f->honour == NO_EFFECT)
		buf_printf(out, "no effect: %s", f->why);
	else if (!strncmp(f->why, "no effect", 9))
		buf_printf(out, "%s; else not yet", f->why);
	else
		buf_printf(out, "not yet%s: %s",
			   f->final ? ", cannot be waived" : "", f->why);
}

static void add_rows(struct buf *out, const struct field *table,
		     const char *prefix, const char *parent);

static void
add_row(struct buf *out, const struct field *f, const char *prefix,
	const char *parent)
{
	CLEANUP(mem_freep) char *path = mem_printf("%s%s", prefix, f->name);
	CLEANUP(mem_freep)
	char *below =
	    mem_printf("%s%s.", path, f->type == FIELD_LIST ? "[]" : "");
	const struct field *sub = f->item ? f->item->sub : f->sub;

	buf_printf(out, "| `%s` | ", path);
	add_type(out, f);
	if (f->dflt)
		buf_printf(out, " | `%s` | ", f->dflt);
	else
		buf_printf(out, " | %s | ", f->required ? "required" : "");
	buf_printf(out, "%s | ", f->doc ? f->doc : "");
	add_honoured(out, f, parent);
	buf_adds(out, " |\n");
	if (sub && sub != fields_ref && sub != fields_metadata)
		add_rows(out, sub, below, f->honour ? path : parent);
}

static bool
is_common(const char *prefix, const char *name)
{
	return !prefix[0] &&
	       (!strcmp(name, "apiVersion") || !strcmp(name, "kind") ||
		!strcmp(name, "metadata") || !strcmp(name, "status"));
}

static void
add_rows(struct buf *out, const struct field *table, const char *prefix,
	 const char *parent)
{
	for (const struct field *f = table; f->name; f++)
		if (!is_common(prefix, f->name))
			add_row(out, f, prefix, parent);
}

/* What has to stand in the section of this name; false: there is none. */
static bool
add_section(struct buf *out, const char *name)
{
	const struct kind *kind = kind_find(name);

	buf_adds(out, "\n| field | type | default | meaning | honoured |\n"
		      "|---|---|---|---|---|\n");
	if (!strcmp(name, "metadata"))
		add_rows(out, fields_metadata, "metadata.", NULL);
	else if (!strcmp(name, "reference"))
		add_rows(out, fields_ref, ".", NULL);
	else if (kind)
		add_rows(out, kind->table, "", NULL);
	else
		return false;
	buf_adds(out, "\n");
	return true;
}

/* The document with its sections as they have to be; counts them. */
static char *
regenerate(const char *text, size_t *ret_nsections)
{
	static const char open[] = "<!-- fields: ", shut[] = "<!-- end -->";
	struct buf out = {0};
	const char *at, *end;

	*ret_nsections = 0;
	while ((at = strstr(text, open))) {
		CLEANUP(mem_freep) char *name = NULL;

		name = mem_strndup(at + strlen(open),
				   strcspn(at + strlen(open), " "));
		end = strstr(at, shut);
		at = strchr(at, '\n');
		if (!ok(at && end, "the section %s has an end", name))
			break;
		buf_add(&out, text, (size_t)(at + 1 - text));
		ok(add_section(&out, name), "%s is a kind", name);
		text = end;
		(*ret_nsections)++;
	}
	buf_adds(&out, text);
	return buf_steal(&out);
}

/* The first line that differs, for whoever has to mend it. */
static void
show_difference(const char *got, const char *want)
{
	size_t n = 0;

	for (size_t i = 0; got[i] && got[i] == want[i]; i++)
		if (got[i] == '\n')
			n = i + 1;
	tap_diag("in %s:  %.*s", FORMAT, (int)strcspn(got + n, "\n"), got + n);
	tap_diag("in tables: %.*s", (int)strcspn(want + n, "\n"), want + n);
	tap_diag("build/t/unit/format --write puts it right");
}

int
main(int argc, char **argv)
{
	CLEANUP(buf_done) struct buf text = {0};
	CLEANUP(mem_freep) char *want = NULL;
	size_t nsections, nkinds = 0;
	struct err err;

	if (fs_read(FORMAT, (size_t)1 << 20, false, &text, &err) < 0)
		tap_skip_all(err.text);
	want = regenerate(text.data, &nsections);
	if (argc > 1 && !strcmp(argv[1], "--write"))
		return fs_write(FORMAT, want, strlen(want), 0644, &err) < 0;
	while (kinds[nkinds].name)
		nkinds++;
	is_int((long long)nsections, (long long)nkinds + 2,
	       "a section for each kind, metadata and references");
	if (!ok(!strcmp(text.data, want), "FORMAT.md says what tables say"))
		show_difference(text.data, want);
	return tap_done();
}
