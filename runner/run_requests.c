/* SPDX-License-Identifier: Apache-2.0 */
/* What people ask of a run while it works: looked for twice a
 * second, and so are cutovers whose time has come. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "backout.h"
#include "run.h"

#define POLL_MS 500

struct hearing {
	struct run *run;
	struct vm_run *vm;
};

static void
say_request(void *arg, const json_t *request, const char *ignored)
{
	const struct hearing *h = arg;
	CLEANUP(mem_freep) char *text = request_text(request, ignored);
	struct event e = {
	    .type = EVENT_VM_REQUEST, .vm = h->vm->pvm->key, .text = text};

	run_emit(h->run, &e);
}

static void
cancel_vm(struct run *r, struct vm_run *vm, const char *by)
{
	CLEANUP(mem_freep) char *text = mem_printf("cancelled %s", by);

	vm->work->cancelled = true;
	vm_abandon(r, vm, ERR_CANCELLED, text);
}

void
vm_look_due(struct run *r, struct vm_run *vm)
{
	struct standing standing;
	struct err ignored;

	/* without a directory nothing is read that could fail */
	(void)standing_read(vm->state->history, NULL, &standing, &ignored);
	due_of(r->opts->plan, vm->pvm, vm->view.vm, vm->state->history,
	       &standing, &vm->due);
	standing_done(&standing);
	if (r->opts->cutover_ms != DUE_AS_ASKED) {
		vm->due.cutover_ms = r->opts->cutover_ms;
		snprintf(vm->due.cutover, sizeof(vm->due.cutover), "--cutover");
		vm->due.window = (struct window_span){0};
	}
}

void
vm_refresh_due(struct run *r, struct vm_run *vm)
{
	if (due_is_stale(&vm->due))
		vm_look_due(r, vm);
}

/* True when there was something to hear.  What is being given back or cleaned
 * up goes on: a request waits for the next run. */
static bool
hear(struct run *r, struct vm_run *vm)
{
	struct hearing hearing = {r, vm};
	struct err err, again;

	if (vm->aim != AIM_RUN ||
	    !request_news(vm->state->dir, &vm->work->requests_seen))
		return false;
	if (requests_take_in(vm->state, say_request, &hearing, &err) < 0) {
		/* what was the journal's fault stays so */
		if (journal_sync(vm->state->journal, &again) < 0)
			run_break(r, &err);
		else
			log_line(LOG_LEVEL_WARNING, vm->pvm->key, "%s",
				 err.text);
		return false;
	}
	vm_look_due(r, vm);
	if (vm->due.cancelled[0] && !vm->work->cancelled)
		cancel_vm(r, vm, vm->due.cancelled);
	return true;
}

/* The source is wanted back by now. */
static bool
back_out(struct run *r, struct vm_run *vm)
{
	const struct run_policy *policy = r->opts->plan->policy;
	CLEANUP(mem_freep) char *text = NULL;

	if (vm->aim != AIM_RUN || vm->backout_is_due || r->signal ||
	    backout_left_ms(policy, vm->state->history) != 0)
		return false;
	text = backout_due_text(policy, vm->state->history);
	if (run_write_down(r, vm, "backout",
			   json_pack("{s:s}", "because", text)) < 0)
		return false;
	vm->backout_is_due = true;
	vm_abandon(r, vm, ERR_RETRY, text);
	return true;
}

static void
poll_requests(void *arg)
{
	struct run *r = arg;
	bool heard = false;

	for (size_t i = 0; i < r->nvms && !r->broken; i++)
		if (!r->vms[i].work->ended) {
			heard |= hear(r, &r->vms[i]);
			heard |= back_out(r, &r->vms[i]);
			heard |= r->vms[i].work->parked;
		}
	if (r->opts->events)
		events_flush(r->opts->events);
	if (heard)
		run_advance(r);
	run_watch_requests(r);
}

void
run_watch_requests(struct run *r)
{
	r->poll_timer =
	    loop_at(r->loop, clock_mono_ms() + POLL_MS, poll_requests, r);
}
