/* SPDX-License-Identifier: Apache-2.0 */
/* Where vms go.  One file (or family) per endpoint type exports one
 * `const struct target_ops`; target.c lists them.  Runs in step children,
 * except what is said to be pure, which asks nobody and touches nothing: that
 * is for the parent, too. */
#ifndef STAGES_TARGET_H
#define STAGES_TARGET_H

#include <jansson.h>

#include "base/err.h"
#include "io/process.h"
#include "manifests/finding.h"
#include "manifests/inventory.h"
#include "manifests/model.h"
#include "manifests/shape.h"

struct target_at;    /* what a target's open() found out; its own */
struct files_layout; /* files.h */

/* What a target needs to know; the stages fill it from their view. */
struct target_vm {
	const struct endpoint *endpoint;
	const struct plan *plan;
	const struct plan_vm *pvm;
	const struct inv_vm *vm;
	const struct shape *shape;
	const char *state_uuid; /* of the vm's state directory: who claims */
	const char *state_dir;	/* the same, for people; may be NULL */
	/* The claim, by its id, that may be taken over; or NULL. */
	const char *takeover;
	/* As open() left it; NULL where there is none, and in the parent. */
	struct target_at *at;
	int aside; /* the number its disks are set aside under; 0: none */
	/* For check() alone: the vms that are moved to the same endpoint and
	 * come before this one. */
	const struct target_vm *ahead;
	size_t nahead;
	/* For start(): who is told of a process before it is the target, as in
	 * struct process_opts; NULL: nobody. */
	int (*on_start)(void *arg, const struct process_id *id,
			struct err *err);
	/* For start(), too: asked when all that runs the vm is there, and its
	 * guest does not run yet; -1: it must not, and the vm is to be stopped.
	 * NULL: it may. */
	int (*may_run)(void *arg, struct err *err);
	void *arg; /* of both */
};

/* What the hand-over mark says.  With one, no run writes the disks. */
enum handover {
	HANDOVER_NONE,
	HANDOVER_LEFT_OFF, /* handed over stopped: the operator may start it */
	HANDOVER_STARTED,  /* written before the first start: it may have run */
	HANDOVER_ROLLED_BACK, /* the source has it again: nobody may start it */
};

/* There is nothing to be done about a target that another's state directory
 * handed over but by that: sets `err` (its class is the caller's) and returns
 * -1. */
int target_is_anothers(const char *where, const char *who, enum handover state,
		       enum err_class class, struct err *err);

/* Where a disk's replica lives. */
struct volume {
	char *path;	    /* raw file, qcow2 file or block device; owned */
	const char *format; /* raw, qcow2 */
};
void volume_done(struct volume *v);

/* In a claim: "on" or "off", as note_power was told. */
#define TARGET_CLAIM_POWER "sourcePower"

struct target_ops {
	const char *type;
	/* Where it is files, how they are laid out; else NULL. */
	const struct files_layout *files;

	/* Can this endpoint be written to at all?  Pure; NULL: any. */
	bool (*accepts)(const struct endpoint *ep, struct err *err);
	/* Asks the endpoint where the vm's things are, before anything else of
	 * what is not pure, and lets go of it; NULL: nothing has to be asked.
	 * ERR_USER where the maps name what is not there. */
	int (*open)(const struct target_vm *t, struct target_at **ret,
		    struct err *err);
	void (*close)(struct target_at *at);

	/* Findings before anything is copied: writable, space for all disks,
	 * name free, claimed or handed over already. */
	int (*check)(const struct target_vm *t, struct findings *findings,
		     struct err *err);

	/* The hand-over mark first (ERR_FAIL, says what to do), then the claim
	 * (foreign: ERR_HELD with who); called before every step that writes
	 * disks.  Missing claim: fine here. */
	int (*guard)(const struct target_vm *t, struct err *err);

	/* Makes the vm's place and claims it for plan, vm and state_uuid;
	 * idempotent.  The claim that may be taken over becomes ours unless
	 * somebody works on it (ERR_HELD); what it had is made anew. */
	int (*claim)(const struct target_vm *t, struct err *err);
	/* Into our claim, synced, before the source is stopped: how it was, for
	 * a state that takes over and has no journal of it.  NULL: the source
	 * is given back, nobody needs to know. */
	int (*note_power)(const struct target_vm *t, const char *was,
			  struct err *err);
	/* Whose claim is in our way: *ret stays NULL when nobody's is, or when
	 * the vm was handed over; else an object with "id", "who", "where",
	 * the "claim" itself, and "heldBy" while somebody works on it. */
	int (*claimant)(const struct target_vm *t, json_t **ret,
			struct err *err);
	/* Where our claim is: *ret_fd is a lock that keeps every other run from
	 * working there, as long as anybody has it open; else -1.  `held` is
	 * the one this run has already, or 0: while that is good, -1.  ERR_HELD
	 * when another run has it. */
	int (*hold)(const struct target_vm *t, int held, int *ret_fd,
		    struct err *err);

	/* What the volume of disk number `n` is called, for people and as an
	 * input of what is done with it; pure, caller frees. */
	char *(*name)(const struct target_vm *t, size_t n);
	/* Where it goes. */
	void (*volume)(const struct target_vm *t, size_t n, struct volume *ret);

	/* Makes the volume unless it is there with this size and *ret_id; new
	 * ones read as zeroes.  *ret_id (caller frees) identifies the volume,
	 * another id means other contents.  *ret_fresh: it was made now. */
	int (*create_volume)(const struct target_vm *t, size_t n, char **ret_id,
			     bool *ret_fresh, struct err *err);

	/* The volume was made when the disk had `was` bytes, less than now:
	 * makes it larger, what is new reads as zeroes.  Fine when it has its
	 * size already; one that is missing or of any other size stays for
	 * create_volume.  NULL: its volumes do not grow. */
	int (*grow_volume)(const struct target_vm *t, size_t n, uint64_t was,
			   struct err *err);

	/* The id of the volume that is there (caller frees; NULL: there is
	 * none), and whether it was sealed.  Changes nothing. */
	int (*volume_is)(const struct target_vm *t, size_t n, char **ret_id,
			 bool *ret_sealed, struct err *err);
	/* Before a commit's first byte: says at the target, for whoever comes
	 * with whatever state, that these volumes are replicas no more.  From
	 * then on create_volume refuses them; it ends with their ids. */
	int (*seal)(const struct target_vm *t, struct err *err);

	/* What it is called once it is set aside; pure, caller frees. */
	char *(*aside)(const struct target_vm *t, size_t n);
	/* Takes disks, definition and overlays out of the way, so that all can
	 * be made anew; they stay until remove().  Needs our claim, no mark,
	 * and a vm that does not run; idempotent. */
	int (*set_aside)(const struct target_vm *t, struct err *err);

	/* A directory for overlays, on storage with room; caller frees. */
	char *(*scratch)(const struct target_vm *t);

	/* Defines the vm, stopped; idempotent; *ret_facts says where. */
	int (*create_vm)(const struct target_vm *t, json_t **ret_facts,
			 struct err *err);
	/* Is it defined just as create_vm would do it, and would that survive a
	 * power cut?  Then *ret_facts are what create_vm would give.  Changes
	 * nothing. */
	int (*is_defined)(const struct target_vm *t, bool *ret,
			  json_t **ret_facts, struct err *err);
	/* The hand-over mark, synced: from now on no run writes these disks.
	 * Needs our claim.  One that says "started" never says "left off"
	 * again (no error), one that says "rolled back" stays (ERR_FAIL). */
	int (*mark)(const struct target_vm *t, enum handover state,
		    struct err *err);
	int (*marked)(const struct target_vm *t, enum handover *ret,
		      struct err *err);
	/* Starts it unless it runs, and waits until it does; *ret_facts says
	 * how to find it again.  Refuses without a mark that allows it. */
	int (*start)(const struct target_vm *t, json_t **ret_facts,
		     struct err *err);
	int (*power_state)(const struct target_vm *t, enum power_state *ret,
			   struct err *err);
	/* Does all of its place bear our claim?  Foreign: ERR_HELD. */
	int (*owned)(const struct target_vm *t, bool *ret, struct err *err);
	/* Removes what create_vm made, keeps the disks; idempotent.  Needs our
	 * claim, and a vm that does not run. */
	int (*undefine)(const struct target_vm *t, struct err *err);
	/* Removes all that we know by name where our claim is: disks,
	 * definition, mark, and the claim last; idempotent.  The vm must not
	 * run. */
	int (*remove)(const struct target_vm *t, struct err *err);
	/* Would stop() find it off, or what it may stop?  Else it says what is
	 * in the way.  NULL: nothing ever is. */
	int (*may_stop)(const struct target_vm *t, struct err *err);
	/* Asks the guest and gives it grace_ms, then insists (0: at once);
	 * returns when it does not run. */
	int (*stop)(const struct target_vm *t, int64_t grace_ms,
		    struct err *err);
};

const struct target_ops *target_find(const char *type);

extern const struct target_ops target_local, target_libvirt;

#endif
