/* SPDX-License-Identifier: Apache-2.0 */
/* What jansson writes with JSON_SORT_KEYS and JSON_COMPACT, made without its
 * copies and its looking for cycles: every step of every vm has a fingerprint.
 */
#include "manifests/canonical.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static void
add_escape(struct buf *b, unsigned char byte)
{
	static const char plain[] = "\"\\\b\f\n\r\t",
			  short_form[] = "\"\\bfnrt";
	const char *known = byte ? strchr(plain, byte) : NULL;
	char text[8];
	int len;

	if (known)
		len = snprintf(text, sizeof(text), "\\%c",
			       short_form[known - plain]);
	else
		len = snprintf(text, sizeof(text), "\\u%04X", byte);
	buf_add(b, text, (size_t)len);
}

static void
add_string(struct buf *b, const char *text, size_t len)
{
	size_t from = 0;

	buf_add(b, "\"", 1);
	for (size_t i = 0; i < len; i++) {
		unsigned char byte = (unsigned char)text[i];

		if (byte >= ' ' && byte != '"' && byte != '\\')
			continue;
		buf_add(b, text + from, i - from);
		add_escape(b, byte);
		from = i + 1;
	}
	buf_add(b, text + from, len - from);
	buf_add(b, "\"", 1);
}

struct member {
	const char *key;
	json_t *value;
};

static int
compare_members(const void *a, const void *b)
{
	return strcmp(((const struct member *)a)->key,
		      ((const struct member *)b)->key);
}

static void
add_object(struct buf *b, const json_t *object)
{
	CLEANUP(mem_freep)
	struct member *members =
	    mem_new(json_object_size(object) * sizeof(*members));
	const char *key;
	json_t *value;
	size_t n = 0;

	json_object_foreach((json_t *)object, key, value) members[n++] =
	    (struct member){key, value};
	qsort(members, n, sizeof(*members), compare_members);
	buf_add(b, "{", 1);
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_add(b, ",", 1);
		add_string(b, members[i].key, strlen(members[i].key));
		buf_add(b, ":", 1);
		canonical_add(b, members[i].value);
	}
	buf_add(b, "}", 1);
}

static void
add_array(struct buf *b, const json_t *array)
{
	buf_add(b, "[", 1);
	for (size_t i = 0; i < json_array_size(array); i++) {
		if (i > 0)
			buf_add(b, ",", 1);
		canonical_add(b, json_array_get(array, i));
	}
	buf_add(b, "]", 1);
}

static void
add_integer(struct buf *b, json_int_t n)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, n);

	buf_add(b, text, (size_t)len);
}

static void
add_real(struct buf *b, const json_t *value)
{
	CLEANUP(mem_freep) char *text = json_dumps(value, JSON_ENCODE_ANY);

	buf_adds(b, text ? text : "null");
}

void
canonical_add(struct buf *b, const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		add_object(b, value);
		return;
	case JSON_ARRAY:
		add_array(b, value);
		return;
	case JSON_STRING:
		add_string(b, json_string_value(value),
			   json_string_length(value));
		return;
	case JSON_INTEGER:
		add_integer(b, json_integer_value(value));
		return;
	case JSON_REAL:
		add_real(b, value);
		return;
	case JSON_TRUE:
		buf_add(b, "true", 4);
		return;
	case JSON_FALSE:
		buf_add(b, "false", 5);
		return;
	case JSON_NULL:
		buf_add(b, "null", 4);
		return;
	}
}
