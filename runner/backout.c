/* SPDX-License-Identifier: Apache-2.0 */
/* What a failure behind the source's stop leads to, and the next move. */
#include "backout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "retries.h"

static bool
has_begun(const struct history *h, const char *step)
{
	const struct step_history *s = history_step(h, step);

	return s && s->state != HISTORY_NEVER && s->state != HISTORY_UNDONE;
}

/* Remembered before the first attempt to stop it, forgotten when it is given
 * back. */
static bool
is_power_known(const struct history *h, const char *state)
{
	const struct step_history *cutover = history_past(h, "cutover");
	const char *power =
	    cutover
		? json_string_value(json_object_get(cutover->recorded, "power"))
		: NULL;

	return power && (!state || strcmp(power, state) == 0);
}

int64_t
backout_left_ms(const struct run_policy *policy, const struct history *h)
{
	const struct step_history *commit = history_step(h, "commit");
	int64_t limit_ms = policy->cutover.backout_ms, stopped, left;

	if (!limit_ms || !h->source_stopped || h->rollback_begun ||
	    history_may_have_started(h) ||
	    (commit && commit->state == HISTORY_DONE) ||
	    clock_parse(h->source_stopped, &stopped) < 0)
		return -1;
	left = stopped + limit_ms - clock_wall_ms();
	/* a clock that was set back makes nobody wait longer */
	return left < 0 ? 0 : left > limit_ms ? limit_ms : left;
}

enum aim
backout_due_aim(const struct run_policy *policy)
{
	return policy->on_failure == FAILURE_ROLLBACK ? AIM_ROLLBACK
						      : AIM_GIVE_BACK;
}

char *
backout_due_text(const struct run_policy *policy, const struct history *h)
{
	char limit[CLOCK_TEXT_SIZE];

	return mem_printf(
	    "not committed within %s (cutover.backoutBy) after "
	    "the source was stopped on %.10s at %.8s UTC: the "
	    "source is given back",
	    clock_format_duration(policy->cutover.backout_ms, limit),
	    h->source_stopped, h->source_stopped + 11);
}

/* From the start's intent on, unless its attempt ended before the mark, the
 * target may have run: what then is right is for people to say. */
enum aim
backout_aim(const struct run_policy *policy, const struct vm_run *vm)
{
	const struct history *h = vm->state->history;

	if (vm->aim == AIM_RUN && vm->backout_is_due &&
	    !history_may_have_started(h))
		return backout_due_aim(policy);
	if (vm->aim != AIM_RUN || vm->outcome == ERR_NONE ||
	    vm->outcome == ERR_CANCELLED || vm->outcome == ERR_WAITING ||
	    history_may_have_started(h))
		return AIM_RUN;
	switch (policy->on_failure) {
	case FAILURE_RESTART_SOURCE:
		return is_power_known(h, "on") ? AIM_GIVE_BACK : AIM_RUN;
	case FAILURE_ROLLBACK:
		return is_power_known(h, NULL) ? AIM_ROLLBACK : AIM_RUN;
	case FAILURE_HOLD:
		break;
	}
	return AIM_RUN;
}

/* "palletjack run ..." for this vm, without an end of line; caller frees.  The
 * vms of an atomic wave go on together or not at all. */
static char *
run_again(const struct vm_run *vm, const char *args)
{
	const struct wave *wave = vm->pvm->wave;

	if (wave && wave->atomic)
		return mem_printf("palletjack run%s", args);
	return mem_printf("palletjack run%s --vm %s", args, vm->pvm->key);
}

/* A run would only say that it has used its retries up: retries_say() says
 * what helps. */
static bool
is_barred(const struct vm_run *vm)
{
	struct err ignored;

	return vm->graph && retries_check(vm, NULL, &ignored) < 0;
}

static void
say_given_back(const struct vm_run *vm, const char *args)
{
	const char *key = vm->pvm->key;
	CLEANUP(mem_freep) char *run = run_again(vm, args);

	fprintf(stderr, "%s: the source runs again", key);
	if (!is_barred(vm))
		fprintf(stderr, "; to try again: %s", run);
	if (has_begun(vm->state->history, "commit"))
		fprintf(stderr,
			"; where its disks have changed meanwhile, that says "
			"how to set the committed disks aside and copy anew "
			"(--accept); to give up: palletjack rollback%s --vm %s",
			args, key);
	fprintf(stderr, "\n");
}

static void
say_source_is_off(const struct vm_run *vm, bool cancelled, const char *args)
{
	const char *key = vm->pvm->key;
	CLEANUP(mem_freep) char *run = run_again(vm, args);
	bool started = history_may_have_started(vm->state->history);

	fprintf(stderr, "%s: %s", key,
		started ? "its source was stopped, and the target may have "
			  "started"
			: "the source is off");
	if (!started && cancelled)
		fprintf(stderr, ", and the cancel keeps every run from going "
				"on");
	if ((started || !cancelled) && !is_barred(vm))
		fprintf(stderr, "; to go on: %s", run);
	fprintf(stderr, "; to give %s back: palletjack rollback%s%s --vm %s\n",
		started ? "the source" : "it",
		started ? " --discard-target-writes" : "", args, key);
}

/* Somebody started it behind the cutover. */
static void
say_source_ran(const struct vm_run *vm, bool cancelled, const char *args)
{
	const char *key = vm->pvm->key;
	CLEANUP(mem_freep) char *run = run_again(vm, args);

	fprintf(stderr,
		"%s: the source runs, which somebody started, and the "
		"target was never started",
		key);
	if (!cancelled && !is_barred(vm))
		fprintf(stderr,
			"; to stop it again, and copy what it holds "
			"then: %s",
			run);
	fprintf(stderr,
		"; to leave it as it is: palletjack rollback%s --vm "
		"%s\n",
		args, key);
}

/* True when there was something to say. */
static bool
say_where_source_is(const struct vm_run *vm, bool cancelled, const char *args)
{
	const struct history *h = vm->state->history;
	const char *key = vm->pvm->key;

	if (h->rolled_back)
		fprintf(stderr,
			"%s: rolled back, the disks are kept; to start afresh: "
			"palletjack gc --disks%s --vm %s\n",
			key, args, key);
	else if (h->rollback_begun)
		fprintf(stderr,
			"%s: the rollback is not finished; to go on: "
			"palletjack rollback%s --vm %s\n",
			key, args, key);
	else if (is_power_known(h, "on") && history_source_ran_at_start(h))
		say_source_ran(vm, cancelled, args);
	else if (is_power_known(h, "on"))
		say_source_is_off(vm, cancelled, args);
	else
		return false;
	return true;
}

static bool
is_warm_yet(const struct vm_run *vm)
{
	return vm->view.round > 0 && !history_is_cut_over(vm->state->history);
}

/* From a source that does not run, onto what is a replica still. */
static bool
may_be_repaired(const struct vm_run *vm)
{
	const struct history *h = vm->state->history;

	return !is_warm_yet(vm) && !history_source_ran_at_start(h) &&
	       !has_begun(h, "commit") && !history_may_have_started(h) &&
	       vm->view.plan->policy->proof != PROOF_NONE;
}

static void
say_what_mends(const struct vm_run *vm, const char *args)
{
	const char *key = vm->pvm->key;
	CLEANUP(mem_freep) char *run = run_again(vm, args);
	CLEANUP(mem_freep) char *vms = redo_vms(vm);
	const char *stage = is_warm_yet(vm) ? "precopy" : "cutover";
	bool repair = may_be_repaired(vm);

	fprintf(stderr, "%s: ", key);
	if (repair)
		fprintf(stderr,
			"to copy what does not match again, as long as the "
			"source is as it was: palletjack verify%s --vm %s "
			"--repair, then: %s; ",
			args, key, run);
	fprintf(stderr,
		"to copy anew %s: palletjack plan%s%s --redo %s prints a "
		"digest for: palletjack run%s%s --redo %s --accept DIGEST\n",
		repair ? "all of it" : "what does not match", args, vms, stage,
		args, vms, stage);
}

/* What will fail again as long as nobody does anything about it. */
static void
say_what_helps(const struct vm_run *vm, enum err_class class, const char *args)
{
	const char *key = vm->pvm->key;
	CLEANUP(mem_freep) char *run = run_again(vm, args);

	if (class == ERR_MISMATCH)
		say_what_mends(vm, args);
	else if (class == ERR_FAIL || class == ERR_NOT_READY ||
		 class == ERR_USER || class == ERR_BUG)
		fprintf(stderr,
			"%s: it fails again until that is mended; then: %s\n",
			key, run);
}

void
backout_say(const struct vm_run *vm, const char *args)
{
	bool given_back = vm->aim == AIM_GIVE_BACK &&
			  !is_power_known(vm->state->history, "on");

	if (given_back)
		say_given_back(vm, args);
	else if (!say_where_source_is(vm, vm->due.cancelled[0], args) ||
		 vm->outcome == ERR_MISMATCH)
		say_what_helps(vm, vm->outcome, args);
}

void
backout_say_kept_back(const struct vm_run *vm, const struct due *due,
		      const char *args)
{
	(void)say_where_source_is(vm, due->cancelled[0], args);
}
