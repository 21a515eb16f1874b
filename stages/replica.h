/* SPDX-License-Identifier: Apache-2.0 */
/* One disk's replica as copying sees it: its generation, its ledger, what is
 * on record of it.  The same for every endpoint. */
#ifndef STAGES_REPLICA_H
#define STAGES_REPLICA_H

#include "stages/copy/copy.h"
#include "stages/stage.h"
#include "stages/target/target.h"

/* The generation that a copy begun now belongs to; recorded before its first
 * byte.  A generation is one point in time of the source: it goes on as long
 * as the epoch does; what changes the epoch begins a new one, and so does
 * somebody who wants the copy made anew. */
int replica_generation(struct work *w, uint32_t *ret, struct err *err);

/* The highest generation that any block of its ledger bears, of a copy that was
 * cut short, too; 0: there is no ledger that tells. */
int replica_newest(const struct view *v, const struct inv_disk *disk,
		   uint32_t *ret, struct err *err);

/* The one that was begun for it, if that was: nothing is recorded. */
bool replica_begun(const struct work *w, uint32_t *ret);

/* Does its ledger know all of the disk at that generation, with such proof as
 * is wanted?  *ret (ledger_close) also when not, if it can be read. */
bool replica_is_whole(const struct work *w, const char *path,
		      uint32_t generation, struct ledger **ret);
/* And is it this vm's, this disk's, and that volume's? */
bool replica_is_of(const struct work *w, const struct ledger *l,
		   const char *volume_id);

/* How long the disk was, by its ledger; 0: nothing is known. */
uint64_t replica_was_bytes(const struct work *w);

/* Opens or makes the disk's ledger for the volume of that id; `fresh`: it was
 * made just now.  A ledger of another volume knows nothing of this one and
 * goes, as does one that cannot be read, and one without digests when some are
 * wanted. */
int replica_ledger(struct work *w, const char *volume_id, bool fresh,
		   struct ledger **ret, struct err *err);

/* No comparison, repair or delta after this: the disk is about to differ.
 * Fine where there is no ledger. */
int replica_seal(const struct view *v, const struct inv_disk *disk,
		 struct err *err);

/* What a finished copy leaves on record. */
json_t *replica_facts(const struct work *w, const struct volume *volume,
		      const char *volume_id, const struct ledger *ledger,
		      uint32_t generation, const struct copy_progress *p);

/* Puts on record that the disk is not what was copied, before anybody is told
 * (WORK_DIFFERS). */
int replica_doubt(struct work *w, const struct inv_disk *disk, struct err *err);
/* Likewise, where copy_verify() failed with this result and `err`, if it came
 * so far as to find that; what is to be said is in `err` then. */
void replica_compared(struct work *w, const struct inv_disk *disk,
		      const struct verify_result *result, struct err *err);
/* All of the disk was read back and is what was copied: it is in doubt no
 * longer (WORK_AGREES). */
int replica_agrees(struct work *w, const struct inv_disk *disk,
		   struct err *err);

/* Reads the volume back and compares it with the disk's ledger. */
int replica_verify(struct work *w, const struct volume *volume,
		   json_t **ret_facts, struct err *err);

/* Tells the run how far a copy or verification is. */
void replica_tell(struct work *w, const struct copy_progress *p);

#endif
