/* SPDX-License-Identifier: Apache-2.0 */
/* One step, or one question to an endpoint, as a forked child in a process
 * group of its own, joined to the parent by one socket.
 *
 * Parent: child_start (the child waits), write the intent, child_go; then
 * child_receive whenever the socket is readable and child_end when the
 * process has ended.  The child's side is work_*() of stages/stage.h. */
#ifndef RUNNER_STEP_H
#define RUNNER_STEP_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "io/process.h"
#include "stages/stage.h"

struct child {
	struct process_id id;
	int pidfd;
	int socket;
	/* What it said so far. */
	bool has_result;
	bool closed;	   /* it can say nothing more */
	bool garbled;	   /* it said what is no message: end it */
	bool was_mute;	   /* it closed its end and lived on, so it was ended */
	json_t *facts;	   /* of a success; may be NULL */
	struct err *error; /* or of a failure: it is large, and rare */
	/* A lock it handed over; take it, or child_end closes it.  -1 none. */
	int held;
};

#define CHILD_SLOTS 8

struct child_opts {
	int keep_fd; /* stays open and is inherited by helpers; -1 none */
	int log_fd;  /* the vm's log; -1 none */
	int held_fd; /* the lock at the target, inherited likewise; 0 none */
	/* Locks that prove that it is at work, inherited likewise. */
	int slots[CHILD_SLOTS];
	size_t nslots;
	/* child_call(): puts a record on disk, before the child goes on; NULL:
	 * records are dropped. */
	int (*keep_record)(void *arg, const json_t *record, struct err *err);
	void *arg;
};

/* What runs in the child: 0 with *ret_facts, or -1 with err.  `link` is what
 * work_*() talk to. */
typedef int child_fn(void *arg, struct work_link *link, json_t **ret_facts,
		     struct err *err);

int child_start(const struct child_opts *opts, child_fn *fn, void *arg,
		struct child *ret, struct err *err);
int child_go(struct child *c, struct err *err);

/* One message, taken off the socket.  NULL: none there, or nothing will come
 * any more (closed or garbled).  An object
 * with one of: "hold" (c->held), "progress" [done, total], "doing" text,
 * "record" {key, value}
 * (answer it with child_confirm once it is on disk).  Results are kept in
 * `c`. */
json_t *child_receive(struct child *c);
int child_confirm(struct child *c, struct err *err);

/* Asks it to stop (SIGTERM to it alone), or ends its whole group. */
void child_ask_to_stop(const struct child *c);
void child_kill(const struct child *c);

/* After its pidfd became readable: reaps it.  0: it succeeded, c->facts; -1:
 * its error, or what became of it.  Ends what it left in its group. */
int child_end(struct child *c, struct err *err);

/* Starts, runs to the end and reads the result, for commands that have
 * nothing else to do meanwhile; progress is dropped. */
int child_call(const struct child_opts *opts, child_fn *fn, void *arg,
	       int deadline_ms, json_t **ret_facts, struct err *err);

/* The step itself, as a child_fn; arg is a struct work without link: looks at
 * the hand-over mark and the epoch, settles an open intent, does it. */
int step_do(void *arg, struct work_link *link, json_t **ret_facts,
	    struct err *err);

#endif
