/* SPDX-License-Identifier: Apache-2.0 */
/* What `run` says when it has done what it could. */
#include "command_run.h"

#include <stdio.h>
#include <string.h>

#include "backout.h"
#include "base/clock.h"
#include "base/mem.h"
#include "retries.h"
#include "review.h"

/* "palletjack COMMAND PATH... --plan P", without an end of line and the vms
 * it was for. */
static void
say_command_for_all(const struct run_options *o, const char *command)
{
	fprintf(stderr, "palletjack");
	if (o->state)
		fprintf(stderr, " --state '%s'", o->state);
	fprintf(stderr, " %s", command);
	for (size_t i = 0; i < o->paths.n; i++)
		fprintf(stderr, " %s", o->paths.v[i]);
	if (o->plan)
		fprintf(stderr, " --plan %s", o->plan);
	if (o->selector)
		fprintf(stderr, " -l '%s'", o->selector);
}

static void
say_command(const struct run_options *o, const char *command)
{
	say_command_for_all(o, command);
	for (size_t i = 0; i < o->vms.n; i++)
		fprintf(stderr, " --vm '%s'", o->vms.v[i]);
}

static bool
has_cancelled(const struct batch *b, const struct vm_run *ready, size_t nready)
{
	for (size_t i = 0; i < b->nvms; i++)
		if (b->vms[i].verdict == BATCH_BACK &&
		    b->vms[i].due.cancelled[0])
			return true;
	for (size_t i = 0; i < nready; i++)
		if (ready[i].outcome == ERR_CANCELLED &&
		    ready[i].due.cancelled[0])
			return true;
	return false;
}

/* What is waited for may also be a wave: that has no time. */
static bool
is_waiting(const struct vm_run *ready, size_t nready)
{
	for (size_t i = 0; i < nready; i++)
		if (ready[i].outcome == ERR_WAITING)
			return true;
	return false;
}

/* The nearest cutover that is waited for. */
static void
say_next_cutover(const struct run_options *o, const struct vm_run *ready,
		 size_t nready)
{
	const struct due *next = NULL;
	CLEANUP(mem_freep) char *text = NULL;

	for (size_t i = 0; i < nready; i++)
		if (ready[i].outcome == ERR_WAITING &&
		    due_waits(&ready[i].due) &&
		    (!next || ready[i].due.cutover_ms < next->cutover_ms))
			next = &ready[i].due;
	if (!next && is_waiting(ready, nready)) {
		fprintf(stderr, "nothing more is due; once what it waits for "
				"is done: ");
		say_command_for_all(o, "run");
		fprintf(stderr, "\n");
	}
	if (!next)
		return;
	text = due_text(next);
	fprintf(stderr, "nothing more is due; next: %s; then: ", text);
	say_command(o, "run");
	fprintf(stderr, "\n");
}

static void
say_kept_back(const struct batch_vm *v, const char *args)
{
	retries_say(&v->run, args);
	backout_say_kept_back(&v->run, &v->due, args);
}

/* No failure, but its source may be off. */
static void
say_stopped_by_until(const struct vm_run *vm, const char *args)
{
	if (vm->aim == AIM_RUN && !vm->state->history->finished)
		backout_say_kept_back(vm, &vm->due, args);
}

/* What is finished is repeated only as a whole. */
static void
say_how_to_redo(const struct run_options *o, const struct batch_vm *v,
		const char *args)
{
	const char *key = v->run.pvm->key;

	if (o->redo.n > 0 && !v->is_archived)
		fprintf(stderr,
			"%s: to move it anew, and lose what the target wrote: "
			"palletjack rollback --discard-target-writes%s --vm "
			"%s, then: palletjack gc --disks%s --vm %s, then run\n",
			key, args, key, args, key);
}

/* `rollback` and `gc` know plans by their names only. */
static void
say_where_it_stands(const struct run_options *o, const struct batch *b,
		    const struct vm_run *ready, size_t nready)
{
	CLEANUP(mem_freep)
	char *name = mem_printf("%s/%s", b->plan->o.namespace, b->plan->o.name);
	CLEANUP(mem_freep)
	char *args =
	    words_again(&o->paths, o->selector ? name : o->plan, o->state);

	for (size_t i = 0; i < b->nvms; i++) {
		const struct batch_vm *v = &b->vms[i];

		/* what another run holds is that run's to tell */
		if (v->verdict == BATCH_BACK && v->run.state &&
		    v->error.class != ERR_HELD)
			say_kept_back(v, args);
		if (v->verdict == BATCH_FINISHED)
			say_how_to_redo(o, v, args);
	}
	for (size_t i = 0; i < nready; i++) {
		if (ready[i].outcome == ERR_WAITING)
			continue;
		if (ready[i].outcome == ERR_NONE) {
			say_stopped_by_until(&ready[i], args);
			continue;
		}
		fprintf(stderr, "%s: log: %s/log/run.log\n", ready[i].pvm->key,
			ready[i].state->dir);
		retries_say(&ready[i], args);
		backout_say(&ready[i], args);
	}
}

/* What is on record so far is all that is known. */
int
run_say_broken(const struct run_options *o, const struct batch *b,
	       const struct vm_run *ready, size_t nready, const struct err *err)
{
	int code = complain_err(err);

	say_where_it_stands(o, b, ready, nready);
	fprintf(stderr, "what is on record is kept; to go on, once that is "
			"mended: ");
	say_command(o, "run");
	fprintf(stderr, "\n");
	return exit_code_worse(code, 5);
}

void
run_say_next_move(const struct run_options *o, const struct batch *b,
		  const struct vm_run *ready, size_t nready, int code)
{
	bool interrupted = code > 128;

	say_where_it_stands(o, b, ready, nready);
	if (!interrupted && has_cancelled(b, ready, nready)) {
		fprintf(stderr, "what is cancelled stays so until it is taken "
				"out of spec.cancel, or by: ");
		say_command(o, "cancel --revoke");
		fprintf(stderr, "\n");
	}
	if (!interrupted && code != 5)
		say_next_cutover(o, ready, nready);
	else {
		fprintf(stderr, "state is saved; to go on: ");
		say_command(o, "run");
		fprintf(stderr, "\n");
	}
}

/* For each vm that wants a licence: the command that gives it. */
void
run_say_how_to_accept(const struct run_options *o, const struct batch *b)
{
	for (size_t i = 0; i < b->nvms; i++) {
		const struct batch_vm *v = &b->vms[i];

		if (!review_wants_accept(v))
			continue;
		fprintf(stderr, "%s: to accept: ", v->run.pvm->key);
		say_command_for_all(o, "run");
		for (size_t k = 0; k < o->redo.n; k++)
			fprintf(stderr, " --redo %s", o->redo.v[k]);
		fprintf(stderr, " --vm %s --accept %.*s\n", v->run.pvm->key,
			REVIEW_SHOWN, v->digest);
	}
}

/* No error: what it was for may be done by now. */
void
run_say_unfit_accept(const struct run_options *o, const struct batch *b)
{
	for (size_t i = 0; i < o->accept.n; i++)
		if (!review_fits(b, o->accept.v[i]))
			complain("--accept %s fits nothing that this run would "
				 "do: it is done already, kept back, or not "
				 "what was looked at; 'palletjack plan' with "
				 "the same --vm and --redo prints the digest",
				 o->accept.v[i]);
}

/* Somebody stands beside it: what is passed over is said. */
void
run_say_window_passed(const struct run_options *o,
		      const struct run_policy *policy)
{
	int64_t at = o->cutover_ms > 0 ? o->cutover_ms : clock_wall_ms();
	struct window_span window;
	char opens[CLOCK_TEXT_SIZE];

	if (o->cutover_ms == DUE_AS_ASKED || o->cutover_ms == DUE_NEVER ||
	    policy->cutover.nwindow == 0)
		return;
	if (!run_policy_window(policy, at, &window))
		complain("--cutover %s passes over cutover.window, whose last "
			 "time is over",
			 o->cutover);
	else if (window.from_ms > at)
		complain("--cutover %s passes over cutover.window, which opens "
			 "at %.10s %.8s UTC",
			 o->cutover, clock_format(window.from_ms, opens),
			 opens + 11);
}
