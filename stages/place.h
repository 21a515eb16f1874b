/* SPDX-License-Identifier: Apache-2.0 */
/* The target as one vm's stages see it. */
#ifndef STAGES_PLACE_H
#define STAGES_PLACE_H

#include "stages/stage.h"
#include "stages/target/target.h"

struct copy_target;
struct nbd_server;

struct place {
	const struct target_ops *ops;
	struct target_vm vm;
	struct volume *volumes; /* as many as the shape has disks; owned */
	struct place_stand_in *stand_in; /* what vm points to, or NULL; owned */
};

/* For what is pure alone, in the parent, too: no volumes, nobody is asked.
 * ERR_USER when no target of the plan's type is built in. */
int place_name(const struct view *v, struct place *ret, struct err *err);
/* Asks the target where it all is: for children. */
int place_open(const struct view *v, struct place *ret, struct err *err);
/* Only to claim it and to ask whose it is, and of targets that have claims: a
 * fake one has no volumes of this kind, but the very same claim. */
bool place_has_claim(const struct plan *plan);
int place_open_claim(const struct view *v, struct place *ret, struct err *err);
void place_done(struct place *p); /* {0} is fine */

/* Says at the target that somebody works there, where it is ours. */
int place_hold(struct work *w, const struct place *p, struct err *err);
/* Was a commit to any of its volumes begun, whoever knows of it? */
int place_is_committed(const struct place *p, bool *ret, struct err *err);
/* ERR_FAIL unless the volumes are those that this state copied to, by the
 * steps of that stage. */
int place_is_as_copied(const struct work *w, const struct place *p,
		       const char *copied_by, struct err *err);
/* Claims the target and holds it; takes it over where that was accepted. */
int place_claim(struct work *w, const struct place *p, struct err *err);
/* The source is given back: whoever takes over looks at it anew. */
int place_forget_power(const struct place *p, struct err *err);
/* Is there anything of ours at the target?  Foreign: ERR_HELD.  Where the
 * journal says that there was, a claim that is gone is found by what needs
 * it. */
int place_holds_ours(const struct work *w, const struct place *p, bool *ret,
		     struct err *err);
/* Whoever is started as the source must be what was copied. */
int place_source_is_itself(const struct view *v, struct err *err);
/* ERR_FAIL when the target may have run, unless what it wrote may be lost; and
 * then, too, while there is no source to be given back for it. */
int place_may_undo(const struct view *v, const struct place *p,
		   struct err *err);
/* ERR_RETRY while it runs. */
int place_must_be_off(const struct place *p, struct err *err);

/* How a volume is got at, by the file or by a server that the caller stops,
 * also when this fails.  What is only read is read from the disk: what the
 * page cache has of it proves nothing. */
int place_serve(struct work *w, const struct volume *volume, bool writable,
		struct nbd_server *server, struct copy_target *ret,
		struct err *err);

/* The ledger of one disk, in the vm's state; caller frees. */
char *place_ledger(const struct view *v, const struct inv_disk *disk);
char *place_ledger_at(const char *state_dir, const char *disk);

/* When to stop waiting: the policy's limit from now on, but a little before
 * the step's own deadline, so that it is us who say what was waited for.
 * limit_ms 0: the policy sets none, and a day is as good as none. */
int64_t place_deadline(const struct work *w, int64_t limit_ms);

#endif
