/* SPDX-License-Identifier: Apache-2.0 */
/* The vms of one plan made ready to be looked at or worked on: state,
 * inventory, graph, schedule.
 *
 * A vm whose journal proves it finished is settled from its own records: no
 * endpoint is asked about it and no child is started for it. */
#ifndef RUNNER_BATCH_H
#define RUNNER_BATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "due.h"
#include "execute.h"
#include "manifests/digest.h"
#include "manifests/finding.h"
#include "manifests/inventory.h"
#include "manifests/model.h"

enum batch_verdict {
	BATCH_READY,	/* has a schedule with something to do */
	BATCH_FINISHED, /* nothing to do */
	BATCH_BACK,	/* kept back: error says why */
};

struct batch_vm {
	struct vm_run run; /* view, graph, schedule where there are any */
	struct inventory *recorded; /* what the state directory remembers */
	enum batch_verdict verdict;
	bool is_archived; /* finished only in that no run works on it */
	struct err error; /* of BATCH_BACK */
	/* Whose the target is, where it is another's (target.h, claimant). */
	json_t *claim;
	/* The target says that its disks are committed, the journal does not:
	 * the state directory is older than they are. */
	bool outdated;
	/* Why all is begun anew beside the disks that are there, or NULL. */
	char *renew;
	struct standing standing; /* as its state was opened */
	struct due due;		  /* known of what is not finished */
	/* Of what is to be done for it; empty when nothing is, or when
	 * something else than a missing --accept keeps it back. */
	char digest[DIGEST_HEX_SIZE];
};

struct batch {
	struct arena *arena;
	const struct manifest *manifest;
	const struct plan *plan;
	const char *root; /* of the state directories; borrowed */
	struct findings findings;
	struct inventory *inventory; /* NULL when nobody was asked */
	struct checker *checker;     /* of its vms; NULL likewise */
	struct batch_vm *vms;
	size_t nvms;
	bool left_behind; /* some state matters, and no entry is for it */
	char digest[DIGEST_HEX_SIZE]; /* of all that is to be done */
};

struct batch_opts {
	const char *root;	     /* of the state directories */
	const struct findings *read; /* what reading the manifest found */
	const char *const *only;     /* keys of vms; NULL ends; NULL: all */
	bool take;    /* lock the vms and bind their journals: for `run` */
	enum aim aim; /* all but AIM_RUN: from the records, and finished vms */
	bool may_discard;	 /* what a target wrote may be lost: rollback */
	bool offline;		 /* recorded answers only */
	struct events *events;	 /* see journal_tee; or NULL */
	const char *const *redo; /* stages to do anew, NULL ends; or NULL */
	const char *const *accept; /* digests, NULL ends; or NULL */
	const char *expect;	   /* digest, or NULL: anything is right */
	const char *args; /* of words_again, for commands that are named */
};

/* -1 only when nothing at all can be said, or when what is to be done is not
 * what `expect` expects (ERR_NOT_READY); what concerns one vm is its verdict.
 * *ret is set in either case. */
int batch_open(const struct manifest *manifest, const struct plan *plan,
	       const struct batch_opts *opts, struct batch **ret,
	       struct err *err);
/* Adds what the validate stage would find for vms that are to be moved, to
 * `findings`; `read_data`: also what takes reading all of the source's data. */
int batch_check(struct batch *b, bool read_data, struct err *err);
/* The vm's log; -1 is this vm's failure only. */
int batch_open_log(struct vm_run *vm, struct err *err);
/* The record that begins what is done to it: from here on the writers of
 * earlier runs are known to be gone. */
int batch_begin(struct vm_run *vm, struct err *err);
/* "ready", "finished", "archived", "kept back", "cancelled" */
const char *batch_verdict_name(const struct batch_vm *v);
void batch_free(struct batch *b); /* NULL is fine */

#endif
