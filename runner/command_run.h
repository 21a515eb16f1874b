/* SPDX-License-Identifier: Apache-2.0 */
/* What `run` was asked for, and its last words: where each vm stands and the
 * exact next command. */
#ifndef RUNNER_COMMAND_RUN_H
#define RUNNER_COMMAND_RUN_H

#include "batch.h"
#include "command.h"

struct run_options {
	const char *state, *plan, *selector, *until, *jobs, *events, *expect;
	const char *cutover, *wait, *waiting_exit;
	bool strict;
	struct words vms, redo, accept, paths;
	int njobs, waiting_code;
	struct events *stream;		   /* of --events, or NULL */
	int64_t cutover_ms, wait_until_ms; /* as in struct execute_opts */
};

/* Before anything is begun: that its window is passed over. */
void run_say_window_passed(const struct run_options *o,
			   const struct run_policy *policy);
/* Before anything is begun: --accept of what nobody is to do. */
void run_say_unfit_accept(const struct run_options *o, const struct batch *b);
/* What the run could not go on for; the exit code. */
int run_say_broken(const struct run_options *o, const struct batch *b,
		   const struct vm_run *ready, size_t nready,
		   const struct err *err);
/* Of each vm where it stands; `code` is the run's. */
void run_say_next_move(const struct run_options *o, const struct batch *b,
		       const struct vm_run *ready, size_t nready, int code);
/* For each vm that wants a licence: the command that gives it. */
void run_say_how_to_accept(const struct run_options *o, const struct batch *b);

#endif
