/* SPDX-License-Identifier: Apache-2.0 */
/* The reader's rooms: text to objects (load), objects completed one by one
 * (finish), plans tied to what they name (resolve), and what of it we do not
 * honour (honour).  read.c calls them in this order. */
#ifndef MANIFESTS_LOAD_H
#define MANIFESTS_LOAD_H

#include "manifests/tables.h"

struct loaded {
	const struct kind *kind;
	struct object *o;
	struct pendings pendings;
	VEC(struct loaded *) migrations; /* of a plan */
};

struct reader {
	struct arena *arena;   /* the manifest's */
	struct arena *scratch; /* nodes and all that ends with the reading */
	struct findings *findings;
	bool strict;
	VEC(struct loaded *) objects;
	struct strmap by_name; /* "Plan/demo/web" to struct loaded */
	struct loaded *builtin_policy;
	unsigned nsuggestions; /* each costs a pass over the objects */
};

/* Reads one text; its objects are added. */
int load_text(struct reader *r, const char *file, const char *text, size_t len,
	      struct err *err);
/* NULL when there is none. */
struct loaded *load_find(const struct reader *r, const char *kind,
			 const char *namespace, const char *name);
/* An empty object that lives as long as the manifest. */
json_t *load_empty_json(struct reader *r);
/* The run policy that holds where none is written. */
void load_builtin_policy(struct reader *r);

/* What one object needs beyond its table. */
void finish_object(struct reader *r, struct loaded *l);
void finish_script(struct reader *r, struct script *s);

/* Endpoints' secrets, migrations' plans, everything plans refer to. */
void resolve_all(struct reader *r);
void resolve_vms(struct reader *r, struct plan *plan);

/* A policy's waves by themselves; a plan's vms put into them; and, when all
 * plans are, whether there is anybody that nobody knows. */
void finish_waves(struct reader *r, struct run_policy *policy);
void finish_bandwidth(struct reader *r, struct run_policy *policy);
void finish_window(struct reader *r, struct run_policy *policy);
/* "08:00" to minutes, up to "24:00"; -1: it is no time of day. */
int minutes_of_day(const char *text);
/* As written, to bits: Sunday is the first; of none all are meant. */
unsigned days_of_week(const char *const *days, size_t n);
void resolve_waves(struct reader *r, struct plan *plan);
void check_waves(struct reader *r, const struct run_policy *policy);

/* What this plan asks for and we do not do. */
void honour_plan(struct reader *r, struct loaded *plan);

/* A finding about an object; `field` may be NULL, else the message begins with
 * it. */
struct finding *say(struct reader *r, enum finding_category category,
		    const char *type, const struct object *about,
		    struct pos pos, const char *field, const char *fmt, ...)
    __attribute__((format(printf, 7, 8)));

#endif
