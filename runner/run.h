/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a run, shared by execute.c (the loop), run_requests.c
 * (what people ask meanwhile) and step_run.c (one step from its beginning to
 * its end); nobody else includes it. */
#ifndef RUNNER_RUN_H
#define RUNNER_RUN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/vec.h"
#include "execute.h"
#include "io/loop.h"
#include "meter.h"
#include "pool.h"
#include "retries.h"
#include "step.h"
#include "warm.h"

enum step_phase {
	PHASE_WAITING, /* for steps before it, or for a slot */
	PHASE_RUNNING,
	PHASE_PAUSED, /* until it is tried again */
	PHASE_DONE,
	PHASE_FAILED,
	PHASE_LEFT, /* not wanted in this run */
};

/* One step in this run. */
struct step_run {
	struct run *run;
	struct vm_run *vm;
	const struct step *step;
	enum step_phase phase;
	bool skip; /* done before: is so again when what it follows is */
	struct retries retries; /* what is used of them */
	struct work work;
	json_t *facts_before, *recorded_before; /* what work points to */
	struct child child;
	/* Groups it recorded: they go when it goes. */
	VEC(struct process_id) helpers;
	int64_t begun_ms;
	int deadline_timer, stall_timer, retry_timer, mute_timer;
	/* What it told last, and since when it told nothing new. */
	uint64_t done, total;
	struct meter meter;
	int64_t told_ms; /* when progress was last an event of the stream */
	int64_t held_ms; /* it waited for bandwidth, as it says */
	char *doing;
	int64_t moved_ms;
	bool deadline_passed, stalled;
	bool alone;	    /* all that it began are seen to be gone */
	struct claim claim; /* on places in pools */
};

struct vm_work {
	struct step_run *steps;
	size_t nsteps, nrunning, nopen; /* open: running or paused */
	bool stopping, ended, cancelled;
	bool abandoned;	    /* its steps are ended for no fault of theirs */
	bool touched;	    /* to be looked at */
	bool begun;	    /* it had a place in this run */
	struct claim place; /* among those worked on */
	bool knows_pools;
	struct pool *disk_pools[3]; /* of its disks' steps; each may be NULL */
	uint64_t bytes;		    /* of its disks */
	int kill_timer, deadline_timer;
	bool parked; /* stays for its cutover, outside the limit of vms */
	int64_t requests_seen;
	struct run *run;
	/* What it turned back to after a failure; owned. */
	struct graph *graph;
	struct schedule *schedule;
};

struct run {
	const struct execute_opts *opts;
	struct vm_run *vms;
	struct vm_run **order; /* in which they are begun */
	size_t nvms, nended;
	struct loop *loop;
	struct pools *pools;
	int jobs;		      /* steps at once; 0: no limit */
	struct bandwidth *bandwidth;  /* what its steps share */
	VEC(struct vm_run *) touched; /* from ntouched on */
	size_t ntouched;
	VEC(pid_t) children;		/* of the steps that run */
	VEC(struct process_id) targets; /* started: nobody's to end */
	int signal_fd, signal;
	int kill_timer, poll_timer, slot_timer;
	int64_t begun_ms; /* wall */
	bool broken;
	bool said_broken;
	struct err error;
};

/* execute.c */
void run_kill(struct run *r); /* all that runs */
void run_emit(struct run *r, const struct event *e);
/* Starts what can be started of this vm now, or ends it; run_settle's. */
void vm_go_on(struct run *r, struct vm_run *vm);
/* A journal that cannot be written ends the run: nothing may happen that
 * would not be known. */
void run_break(struct run *r, const struct err *err);
/* One record, on disk when this returns 0; otherwise the run is broken. */
int run_write_down(struct run *r, struct vm_run *vm, const char *type,
		   json_t *fields);
/* The vm's outcome, unless an earlier failure is that already. */
void vm_note_failure(struct vm_run *vm, enum err_class class, const char *text);
/* Both may be stages that this vm's graph does not have. */
bool stage_is_behind(const struct stage *stage, const char *until);
/* From now on the vm's work is this graph, which it owns from now on. */
void vm_take_up(struct run *r, struct vm_run *vm, struct graph *graph,
		struct schedule *schedule);
/* The vm begins nothing more in this run. */
void vm_stop(struct vm_run *vm);

/* Asks the vm's running steps to come to a good end, or ends them. */
void vm_ask_to_stop(struct vm_run *vm);
void vm_kill(struct vm_run *vm);

/* run_deadlines.c */
/* The vm shall end like this: asked to stop, ended when it does not. */
void vm_abandon(struct run *r, struct vm_run *vm, enum err_class class,
		const char *text);
/* How long the step may take; 0: as long as it moves. */
int64_t step_limit_ms(const struct step_run *s);
void step_watch_deadlines(struct step_run *s);
void step_drop_deadlines(struct step_run *s);
/* It told what it is at. */
void step_moved(struct step_run *s, uint64_t done, uint64_t total);
/* Why it was ended, when that was for a deadline of its own. */
void step_blame_deadline(const struct step_run *s, struct err *err);
void vm_watch_deadline(struct run *r, struct vm_run *vm);
void run_watch_deadline(struct run *r);

/* run_pools.c */
void run_open_pools(struct run *r);
void run_close_pools(struct run *r);
/* Something of this vm changed: run_settle looks at it. */
void vm_touch(struct run *r, struct vm_run *vm);
/* Starts whatever can be started now, where something was touched or given
 * back. */
void run_settle(struct run *r);
/* The same for all vms, whatever changed. */
void run_advance(struct run *r);
/* False: it waits, and is touched when its turn has come. */
bool vm_has_place(struct run *r, struct vm_run *vm);
bool step_has_place(struct step_run *s);
void vm_leave_place(struct run *r, struct vm_run *vm);
/* `all`: nobody of the step is left who could hold it. */
void step_leave_place(struct step_run *s, bool all);
/* Descriptors that the step's processes hold its places with. */
size_t step_slots(const struct step_run *s, int *fds);

/* run_waves.c */
/* Before anything of it is begun; where it is shut, that is its outcome. */
enum wave_door vm_may_begin(struct run *r, struct vm_run *vm);
/* May a vm of an atomic wave go on with this step?  Where not, why; the caller
 * frees. */
enum wave_door step_may_pass(const struct step_run *s, char **ret_why);
bool step_is_barred(const struct step_run *s);
/* Has its atomic wave begun its cutover? */
bool vm_goes_with_wave(const struct vm_run *vm);
/* How far it has come; how it ended. */
void vm_look_wave(struct run *r, struct vm_run *vm);
void vm_leave_wave(struct run *r, struct vm_run *vm, bool done);
void run_open_waves(struct run *r);

/* run_signals.c */
int run_catch_signals(struct run *r, struct err *err);

/* run_warm.c */
/* Copied while it runs, and not cut over. */
bool vm_is_warm(const struct vm_run *vm);
/* Of any vm that is not cut over; one that is not warm has no generations. */
void vm_next(const struct run *r, const struct vm_run *vm,
	     struct warm_next *ret);
/* Its cutover: another generation is due first, or its time has not come, or
 * it would not keep to its downtime's budget or its window.  What was begun is
 * held back by nothing. */
bool vm_is_before_time(const struct run *r, const struct vm_run *vm);
char *vm_next_text(const struct vm_run *vm, const struct warm_next *next);
/* Why its source is not stopped, though it could be: what came of booting its
 * last generation.  NULL: nothing speaks against it; caller frees. */
char *vm_rehearsal_text(const struct vm_run *vm);

/* run_budget.c */
/* Lets it wait, or be copied once more, when it would be down for too long, or
 * beyond its window's end. */
void vm_heed_budget(const struct run *r, const struct vm_run *vm,
		    struct warm_next *next);
/* The same for one whose disks are copied with its source off: only its window
 * counts, and only where a copy of all of it was measured before. */
void vm_heed_window(const struct run *r, const struct vm_run *vm,
		    struct warm_next *next);
/* How long it is thought to be down, on record before its source is stopped. */
int vm_write_prediction(struct run *r, struct vm_run *vm);

/* run_warm.c */
/* Takes the vm through another generation when one is due. */
bool vm_begin_round(struct run *r, struct vm_run *vm);

/* run_requests.c */
/* Looks for requests from now on, and for times that have come. */
void run_watch_requests(struct run *r);
/* What migrations and requests say of the vm as things are now. */
void vm_look_due(struct run *r, struct vm_run *vm);
/* The same where what was told does not hold any more. */
void vm_refresh_due(struct run *r, struct vm_run *vm);

/* step_run.c */
/* Behind its child's end: ends what its helpers left, whoever that may be; -1
 * when somebody will not go. */
int step_end_all(struct step_run *s, struct err *err);
/* Begins it if its pool has a slot. */
void step_try_begin(struct step_run *s);

#endif
