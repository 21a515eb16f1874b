/* SPDX-License-Identifier: Apache-2.0 */
/* One disk's copy, whenever it is made: its ends, its ledger, its pass. */
#ifndef STAGES_COPYING_H
#define STAGES_COPYING_H

#include "io/nbd.h"
#include "stages/copy/ledger.h"
#include "stages/place.h"
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
};

void copying_done(struct copying *c);
/* Makes the volume, or asks for its id. */
int copying_make_volume(struct work *w, struct copying *c, struct err *err);
/* All of it; *ret_facts as replica_facts() has them. */
int copying_run(struct work *w, struct copying *c, json_t **ret_facts,
		struct err *err);

#endif
