/* SPDX-License-Identifier: Apache-2.0 */
/* Single values: is it what the field takes, and what goes into the model. */
#include "manifests/field.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "manifests/text.h"

const char *
field_type_name(const struct field *f)
{
	static const char *const names[] = {
	    [FIELD_STRING] = "a string",
	    [FIELD_BOOL] = "true or false",
	    [FIELD_INT] = "a whole number",
	    [FIELD_NUMBER] = "a number",
	    [FIELD_DURATION] = "a duration such as 90s or 1h30m",
	    [FIELD_QUANTITY] = "a quantity such as 512Mi or 10G",
	    [FIELD_TIME] = "a time such as 2026-11-20T22:00:00Z",
	    [FIELD_WORD] = "a word",
	    [FIELD_OBJECT] = "a map",
	    [FIELD_LIST] = "a list",
	    [FIELD_MAP] = "a map",
	    [FIELD_ANY] = "anything",
	    [FIELD_IGNORED] = "anything",
	};

	return names[f->type];
}

const char *
field_nearest_word(const struct field *f, const char *text)
{
	const char *nearest = NULL;
	size_t best = 0, distance;

	for (size_t i = 0; f->words && f->words[i]; i++) {
		if (!text_is_near(text, f->words[i], &distance))
			continue;
		if (!nearest || distance < best) {
			nearest = f->words[i];
			best = distance;
		}
	}
	return nearest;
}

static const char *
decode_string(const struct field *f, const struct node *n, struct arena *arena,
	      const char **at)
{
	const char *wrong;

	if (n->type != NODE_STRING)
		return "must be a string";
	if (n->text[0] == '\0')
		return f->required && f->condition ? "must not be empty" : NULL;
	wrong = f->check ? f->check(n->text) : NULL;
	if (wrong)
		return wrong;
	if (at)
		*at = arena_strdup(arena, n->text);
	return NULL;
}

/* A plain on or off is fine where the field's words say so: nothing else can
 * have been meant. */
static const char *
decode_word(const struct field *f, const struct node *n, struct arena *arena,
	    void *at)
{
	bool is_text =
	    n->type == NODE_STRING || (n->type == NODE_BOOL && n->word);

	if (is_text && !n->text[0] && !f->required)
		return NULL;
	for (int i = 0; is_text && f->words[i]; i++) {
		if (strcmp(n->text, f->words[i]) != 0)
			continue;
		if (at && f->as_text)
			*(const char **)at = arena_strdup(arena, n->text);
		else if (at)
			*(int *)at = i;
		return NULL;
	}
	return "is none of its words";
}

int64_t
field_int_max(const struct field *f)
{
	if (f->max > 0)
		return (int64_t)f->max;
	return f->size == sizeof(int64_t) ? INT64_MAX : INT32_MAX;
}

/* 1.5 and integers that no int64_t holds are floats to YAML. */
static const char *
decode_int(const struct field *f, const struct node *n, void *at)
{
	if (n->type == NODE_FLOAT)
		return FIELD_OUT_OF_RANGE;
	if (n->type != NODE_INT)
		return "must be a whole number";
	if (n->integer < (int64_t)f->min || n->integer > field_int_max(f))
		return FIELD_OUT_OF_RANGE;
	if (at && f->size == sizeof(int64_t))
		*(int64_t *)at = n->integer;
	else if (at)
		*(int *)at = (int)n->integer;
	return NULL;
}

static const char *
decode_number(const struct field *f, const struct node *n, double *at)
{
	double value;

	if (n->type != NODE_INT && n->type != NODE_FLOAT)
		return "must be a number";
	value = n->type == NODE_INT ? (double)n->integer : n->real;
	if (value < f->min || (f->max > 0 && value > f->max))
		return FIELD_OUT_OF_RANGE;
	if (at)
		*at = value;
	return NULL;
}

static const char *
decode_duration(const struct node *n, int64_t *at)
{
	int64_t ms;

	if (n->type != NODE_STRING || clock_parse_duration(n->text, &ms) < 0)
		return n->type == NODE_STRING && errno == ERANGE
			   ? "is too long: at most 2500000000h"
			   : "must be a duration such as 90s or 1h30m";
	if (at)
		*at = ms;
	return NULL;
}

static const char *
decode_quantity(const struct node *n, uint64_t *at)
{
	uint64_t bytes;

	if ((n->type != NODE_STRING && n->type != NODE_INT) ||
	    units_parse_quantity(n->text, &bytes) < 0)
		return n->type == NODE_STRING && errno == ERANGE
			   ? "is too much: less than 8Ei"
			   : "must be a quantity such as 512Mi or 10G";
	if (at)
		*at = bytes;
	return NULL;
}

static const char *
decode_time(const struct node *n, int64_t *at)
{
	int64_t ms;

	if (n->type != NODE_STRING || clock_parse(n->text, &ms) < 0)
		return "must be a time such as 2026-11-20T22:00:00Z";
	if (at)
		*at = ms;
	return NULL;
}

static const char *
decode_bool(const struct node *n, bool *at)
{
	if (n->type != NODE_BOOL)
		return "must be true or false";
	if (at)
		*at = n->truth;
	return NULL;
}

const char *
field_decode(const struct field *f, const struct node *n, struct arena *arena,
	     void *at)
{
	switch (f->type) {
	case FIELD_STRING:
		return decode_string(f, n, arena, at);
	case FIELD_BOOL:
		return decode_bool(n, at);
	case FIELD_INT:
		return decode_int(f, n, at);
	case FIELD_NUMBER:
		return decode_number(f, n, at);
	case FIELD_DURATION:
		return decode_duration(n, at);
	case FIELD_QUANTITY:
		return decode_quantity(n, at);
	case FIELD_TIME:
		return decode_time(n, at);
	case FIELD_WORD:
		return decode_word(f, n, arena, at);
	default:
		return NULL;
	}
}
