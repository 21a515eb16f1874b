/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of what changed on a disk. */
#include "stages/copy/extents.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/vec.h"

#define FILE_MAX ((size_t)512 * 1024 * 1024)

/* One list being read. */
struct reading {
	const char *path;
	uint64_t size; /* of the disk */
	VEC(struct copy_extent) list;
};

static int
by_offset(const void *a, const void *b)
{
	uint64_t x = ((const struct copy_extent *)a)->offset;
	uint64_t y = ((const struct copy_extent *)b)->offset;

	return x < y ? -1 : x > y;
}

void
extents_tidy(struct copy_extent *v, size_t *n)
{
	size_t kept = 0;

	if (*n)
		qsort(v, *n, sizeof(*v), by_offset);
	for (size_t i = 0; i < *n; i++) {
		uint64_t begin = v[i].offset / EXTENTS_GRAIN * EXTENTS_GRAIN;
		uint64_t end = (v[i].offset + v[i].length + EXTENTS_GRAIN - 1) /
			       EXTENTS_GRAIN * EXTENTS_GRAIN;
		struct copy_extent *last = kept ? &v[kept - 1] : NULL;

		if (v[i].length == 0)
			continue;
		if (!last || begin > last->offset + last->length + EXTENTS_GAP)
			v[kept++] = (struct copy_extent){begin, end - begin};
		else if (end > last->offset + last->length)
			last->length = end - last->offset;
	}
	*n = kept;
}

size_t
extents_find(const struct copy_extent *v, size_t n, uint64_t at)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (v[middle].offset + v[middle].length > at)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* `where` is its line, or its number in the array. */
static int
add(struct reading *r, size_t where, uint64_t offset, uint64_t length,
    const char *description, struct err *err)
{
	if (description && strcmp(description, "clean") == 0)
		return 0;
	if (description && strcmp(description, "dirty") != 0)
		return err_set(err, ERR_USER,
			       "'%s', entry %zu: '%.40s' says neither dirty "
			       "nor clean: this is a map of something else, "
			       "not a list of changes",
			       r->path, where, description);
	if (length == 0)
		return 0;
	if (offset >= r->size)
		return err_set(err, ERR_USER,
			       "'%s', entry %zu begins at byte %" PRIu64
			       ", but the disk has only %" PRIu64
			       ": it is a list of another disk",
			       r->path, where, offset, r->size);
	if (length > r->size - offset)
		length = r->size - offset;
	*vec_push(&r->list) = (struct copy_extent){offset, length};
	return 0;
}

static int
wrong_entry(const struct reading *r, size_t where, struct err *err)
{
	return err_set(err, ERR_USER,
		       "'%s', entry %zu: an offset and a length in bytes are "
		       "wanted",
		       r->path, where);
}

static int
read_json(struct reading *r, const struct buf *text, struct err *err)
{
	json_error_t where;
	json_t *all = json_loadb(text->data, text->len, 0, &where), *one;
	size_t i;
	int rc = 0;

	if (!all)
		return err_set(err, ERR_USER, "'%s', line %d: %s", r->path,
			       where.line, where.text);
	json_array_foreach(all, i, one)
	{
		json_t *offset = json_object_get(one, "offset");
		json_t *length = json_object_get(one, "length");
		json_t *type = json_object_get(one, "type");
		const char *said =
		    json_string_value(json_object_get(one, "description"));

		/* a number alone does not say of what map it is */
		if (!json_is_integer(offset) || !json_is_integer(length) ||
		    json_integer_value(offset) < 0 ||
		    json_integer_value(length) < 0)
			rc = wrong_entry(r, i, err);
		else
			rc = add(r, i, (uint64_t)json_integer_value(offset),
				 (uint64_t)json_integer_value(length),
				 said || !type ? said
					       : "type without "
						 "description",
				 err);
		if (rc < 0)
			break;
	}
	json_decref(all);
	return rc;
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
read_line(struct reading *r, size_t number, char *line, struct err *err)
{
	uint64_t offset, length, type;
	char *end = line + strcspn(line, "#");

	while (end > line && isspace((unsigned char)end[-1]))
		end--;
	*end = '\0';
	line += strspn(line, " \t");
	if (!*line)
		return 0;
	if (take_number(&line, &offset) < 0 || take_number(&line, &length) < 0)
		return wrong_entry(r, number, err);
	if (*line && take_number(&line, &type) == 0 && !*line)
		line = "type without description";
	return add(r, number, offset, length, *line ? line : NULL, err);
}

static int
read_text(struct reading *r, struct buf *text, struct err *err)
{
	size_t number = 1;
	char *next = text->data;

	while (next) {
		char *line = strsep(&next, "\n");

		if (read_line(r, number++, line, err) < 0)
			return -1;
	}
	return 0;
}

int
extents_read(const char *path, uint64_t size, struct copy_extent **ret,
	     size_t *ret_n, struct err *err)
{
	struct reading r = {.path = path, .size = size};
	CLEANUP(buf_done) struct buf text = {0};
	int rc = 0;

	if (fs_read(path, FILE_MAX, false, &text, err) < 0)
		return -1;
	if (text.len && memchr(text.data, '\0', text.len))
		return err_set(err, ERR_USER,
			       "'%s' is neither JSON nor lines of text", path);
	if (text.len && text.data[strspn(text.data, " \t\r\n")] == '[')
		rc = read_json(&r, &text, err);
	else if (text.len)
		rc = read_text(&r, &text, err);
	if (rc < 0) {
		vec_done(&r.list);
		return -1;
	}
	extents_tidy(r.list.v, &r.list.n);
	*ret = r.list.v;
	*ret_n = r.list.n;
	return 0;
}
