/* SPDX-License-Identifier: Apache-2.0 */
/* YAML as a tree that remembers where everything stood.
 *
 *	text --parse--> nodes --field tables--> model structs and JSON
 *
 * A tree belongs to an arena and is only needed while a manifest is read.
 * Aliases share nodes, so a tree may be a graph, but never with a cycle. */
#ifndef MANIFESTS_NODE_H
#define MANIFESTS_NODE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/vec.h"
#include "manifests/finding.h"
#include "manifests/strmap.h"

enum node_type {
	NODE_NULL,
	NODE_BOOL,
	NODE_INT,
	NODE_FLOAT,
	NODE_STRING,
	NODE_LIST,
	NODE_MAP,
};

struct pair {
	struct node *key, *value;
};

struct node {
	enum node_type type;
	bool truth; /* NODE_BOOL */
	bool word;  /* NODE_BOOL written as yes, no, on, off, y or n */
	bool done; /* its end was read; an alias to one that is not is a loop */
	unsigned weight; /* nodes in it, aliases counted every time */
	struct pos pos;
	const char *text; /* scalars: as written */
	union {
		int64_t integer;
		double real;
		struct node **items; /* n of them */
		struct pair *pairs;  /* n of them, duplicate keys dropped */
	};
	size_t n;
	struct strmap *index; /* of a large map: key to its pair */
};

/* Limits on what one file may ask of us; FORMAT.md names them. */
#define NODE_MAX_BYTES ((size_t)64 << 20)
#define NODE_MAX_DEPTH 64
#define NODE_MAX_NODES (8u << 20)    /* in one file, aliases expanded */
#define NODE_MAX_EXPANDED (1u << 20) /* of these, what aliases add */
#define NODE_MAX_DOCUMENTS 100000

/* The documents of one text in order. */
struct documents {
	VEC(struct node *) list;
};

/* Reads text as YAML (JSON is YAML).  Duplicate keys and strange tags are
 * findings; what cannot be read at all is ERR_USER with file:line:column.
 * `file` must live as long as the nodes do. */
int node_parse(struct arena *arena, const char *file, const char *text,
	       size_t len, struct findings *findings, struct documents *ret,
	       struct err *err);
void documents_done(struct documents *d);

/* A scalar as a plain one would be read; "[]" and "{}" are the empty list and
 * map.  For defaults. */
struct node *node_plain(struct arena *arena, const char *text, struct pos pos);

/* Sets type and value from text: YAML 1.1 as Kubernetes' clients read it. */
void node_resolve_plain(struct node *n);

/* The value of a key in a map; NULL when n is no map or has no such key. */
const struct node *node_get(const struct node *n, const char *key);
const char *node_type_name(const struct node *n); /* "a list", "a string" */
json_t *node_to_json(const struct node *n);	  /* new reference */

/* Adds a finding that stands at pos; strings go to the findings' arena. */
struct finding *finding_at(struct findings *f, enum finding_category category,
			   const char *type, struct pos pos, const char *fmt,
			   ...) __attribute__((format(printf, 5, 6)));

#endif
