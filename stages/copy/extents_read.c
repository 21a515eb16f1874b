/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of what changed, read from files: entry by entry, for a list can be
 * larger than memory. */
#include "stages/copy/extents.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"

#define LINE_SIZE 512

/* One list being read. */
struct reading {
	const char *path;
	FILE *file;
	uint64_t size; /* of the disk */
	size_t where;  /* the line, or its number in the array */
	struct extents *list;
};

static int
add(struct reading *r, uint64_t offset, uint64_t length,
    const char *description, struct err *err)
{
	if (description && strcmp(description, "clean") == 0)
		return 0;
	if (description && strcmp(description, "dirty") != 0)
		return err_set(err, ERR_USER,
			       "'%s', entry %zu: '%.40s' says neither dirty "
			       "nor clean: this is a map of something else, "
			       "not a list of changes",
			       r->path, r->where, description);
	if (length == 0)
		return 0;
	if (offset >= r->size)
		return err_set(err, ERR_USER,
			       "'%s', entry %zu begins at byte %" PRIu64
			       ", but the disk has only %" PRIu64
			       ": it is a list of another disk",
			       r->path, r->where, offset, r->size);
	if (length > r->size - offset)
		length = r->size - offset;
	extents_add(r->list, offset, length);
	return 0;
}

static int
wrong_entry(const struct reading *r, struct err *err)
{
	return err_set(err, ERR_USER,
		       "'%s', entry %zu: an offset and a length in bytes are "
		       "wanted",
		       r->path, r->where);
}

static int
take_entry(struct reading *r, const json_t *one, struct err *err)
{
	const json_t *offset = json_object_get(one, "offset");
	const json_t *length = json_object_get(one, "length");
	const json_t *type = json_object_get(one, "type");
	const char *said =
	    json_string_value(json_object_get(one, "description"));

	if (!json_is_integer(offset) || !json_is_integer(length) ||
	    json_integer_value(offset) < 0 || json_integer_value(length) < 0)
		return wrong_entry(r, err);
	/* a number alone does not say of what map it is */
	if (type && !said)
		said = "type without description";
	return add(r, (uint64_t)json_integer_value(offset),
		   (uint64_t)json_integer_value(length), said, err);
}

static bool
is_blank(int c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int
next_char(struct reading *r)
{
	int c;

	while (is_blank(c = getc(r->file)))
		;
	return c;
}

/* Reads no further than to its end. */
static int
read_element(struct reading *r, struct err *err)
{
	json_error_t wrong;
	json_t *one = json_loadf(r->file, JSON_DISABLE_EOF_CHECK, &wrong);
	int rc;

	if (!one)
		return err_set(err, ERR_USER, "'%s', entry %zu: %s", r->path,
			       r->where, wrong.text);
	rc = take_entry(r, one, err);
	json_decref(one);
	return rc;
}

/* From behind its bracket. */
static int
read_array(struct reading *r, struct err *err)
{
	int c = next_char(r);

	r->where = 0;
	if (c != ']')
		ungetc(c, r->file);
	while (c != ']') {
		if (read_element(r, err) < 0)
			return -1;
		c = next_char(r);
		if (c != ',' && c != ']')
			return err_set(err, ERR_USER,
				       "'%s', entry %zu: neither a comma nor "
				       "the end of the list is behind it",
				       r->path, r->where);
		r->where++;
	}
	if (next_char(r) != EOF)
		return err_set(err, ERR_USER,
			       "'%s' goes on behind the end of the list",
			       r->path);
	return 0;
}

/* A number and what is blank behind it. */
static int
take_number(char **text, uint64_t *ret)
{
	char *end;

	while (isblank((unsigned char)**text))
		(*text)++;
	if (!isdigit((unsigned char)**text))
		return -1;
	errno = 0;
	/* a leading zero is no octal number to anybody here */
	*ret =
	    strtoull(*text, &end,
		     (*text)[0] == '0' && ((*text)[1] | 32) == 'x' ? 16 : 10);
	if (errno || (*end && !isspace((unsigned char)*end)))
		return -1;
	while (isspace((unsigned char)*end))
		end++;
	*text = end;
	return 0;
}

static int
read_line(struct reading *r, char *line, struct err *err)
{
	uint64_t offset, length, type;
	char *end = line + strlen(line);

	while (end > line && isspace((unsigned char)end[-1]))
		end--;
	*end = '\0';
	line += strspn(line, " \t");
	if (!*line)
		return 0;
	if (take_number(&line, &offset) < 0 || take_number(&line, &length) < 0)
		return wrong_entry(r, err);
	if (*line && take_number(&line, &type) == 0 && !*line)
		line = "type without description";
	return add(r, offset, length, *line ? line : NULL, err);
}

/* The next line, without a remark; 0: there is none. */
static int
take_line(struct reading *r, char *line, size_t size, struct err *err)
{
	bool is_remark = false;
	size_t n = 0;
	int c = getc(r->file);

	if (c == EOF)
		return 0;
	for (; c != EOF && c != '\n'; c = getc(r->file)) {
		is_remark = is_remark || c == '#';
		if (is_remark)
			continue;
		if (c == '\0' || n == size - 1)
			return err_set(err, ERR_USER,
				       "'%s' is neither JSON nor lines of text",
				       r->path);
		line[n++] = (char)c;
	}
	line[n] = '\0';
	return 1;
}

static int
read_text(struct reading *r, struct err *err)
{
	char line[LINE_SIZE];
	int more;

	for (;; r->where++) {
		more = take_line(r, line, sizeof(line), err);
		if (more <= 0)
			return more;
		if (read_line(r, line, err) < 0)
			return -1;
	}
}

static int
read_either(struct reading *r, struct err *err)
{
	int c;

	for (r->where = 1; is_blank(c = getc(r->file));)
		r->where += c == '\n';
	if (c == '[')
		return read_array(r, err);
	if (c != EOF)
		ungetc(c, r->file);
	return read_text(r, err);
}

static void
file_closep(FILE **file)
{
	if (*file)
		fclose(*file);
}

int
extents_read(const char *path, uint64_t size, struct extents *ret,
	     struct err *err)
{
	CLEANUP(file_closep) FILE *file = fopen(path, "re");
	struct reading r = {
	    .path = path, .file = file, .size = size, .list = ret};
	struct stat st;

	if (!file)
		return err_sys(err, "cannot open '%s'", path);
	if (fstat(fileno(file), &st) < 0)
		return err_sys(err, "cannot examine '%s'", path);
	if (S_ISDIR(st.st_mode))
		return err_set(err, ERR_USER, "'%s' is a directory", path);
	if (read_either(&r, err) < 0)
		return -1;
	if (ferror(file))
		return err_sys(err, "cannot read '%s'", path);
	extents_tidy(ret);
	return 0;
}
