/* SPDX-License-Identifier: Apache-2.0 */
/* How one step is done.  A stage is a file that exports one
 * `const struct stage`; stages.c lists them in the order of the pipeline.
 *
 * The runner calls applies() and inputs() in the parent: they are pure, they
 * never touch an endpoint.  run() and probe() are called in a forked child
 * that owns nothing else: blocking code that reads like a story, and may leak
 * what ends with it. */
#ifndef STAGES_STAGE_H
#define STAGES_STAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "base/sample.h"
#include "io/process.h"
#include "manifests/check.h"
#include "manifests/inventory.h"
#include "manifests/model.h"
#include "manifests/shape.h"
#include "manifests/strmap.h"

/* What a step has from being asked to stop until it is killed; a run then has
 * what is left of 10 s to write that down. */
#define STAGE_GRACE_MS 8000

/* Everything about one vm that is known before a step runs.  Borrowed. */
struct view {
	const struct manifest *manifest;
	const struct plan *plan;
	const struct plan_vm *pvm;
	const struct inv_vm *vm;
	const struct inventory *inventory; /* all vms of the source */
	const struct checker *checker;	   /* of plan and inventory, or NULL */
	const struct shape *shape;
	const char *state_dir;	/* of this vm, absolute */
	const char *state_uuid; /* who claims at the target */
	/* Whose claim at the target may be taken over, by its id; or NULL. */
	const char *takeover;
	/* Under which number the disks made so far are set aside before all is
	 * copied anew; 0: they are not. */
	int aside;
	/* Of the vms to be moved those that come before this one in the plan:
	 * who shares room with whom. */
	const struct view *const *ahead;
	size_t nahead;
	/* Of a warm plan: which generation the source's running vm is copied in
	 * now, or was copied in last, from 1; 0: none, the plan is cold. */
	unsigned round;
	/* Points in time of ours may be at the source, whatever the plan is
	 * now: they are to be removed in the end. */
	bool has_points;
	bool may_discard; /* what the target wrote may be lost: rollback */
	/* The source's epoch when the last cutover was begun, and as it left
	 * the source: stopping it is no new stretch of its life.  NULL: it was
	 * not cut over. */
	const char *epoch_before, *epoch_left;
	/* stages_replica of it, where many stages want that; or NULL. */
	const json_t *replica;
};

/* One step being carried out, seen from inside its child. */
struct work {
	const struct view *view;
	const struct stage *stage;
	const char *step;	     /* its id: "convert", "cutover/disk-0" */
	const struct inv_disk *disk; /* NULL in a vm's step */
	size_t ndisk;		     /* its number, when there is one */
	int attempt;		     /* counts from 1 over all runs */
	int redone;		     /* how often it was asked for anew */
	/* An earlier attempt with the same inputs was begun, and nobody heard
	 * that it succeeded: it may have done all of it, a part, or nothing. */
	bool unsettled;
	/* Of "start": for all that is on record an earlier attempt may have
	 * marked the target, and started it. */
	bool maybe_marked;
	int64_t mono_deadline_ms; /* 0: none */
	int held_fd;		  /* the run's lock at the target; 0: none */
	/* By disk {by, generation, time}: those in doubt (WORK_DIFFERS). */
	const json_t *doubts;
	const json_t *facts; /* step id to the result of that step */
	const json_t
	    *recorded; /* what earlier attempts of this step recorded */
	struct bandwidth *bandwidth; /* shared with other steps, or NULL */
	struct work_link *link;	     /* to the parent; runner/step.c */
};

/* Progress, dropped when the parent is busy; never blocks. */
void work_progress(struct work *w, uint64_t done, uint64_t total);
/* Of a disk that is copied or verified, in bytes: `done` are settled, of which
 * some were read and written now, some found zero, some durable before. */
struct moved {
	uint64_t done, total, read, written, zero, skipped;
	int64_t held_ms; /* waited for its share of the bandwidth */
};
void work_moved(struct work *w, const struct moved *moved);
/* What is being done or waited for, in a few words; dropped likewise. */
void work_doing(struct work *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Into the vm's log. */
void work_log(struct work *w, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Blocks until the parent has {key: value} on disk: for what must be known
 * before a side effect to undo it.  Takes the reference to value. */
int work_record(struct work *w, const char *key, json_t *value,
		struct err *err);
/* The key under which a step records the id of another that it found undone:
 * the next run does that one again, and asks no probe about it. */
#define WORK_VOID "void"
/* And one whose effect is all there, whoever made it void. */
#define WORK_HOLDS "holds"
/* The key under which precopy-release records, before it lets a point in time
 * go, the number of that: all disks are copied, and none is from it again. */
#define WORK_RELEASING "releasing"
/* The key under which who finds that a disk at the target is not what was
 * copied records {disk, generation}, before it says so: the newest generation
 * that any block of it may be of.  From then on the disk is in doubt.  Nothing
 * is made of it, and who verifies it reads all of it, until one of these: */
#define WORK_DIFFERS "differs"
/* {disk}: all of it was read back since, and is what was copied; or a copy of
 * all of it, in a later generation, is done. */
#define WORK_AGREES "agrees"
/* The key under which cutover records whose claim it takes over. */
#define WORK_TAKEOVER "takeover"
/* The key under which start records, before it sets out to mark the target, or
 * to start one that is marked: true.  As long as it did not the target was
 * never started. */
#define WORK_MARKING "marking"
/* The key under which start records {attempt, sourceRuns}: that attempt, and
 * all before it, ended before anything was marked at the target, which never
 * ran so far. */
#define WORK_UNMARKED "unmarked"
/* Hands the parent a lock that it keeps to the vm's end; ours stays open. */
void work_hold(struct work *w, int fd);
/* What this or an earlier attempt of this step recorded; borrowed or NULL. */
const json_t *work_recorded(const struct work *w, const char *key);
/* The result of an earlier step ("cutover/disk-0"); borrowed or NULL. */
const json_t *work_fact(const struct work *w, const char *step);
/* on_start for helpers (arg is the struct work): records their group, so that
 * a later run can end what this one left behind. */
int work_helper_started(void *arg, const struct process_id *id,
			struct err *err);
/* Likewise for what is no helper but the started target: it outlives the step
 * and the run, and no run ends it. */
int work_target_started(void *arg, const struct process_id *id,
			struct err *err);
/* The key it is recorded under: {"process": it}. */
#define WORK_TARGET "target"
/* From now on a request to stop does not end the child but makes
 * work_stopping true: for steps that can stop at a good place. */
void work_catch_stop(struct work *w);
bool work_stopping(const struct work *w);
/* A path below the vm's log directory, caller frees: "convert.2.log". */
char *work_log_path(const struct work *w, const char *name);

enum stage_scope { STAGE_VM, STAGE_DISK };
enum stage_pool { POOL_NONE, POOL_DISKS, POOL_CONVERSIONS, NPOOLS };

/* What the records beside the journal say of a disk's copy. */
struct copied {
	bool any;	  /* the target holds durable data of it */
	unsigned percent; /* of the pass that is under way */
	/* In bytes: durable in that pass, and in any; and the disk's size, 0
	 * when nothing is known. */
	uint64_t pass, durable, size;
};

/* The same of any disk, by the vm's state directory alone. */
struct copied stages_copied(const char *state_dir, const char *disk);

/* The name of the input that says what stretch of the source's life a step
 * worked on. */
#define INPUTS_EPOCH "source epoch"

/* And the one that says for which generation it was done. */
#define INPUTS_ROUND "generation"

/* In the facts of "cutover": see epoch_before and epoch_left of the view. */
#define CUTOVER_BEFORE "epochBefore"
#define CUTOVER_LEFT "epoch"

struct stage {
	const char *name;
	enum stage_scope scope;
	enum stage_pool pool;
	bool writes_disks;  /* looks at the target's hand-over mark first */
	bool minds_mark;    /* does so, too, though it only reads them */
	bool watches_epoch; /* looks first whether the source ran meanwhile */
	bool says_marking;  /* records WORK_MARKING before what that tells */
	/* What it does rests on the replicas as they are: it is not begun while
	 * one of them is in doubt. */
	bool trusts_replicas;

	/* NULL: always. */
	bool (*applies)(const struct view *v);
	/* Adds the inputs that matter to this stage, by the name a person
	 * would look for ("spec.vms[0].targetName"), to the object `ret`;
	 * nothing that would not change the result.  disk is NULL for
	 * STAGE_VM. */
	void (*inputs)(const struct view *v, const struct inv_disk *disk,
		       json_t *ret);
	/* Settles an intent whose result is unknown by looking at the world:
	 * *ret_done (false before) with the facts it would have given, and what
	 * it saw would survive a power cut; or not done, and run() is called
	 * again.  NULL: run() again is right, and the stage's file says why:
	 * it changes nothing (validate, verify, boot-test), it looks itself at
	 * each thing it does (set-aside, cleanup, gc, all that undo), or
	 * nothing tells whether it was done (hooks: at least once). */
	int (*probe)(struct work *w, bool *ret_done, json_t **ret_facts,
		     struct err *err);
	/* Does it.  *ret_facts (an object, or left NULL) is what later steps
	 * and reports may read; when this returns 0 the effect would survive a
	 * power cut. */
	int (*run)(struct work *w, json_t **ret_facts, struct err *err);
	/* Only stages whose repetition copies data again have one; pure like
	 * inputs().  Nothing known is {0}. */
	struct copied (*copied)(const struct view *v,
				const struct inv_disk *disk);
	/* Default deadline in ms from the policy; NULL: deadlines.wait, as a
	 * whole or, where progress is told, from one step of it to the next. */
	int64_t (*deadline_ms)(const struct run_policy *policy);
	/* Takes back what run() did, or NULL when there is nothing to: a stage
	 * of its own ("undo/start") that finds it done, half done or not done
	 * at all.  What it sees as recorded is what run() recorded. */
	const struct stage *undo;
	/* Tells its progress as it moves, so that it may take as long as it
	 * likes; what stands still is ended. */
	bool tells_progress;
};

/* All stages in the order of the pipeline, and those that serve this vm
 * (others for the fake endpoint, under the same names); *ret_n of them. */
const struct stage *const *stages_all(size_t *ret_n);
const struct stage *const *stages_of(const struct view *v, size_t *ret_n);

/* How much the steps of a run have moved, for limits that they keep together:
 * made before the first one is begun; NULL is an error. */
struct bandwidth *bandwidth_new(struct err *err);
void bandwidth_free(struct bandwidth *b); /* NULL is fine */

/* What stretch of the source's life it is now; caller frees. */
char *stages_epoch(const struct view *v);
/* Does the source run, as far as is known before a step looks? */
bool stages_source_runs(const struct view *v);

/* What the replicas of all its disks depend on, by name; new reference. */
json_t *stages_replica(const struct view *v);

/* What every step looks at before it is begun: the hand-over mark and claim
 * when it writes disks, the source's epoch when it watches that, what is in
 * doubt when it trusts the replicas. */
int stages_before(struct work *w, struct err *err);
/* ERR_AGAIN when the source is not as the cutover left it. */
int stages_look_at_epoch(struct work *w, struct err *err);
/* The target's hand-over mark (ERR_FAIL), then its claim (ERR_HELD). */
int stages_look_at_mark(const struct view *v, struct err *err);

/* What the disks are called once they are set aside ("target/web/disk-0.raw as
 * disk-0.aside-1.raw, ..."); pure, caller frees. */
char *stages_aside_text(const struct view *v);

/* Who claims the vm's place at the target, if it is not us: see claimant in
 * target.h.  Targets where nobody can be are not asked. */
bool stages_can_be_claimed(const struct plan *plan);
int stages_claimant(const struct view *v, json_t **ret, struct err *err);
/* Was a commit to its disks begun, by what the target says?  Not asked of what
 * is another's, or handed over. */
int stages_committed(const struct view *v, bool *ret, struct err *err);

/* May the vm be given back to its source?  ERR_FAIL when its target may have
 * run and that is not meant to be lost; ERR_HELD when it is another's. */
int stages_may_undo(const struct view *v, struct err *err);
/* May its disks be removed?  ERR_FAIL when it was handed over and not rolled
 * back. */
int stages_may_remove(const struct view *v, struct err *err);
/* Removes what is no longer needed, with `disks` all that was made at the
 * target.  What it sees as recorded is what "convert" recorded. */
const struct stage *stages_gc(const struct view *v, bool disks);

/* Asks an endpoint what it has; blocking, for a child.  Whoever asks names the
 * endpoint in what is said of a failure. */
int stages_inventory(const struct endpoint *ep, struct inventory *ret,
		     struct err *err);
/* What a cutover takes beside copying, before anybody measured it: ranges that
 * hold nine times in ten.  Pure. */
struct downtime {
	struct span_ms {
		int64_t low_ms, high_ms;
	} stop, convert, boot, start;
	uint64_t reread; /* of the disks that tell nothing of what changed */
};
void stages_downtime(const struct view *v, struct downtime *ret);
/* In the facts of steps that convert or boot: what just that took, in ms. */
#define STAGES_TOOK "tookMs"

/* Does what came of the generation's rehearsal keep its source from being
 * stopped?  `facts` are those of "precopy-boot-test", or NULL; borrowed from
 * them: "failed" or "inconclusive", and why.  Pure. */
bool stages_rehearsal_forbids(const struct view *v, const json_t *facts,
			      const char **ret_result, const char **ret_why);

/* All findings about a vm, endpoints asked; blocking, for a child.
 * `read_data`: also those that take reading all of its disks.  `checked` keeps
 * what is alike for many vms from one to the next; begins as {0}. */
struct stages_checked {
	struct work *work;     /* tells that data is read; or NULL */
	struct strmap scripts; /* name to what is wrong with it, or "" */
	struct arena *arena;
};
int stages_check(const struct view *v, bool read_data,
		 struct stages_checked *checked, struct findings *findings,
		 struct err *err);
void stages_checked_done(struct stages_checked *checked);
/* Findings about an endpoint or plan this build cannot serve. */
void stages_check_plan(const struct plan *plan, struct findings *findings);

/* One disk compared with its ledger, any time later: what the `verify` command
 * does, in a child of its own (proof.c). */
enum proof_scope { PROOF_ALL_BLOCKS, PROOF_SINCE, PROOF_SAMPLE };

struct proof_opts {
	bool of_source; /* what the source has, not the target */
	bool repair;	/* what differs on the target is copied again */
	enum proof_scope scope;
	uint32_t since;		   /* PROOF_SINCE: a generation */
	struct sample_want sample; /* PROOF_SAMPLE */
	uint64_t seed;
	/* Since when the target's disk is no replica any more, as far as the
	 * journal knows: RFC 3339; NULL: it is one. */
	const char *changed;
	const char *changed_by; /* "its commit", "the target's start" */
};

/* The most blocks of a disk that are told one by one. */
#define PROOF_TOLD 1000

/* The key under which a repair records, before it writes, how many blocks. */
#define PROOF_REPAIRING "repairing"

/* *ret tells of the disk:
 *
 *	disk, against ("target", "source"), where (a path, if there is one)
 *	result	"same", "repaired", "differs", "not-comparable"
 *	why	of what is not comparable
 *	since	likewise: when it ceased to be, if that is known
 *	blocks, checked, mismatched
 *	differing	[{block, offset, length}], PROOF_TOLD at most
 *	root, digest, generation   of the ledger
 *	sample	{seed, size, missOne}: of PROOF_SAMPLE
 *
 * A difference is no error here; what keeps from comparing at all is.  What is
 * asked of `w` is its disk, its number, what the disk's copy recorded. */
int proof_disk(struct work *w, const struct proof_opts *opts, json_t **ret,
	       struct err *err);

extern const struct stage stage_validate, stage_pre_hook, stage_set_aside,
    stage_precopy, stage_precopy_copy, stage_precopy_release,
    stage_precopy_verify, stage_precopy_convert, stage_precopy_boot_test,
    stage_cutover, stage_copy, stage_verify, stage_convert, stage_boot_test,
    stage_commit, stage_create_vm, stage_start, stage_post_hook, stage_cleanup,
    stage_gc, stage_gc_disks;

#endif
