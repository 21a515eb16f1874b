/* SPDX-License-Identifier: Apache-2.0 */
/* Findings: what validation has to say, all of it, not just the first. */
#ifndef MANIFESTS_FINDING_H
#define MANIFESTS_FINDING_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"

/* Where something stands in the files given.  file is "-" for stdin; line and
 * column count from 1, 0 means unknown. */
struct pos {
	const char *file;
	unsigned line, column;
};

/* Forklift's condition categories, the worst first.  Critical and Error keep
 * back what they are about. */
enum finding_category {
	FINDING_CRITICAL,
	FINDING_ERROR,
	FINDING_WARN,
	FINDING_ADVISORY,
	FINDING_INFORMATION,
};

struct finding {
	enum finding_category category;
	const char *type;    /* Forklift's condition type where there is one:
	                        "VMNotFound", else ours in the same style */
	const char *message; /* one sentence, with what to do about it */
	const char *object;  /* "Plan demo/web", or NULL */
	const char *vm; /* the entry's key; NULL: about the plan or manifest */
	const char *field; /* "spec.vms[2].targetName", or NULL */
	struct pos pos;	   /* file NULL: nowhere in the manifest */
};

/* {0} with an arena set is an empty list. */
struct findings {
	struct arena *arena; /* owns every string; borrowed */
	struct finding *v;   /* malloc'ed; findings_done frees it */
	size_t n, cap;
};

/* Adds one finding and gives it back for vm, field, object, pos to be filled
 * in; valid until the next is added.  The message is formatted here. */
struct finding *findings_add(struct findings *f, enum finding_category category,
			     const char *type, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void findings_done(struct findings *f);

bool finding_blocks(const struct finding *f); /* Critical or Error */
/* How many block: those about `vm`, and those about no vm.  vm NULL: only
 * the latter. */
size_t findings_blocking(const struct findings *f, const char *vm);

const char *finding_category_name(enum finding_category category);

/* Adds "file:line:column: object: vm name: message", what is known of it. */
void finding_text(const struct finding *f, struct buf *out);

/* An array of objects {category, type, message, object?, vm?, field?, file?,
 * line?, column?}, stable interface of `-o json`; new reference. */
json_t *findings_to_json(const struct findings *f);
/* Adds what findings_to_json gave; what is not of its form counts as
 * Critical. */
void findings_add_json(struct findings *f, const json_t *array);

#endif
