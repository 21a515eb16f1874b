/* SPDX-License-Identifier: Apache-2.0 */
/* Throw-away qcow2 layers above a vm's disks, all of one attempt in one
 * directory: SCRATCH/ov.3/disk-0.qcow2. */
#ifndef STAGES_OVERLAY_H
#define STAGES_OVERLAY_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "manifests/shape.h"
#include "stages/target/target.h"

struct overlays {
	char *dir;
	struct volume *v; /* in the order of the shape's disks */
	size_t n;
};
void overlays_done(struct overlays *o);

/* Kinds: of the conversion that is committed, of its boot test; the same of a
 * generation that is rehearsed. */
#define OVERLAYS_CONVERTED "ov."
#define OVERLAYS_BOOTED "bt."
#define OVERLAYS_REHEARSED "rehearsal."
#define OVERLAYS_REHEARSED_BOOT "rehearsal-boot."

/* Removes all directories of that kind, each with a number, and nothing else.
 * Whoever wrote in them must be gone. */
int overlays_sweep(const char *scratch, const char *kind, struct err *err);
int overlays_sweep_all(const char *scratch, struct err *err);

/* Removes what boot tests left, unless `keep_converted` also what conversions
 * did, and the directory itself when nothing of others is in it.  *removed is
 * set when there was one of them; it may be NULL. */
int overlays_clear(const char *scratch, bool keep_converted, bool *removed,
		   struct err *err);

/* Makes one above each of `bases`, synced; their directory is new. */
int overlays_create(const char *scratch, const char *kind, int attempt,
		    const struct shape *shape, const struct volume *bases,
		    struct overlays *ret, struct err *err);

/* [{"disk": "disk-0", "path": ...}, ...] and back; a list that is not of this
 * shape's disks is an ERR_BUG. */
json_t *overlays_to_json(const struct overlays *o);
int overlays_from_json(const json_t *json, const struct shape *shape,
		       struct overlays *ret, struct err *err);

/* Says, synced, in the overlays' directory that this step is finished: upon
 * `basis`, with these facts.  For what takes long, and would be done again if
 * the run dies before it has heard of it. */
int overlays_note_done(const char *dir, const char *step, const json_t *basis,
		       const json_t *facts, struct err *err);
/* Was it finished upon just that?  *ret_facts (new reference) stays NULL if
 * not; what cannot be read says nothing. */
int overlays_find_done(const char *dir, const char *step, const json_t *basis,
		       json_t **ret_facts, struct err *err);

/* qemu-img check: whole? */
int overlay_check(const char *path, struct err *err);

#endif
