/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of fields drive the reader: one row says what a field is called, what
 * it may hold, what it is when absent, where it goes in the model, whether we
 * honour it and what it means.  FORMAT.md and our CRDs are compared with them.
 *
 * field_walk() checks nodes against a table, fills the model and gives the
 * JSON that scripts see, defaults included. */
#ifndef MANIFESTS_FIELD_H
#define MANIFESTS_FIELD_H

#include "manifests/model.h"
#include "manifests/node.h"

enum field_type {
	FIELD_STRING,	/* const char *, NULL when empty */
	FIELD_BOOL,	/* bool */
	FIELD_INT,	/* int, or int64_t where size says so */
	FIELD_NUMBER,	/* double */
	FIELD_DURATION, /* int64_t, milliseconds */
	FIELD_QUANTITY, /* uint64_t, bytes */
	FIELD_TIME,	/* int64_t, wall milliseconds */
	FIELD_WORD,	/* enum in the order of words, or text if as_text */
	FIELD_OBJECT,	/* fields of `sub`, in the same struct or at `at` */
	FIELD_LIST,	/* array at `at` of `size` each, size_t at count_at;
	                   without size only JSON */
	FIELD_MAP,	/* json_t *, borrowed from the object's JSON */
	FIELD_ANY,	/* only JSON */
	FIELD_IGNORED,	/* not even looked at */
};

enum honour {
	HONOURED,
	NO_EFFECT, /* nothing we do depends on it; why says why */
	NOT_YET,   /* an Error when it would change the result */
};

/* Would this value change what a run of this plan does? */
typedef bool field_matters_fn(const struct plan *plan,
			      const struct node *value);
/* NULL, or what is wrong: "must be ..." */
typedef const char *field_check_fn(const char *text);

/* A table is an array of these, its last name NULL. */
struct field {
	const char *name;
	enum field_type type;
	const char *dflt; /* as plain YAML: 5s, 20, true, [], {} */
	bool required;
	bool as_text;
	bool secret; /* its value appears in no message */
	size_t at;   /* 1 + offset in the struct; 0: not decoded */
	size_t count_at, size;
	size_t pos_at;		  /* 1 + offset of a struct pos to fill in */
	const char *const *words; /* NULL-terminated */
	const struct field *item; /* of a list or map; its name is not used */
	const struct field *sub;
	double min, max; /* max 0: what an int, or int64_t, holds; a
	                    FIELD_NUMBER always has one */
	field_check_fn *check;
	/* Forklift's condition (Critical) when it is missing or wrong. */
	const char *condition;
	enum honour honour;
	field_matters_fn *matters; /* NULL: whenever it is set and differs
	                              from its default */
	bool final;		   /* `waive` does not help */
	const char *why;	   /* for NO_EFFECT and NOT_YET */
	const char *doc;
};

/* For an object whose fields go nowhere, although its table says where. */
#define NOWHERE SIZE_MAX
#define AT(type, member) (1 + offsetof(type, member))
#define LIST_AT(type, array, count)                         \
	.at = AT(type, array), .count_at = AT(type, count), \
	.size = sizeof(*((type *)NULL)->array)

/* Where a value stands, as a chain of the caller's frames. */
struct field_path {
	const struct field_path *up;
	const char *name; /* NULL: a list's entry */
	size_t index;
};

/* A value that one plan or another may not have honoured. */
struct pending {
	const struct field *field;
	const struct node *value;
	const char *path; /* "spec.vms[2].luks" */
	bool said;	  /* once, however many plans share the object */
};

struct pendings {
	VEC(struct pending) list;
};

/* What the walk of one object needs. */
struct walk {
	struct arena *arena;   /* of the model */
	struct arena *scratch; /* lives as long as the nodes */
	struct findings *findings;
	bool strict;
	const char *kind, *object; /* "Plan", "Plan demo/web" */
	struct pendings *pendings;
};

/* New reference.  `base` NULL: nothing is decoded; `n` NULL: all absent. */
json_t *field_walk(struct walk *w, const struct field *table,
		   const struct node *n, void *base,
		   const struct field_path *path);

/* Decodes a scalar; NULL or what it must be. */
const char *field_decode(const struct field *f, const struct node *n,
			 struct arena *arena, void *at);
/* What it is when the field's limits are to be told. */
#define FIELD_OUT_OF_RANGE "is out of range"
int64_t field_int_max(const struct field *f);
/* "a string", "a duration such as 90s or 1h30m" */
const char *field_type_name(const struct field *f);
/* The value that a value of the wrong case or spelling was meant to be. */
const char *field_nearest_word(const struct field *f, const char *text);

char *field_path_text(struct arena *arena, const struct field_path *path);

#endif
