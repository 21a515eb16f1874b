/* SPDX-License-Identifier: Apache-2.0 */
/* Working through the schedules of many vms: one thread, one event loop, a
 * child a step.  The only writer of the journals of the vms it holds. */
#ifndef RUNNER_EXECUTE_H
#define RUNNER_EXECUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "aim.h"
#include "due.h"
#include "event.h"
#include "graph.h"
#include "schedule.h"
#include "state.h"
#include "wave.h"

/* One vm of the run.  The caller fills in all but `outcome`, `error`
 * and `due`. */
struct vm_run {
	const struct plan_vm *pvm;
	struct vm_state *state; /* taken; owned by the caller, as all here */
	struct view view;
	struct graph *graph;
	struct schedule *schedule;
	enum aim aim;	     /* what is done to it */
	bool backout_is_due; /* cutover.backoutBy is past */
	int log_fd;
	int held_fd; /* the lock at the target, from a step; 0 none */
	enum err_class outcome; /* ERR_NONE: all is done */
	char *error;		/* caller frees */
	struct due due;		/* kept up to date with requests */
	struct vm_work *work;	/* execute.c's own */
};

struct execute_opts {
	const struct plan *plan;
	struct printer *printer;
	struct events *events; /* flushed now and then; or NULL */
	int jobs;	       /* steps at once; 0: no limit of its own */
	const char *until;     /* stage after which to stop, or NULL */
	/* From when on sources may be stopped, whatever else is said: wall, 0
	 * at once, DUE_NEVER; DUE_AS_ASKED: as it is said. */
	int64_t cutover_ms;
	int64_t wait_until_ms; /* wall: stay for cutovers until then; 0: no */
	struct waves *waves;   /* wave.h; the caller's, NULL: none */
	/* Where slots are kept (slots.h), execute's from then on; -1: limits
	 * hold within this run only. */
	int slots_dir;
};

#define DUE_AS_ASKED (-1)

/* Works until nothing more can be done.  0: each vm's outcome says how it
 * went; *ret_signal is the signal that stopped the run, or 0.  -1: the run
 * itself broke (a journal cannot be written); all children are ended. */
int execute(const struct execute_opts *opts, struct vm_run *vms, size_t nvms,
	    int *ret_signal, struct err *err);

#endif
