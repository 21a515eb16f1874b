/* SPDX-License-Identifier: Apache-2.0 */
/* From migrations and requests to what is due. */
#include "due.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

static int
read_waiting(const char *vm_dir, enum request_kind kind, struct standing *s,
	     struct err *err)
{
	json_t *waiting;

	if (request_get(vm_dir, kind, &waiting, err) < 0)
		return -1;
	if (waiting && !request_is_expired(waiting)) {
		json_decref(s->requests[kind]);
		s->requests[kind] =
		    request_is_revoke(waiting) ? NULL : json_incref(waiting);
		s->waits[kind] = true;
	}
	json_decref(waiting);
	return 0;
}

int
standing_read(const struct history *h, const char *vm_dir, struct standing *ret,
	      struct err *err)
{
	struct standing s = {0};

	for (int kind = 0; kind < NREQUESTS; kind++) {
		s.requests[kind] = json_incref(history_request(
		    h, request_kind_name((enum request_kind)kind)));
		if (vm_dir && read_waiting(vm_dir, (enum request_kind)kind, &s,
					   err) < 0) {
			standing_done(&s);
			return -1;
		}
	}
	*ret = s;
	return 0;
}

void
standing_done(struct standing *s)
{
	for (int kind = 0; kind < NREQUESTS; kind++)
		json_decref(s->requests[kind]);
	*s = (struct standing){0};
}

/* From the start's intent on there is nothing left to cancel. */
static void
tell_cancelled(const struct vm_asked *asked, const struct history *h,
	       const struct standing *s, struct due *due)
{
	const json_t *request = s->requests[REQUEST_CANCEL];

	due->cancelled[0] = '\0';
	if (history_binding(h, "start"))
		return;
	if (asked->cancelled_by)
		snprintf(due->cancelled, sizeof(due->cancelled),
			 "by Migration %s/%s", asked->cancelled_by->o.namespace,
			 asked->cancelled_by->o.name);
	else if (request) {
		CLEANUP(mem_freep) char *by = request_by(request);

		snprintf(due->cancelled, sizeof(due->cancelled), "by %s", by);
	}
}

/* A request goes before the gate, the gate before a migration's time. */
static void
tell_cutover(const struct vm_asked *asked, const struct plan *plan,
	     const struct plan_vm *pvm, const struct standing *s,
	     struct due *due)
{
	const struct wave *wave = pvm->wave;
	const json_t *request = s->requests[REQUEST_CUTOVER];

	due->cutover_ms = 0;
	due->cutover[0] = '\0';
	if (request) {
		CLEANUP(mem_freep) char *by = request_by(request);

		due->cutover_ms = request_at(request);
		snprintf(due->cutover, sizeof(due->cutover), "asked for by %s",
			 by);
	} else if (plan->policy->cutover.gate == GATE_MANUAL) {
		due->cutover_ms = DUE_ON_REQUEST;
		snprintf(due->cutover, sizeof(due->cutover),
			 "the gate is manual");
	} else if (wave && wave->gate == GATE_MANUAL) {
		due->cutover_ms = DUE_ON_REQUEST;
		snprintf(due->cutover, sizeof(due->cutover),
			 "the gate of wave '%s' is manual", wave->name);
	} else if (asked->cutover_by) {
		due->cutover_ms = asked->cutover_ms;
		snprintf(due->cutover, sizeof(due->cutover), "Migration %s/%s",
			 asked->cutover_by->o.namespace,
			 asked->cutover_by->o.name);
	} else if (plan_is_warm(plan)) {
		due->cutover_ms = DUE_ON_REQUEST;
		snprintf(due->cutover, sizeof(due->cutover),
			 "the plan is warm, and no migration says when");
	}
}

bool
due_is_begun(const struct history *h, const struct inv_vm *vm)
{
	const struct step_history *cutover = history_step(h, "cutover");

	return history_is_cut_over(h) && (cutover->state == HISTORY_DONE ||
					  !vm || vm->power != POWER_STATE_ON);
}

/* The first moment within the window: now, when it was asked for, or when it
 * opens next. */
static void
tell_window(const struct run_policy *policy, struct due *due)
{
	int64_t now = clock_wall_ms();
	int64_t from = due->cutover_ms > now ? due->cutover_ms : now;
	CLEANUP(mem_freep) char *by = mem_strdup(due->cutover);
	char to[CLOCK_TEXT_SIZE];

	if (!run_policy_window(policy, from, &due->window)) {
		due->window = (struct window_span){0};
		due->cutover_ms = DUE_NEVER;
		snprintf(due->cutover, sizeof(due->cutover),
			 "the last time of cutover.window is over: add one, or "
			 "run --cutover now");
		return;
	}
	if (due->window.from_ms <= from)
		return;
	due->cutover_ms = due->window.from_ms;
	clock_format(due->window.to_ms, to);
	snprintf(due->cutover, sizeof(due->cutover),
		 "cutover.window, until %.10s %.8s%s%s", to, to + 11,
		 *by ? "; " : "", by);
}

bool
due_is_stale(const struct due *due)
{
	return due->window.to_ms && due->window.to_ms <= clock_wall_ms();
}

bool
due_waits(const struct due *due)
{
	return due->cutover_ms > clock_wall_ms() || due_is_stale(due);
}

json_t *
due_window_json(const struct due *due)
{
	char from[CLOCK_TEXT_SIZE], to[CLOCK_TEXT_SIZE];

	if (!due->window.to_ms)
		return NULL;
	return json_pack("{s:s, s:s}", "opens",
			 clock_format(due->window.from_ms, from), "closes",
			 clock_format(due->window.to_ms, to));
}

char *
due_text(const struct due *due)
{
	char at[CLOCK_TEXT_SIZE];

	if (due->cutover_ms == DUE_NEVER)
		return mem_printf("cutover not in this run (%s)", due->cutover);
	if (due->cutover_ms == DUE_ON_REQUEST)
		return mem_printf("cutover once 'palletjack cutover' is said "
				  "(%s)",
				  due->cutover);
	clock_format(due->cutover_ms, at);
	return mem_printf("cutover at %.10s %.8s UTC (%s)", at, at + 11,
			  due->cutover);
}

void
due_of(const struct plan *plan, const struct plan_vm *pvm,
       const struct inv_vm *vm, const struct history *h,
       const struct standing *standing, struct due *ret)
{
	struct vm_asked asked;

	plan_vm_asked(plan, pvm, vm ? vm->id : h->source_id,
		      vm ? vm->name : NULL, &asked);
	tell_cancelled(&asked, h, standing, ret);
	tell_cutover(&asked, plan, pvm, standing, ret);
	ret->window = (struct window_span){0};
	if (plan->policy->cutover.nwindow && !due_is_begun(h, vm) &&
	    ret->cutover_ms < DUE_ON_REQUEST)
		tell_window(plan->policy, ret);
}
