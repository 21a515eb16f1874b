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
	if (history_step(h, "start"))
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
due_waits(const struct due *due)
{
	return due->cutover_ms > clock_wall_ms();
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
}
