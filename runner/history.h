/* SPDX-License-Identifier: Apache-2.0 */
/* What a vm's journal says: the fold over its records that schedule, status
 * and every later run read. */
#ifndef RUNNER_HISTORY_H
#define RUNNER_HISTORY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "io/process.h"
#include "journal.h"
#include "manifests/digest.h"

/* How far a step got, as far as is known. */
enum history_state {
	HISTORY_NEVER,
	HISTORY_OPEN, /* an intent without a result: it runs, or it was cut */
	HISTORY_DONE,
	HISTORY_FAILED, /* or done, and voided since by a later step */
	HISTORY_UNDONE, /* it was done, and taken back */
	HISTORY_AGAIN,	/* somebody wants it done anew, and it is not begun */
};

struct step_history {
	char *id; /* "cutover/disk-0" */
	enum history_state state;
	json_int_t begun_seq, done_seq; /* of the last intent, last success */
	json_int_t void_seq; /* of the last record that it does not hold */
	int attempts;
	int redone;			   /* how often it was asked for anew */
	char fingerprint[DIGEST_HEX_SIZE]; /* of the last intent */
	json_t *inputs;			   /* of the last intent */
	json_t *facts;			   /* of the last success, or NULL */
	json_t *recorded;		   /* key to value, all attempts */
	char *begun, *ended;		   /* RFC 3339, or NULL */
	enum err_class error_class;	   /* of the last failure */
	char *error;
	/* Of its retries, since it was last done or given fresh ones: the
	 * failures that counted, the pauses, and when nothing was left. */
	int tried;
	int64_t paused_ms;
	char *used_up;
};

/* A process that may still write for this vm: begun, not known to have
 * ended. */
struct writer {
	struct process_id id;
	const char *step; /* its id; borrowed from the history */
};

struct history {
	int version;	   /* 0: the journal is empty */
	char *uuid;	   /* of the state directory */
	char *plan;	   /* "ns/name" */
	char *source_id;   /* the vm this state is bound to, or NULL */
	char *target_name; /* chosen once, or NULL */
	char *inventory_digest;
	struct step_history **steps;
	size_t nsteps;
	struct writer *writers;
	size_t nwriters;
	char *finished; /* when its last step was done, or NULL */
	/* A rollback: begun, done, and with the permission to lose what the
	 * target wrote. */
	char *rollback_begun, *rolled_back;
	/* When a source that ran was about to be stopped, or NULL; forgotten
	 * when it is given back. */
	char *source_stopped;
	bool may_discard;
	/* How often all from the first copy on was begun anew, and the number
	 * under which the disks made before then are set aside; 0: they are
	 * not. */
	int renewals, aside;
	bool removal_begun; /* of the disks: not one of them is to be trusted */
	char *run_begun, *run_ended;
	char *run_error; /* why the last run stopped here, or NULL */
	enum err_class run_class;
	/* Disk to {by, generation, time}: found not to be what was copied, and
	 * not read back whole nor copied whole since (WORK_DIFFERS). */
	json_t *doubts;
	/* Kind to the request in force of that kind (request.h). */
	json_t *requests;
};

struct history *history_new(void);
void history_free(struct history *h); /* NULL is fine */

/* Lets go of what only a schedule reads, of a vm that is done with: one
 * run's vms are many. */
void history_forget(struct history *h);

/* A journal_visit_fn; arg is the history.  A record of a newer version of the
 * format is ERR_FAIL. */
int history_visit(void *arg, const json_t *record, struct err *err);

/* NULL when it was never begun, or not since all was begun anew. */
const struct step_history *history_step(const struct history *h,
					const char *id);
/* The same, but what was begun before all was begun anew is found, too: its
 * attempts, and what it recorded. */
const struct step_history *history_past(const struct history *h,
					const char *id);
/* It was done, and another found since that this does not hold any more, as
 * `error` says. */
bool step_history_is_void(const struct step_history *s);
/* Until it is done again, nothing that it left proves that it is done. */
bool step_history_begins_anew(const struct step_history *s);
/* Was its source stopped, or may it have been, and is it not given back? */
bool history_is_cut_over(const struct history *h);
/* Was its target's start begun, and is neither done nor taken back, nor known
 * to have ended before anything was marked there? */
bool history_may_run(const struct history *h);
/* May the target have been started so far?  Not when start's last attempt ended
 * before anything was marked there. */
bool history_may_have_started(const struct history *h);
/* The same, but of an attempt that is under way, or was cut, what it has said
 * so far is believed: for one that comes after it. */
bool history_may_be_marked(const struct history *h);
/* And that attempt ended because the source ran. */
bool history_source_ran_at_start(const struct history *h);
/* What was begun of it keeps steps before it from being done again: as
 * history_step(), but for a start that has not started anything. */
const struct step_history *history_binding(const struct history *h,
					   const char *id);
/* Its `doubts`, or NULL once its commit or start has begun: by then it is no
 * copy that could be told from another. */
json_t *history_doubts(const struct history *h);
/* Which step is on record for the disk there; borrowed or NULL. */
const char *history_doubted_by(const struct history *h, const char *disk);
/* The request of this kind that is in force; borrowed or NULL. */
json_t *history_request(const struct history *h, const char *kind);
/* Step id to facts, of all steps done; new reference. */
json_t *history_facts(const struct history *h);
/* Where its definition at the target is, while there is one: {uri, domain,
 * pools?} or {home}; new reference, NULL: nowhere. */
json_t *history_place(const struct history *h);

#endif
