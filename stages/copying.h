/* SPDX-License-Identifier: Apache-2.0 */
/* One disk's copy, whenever it is made: its ends, its ledger, its pass. */
#ifndef STAGES_COPYING_H
#define STAGES_COPYING_H

#include "io/nbd.h"
#include "stages/copy/copy.h"
#include "stages/copy/ledger.h"
#include "stages/place.h"
#include "stages/source/source.h"
#include "stages/stage.h"

/* A copy as it is set up: what has to be undone at the end.  Begins as {0}
 * with generation and place filled in. */
struct copying {
	struct place place;
	uint32_t generation;
	const struct volume *volume; /* one of place's */
	char *volume_id;
	bool fresh; /* the volume was made now */
	struct ledger *ledger;
	struct nbd_server source, target;
	char *source_file; /* instead of the source's server */
	/* Of a warm plan: what was copied at the earlier point `since` (0: at
	 * none) counts, and changes says what did change; unknown, all is read
	 * and compared. */
	bool warm;
	bool anew; /* but not when it is asked for anew: nothing counts then */
	uint32_t since;
	struct source_changes changes;
	enum copy_pass pass; /* the one it came to */
	char *why; /* no COPY_CHANGED, though something is copied; or NULL */
};

void copying_done(struct copying *c);
/* Makes the volume, or asks for its id. */
int copying_make_volume(struct work *w, struct copying *c, struct err *err);
/* How many bytes changed, as far as the source said so. */
uint64_t copying_changed(const struct copying *c);
/* What a ledger says of the disk: struct stage's copied(). */
struct copied copying_copied(const struct view *v, const struct inv_disk *disk);
/* All of it, from an open source (`source` or `source_file`, else the disk as
 * it is now, the vm being off); *ret_facts as replica_facts() has them. */
int copying_run(struct work *w, struct copying *c, json_t **ret_facts,
		struct err *err);

#endif
