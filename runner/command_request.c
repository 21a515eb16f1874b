/* SPDX-License-Identifier: Apache-2.0 */
/* Leaving one request for each vm of a plan that is meant. */
#include "command_request.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "leftover.h"
#include "state.h"

struct asking {
	const struct command *command;
	const struct plan *plan;
	const char *state; /* --state */
	enum request_kind kind;
	bool revoke;
	int64_t expires_ms, at_ms;
};

/* Why there is nothing to ask for, or NULL. */
static const char *
too_late(const struct asking *a, const struct history *h)
{
	const struct step_history *cutover = history_past(h, "cutover");

	if (h->finished)
		return "it is finished";
	if (a->kind == REQUEST_CANCEL && history_binding(h, "start"))
		return "its target was started or may have been, and a cancel "
		       "does nothing from then on";
	if (a->kind == REQUEST_CUTOVER && h->rollback_begun && !a->revoke)
		return "it was rolled back, and no run works on it before "
		       "'palletjack gc --disks'";
	if (a->kind == REQUEST_CUTOVER && cutover &&
	    cutover->state == HISTORY_DONE)
		return "its source is stopped already";
	return NULL;
}

static int
leave(const struct asking *a, const char *key, const char *dir, json_t *request,
      struct err *err)
{
	char at[CLOCK_TEXT_SIZE], expires[CLOCK_TEXT_SIZE];
	int rc = request_put(dir, request, err);

	json_decref(request);
	if (rc < 0)
		return -1;
	printf("%s: %s asked for", key, request_kind_name(a->kind));
	if (a->at_ms)
		printf(a->at_ms > clock_wall_ms() ? ", from %s on"
						  : ", at once, as %s is past",
		       clock_format(a->at_ms, at));
	printf("; the run that works on it, or the next one, honours it");
	if (a->expires_ms)
		printf(" until %s", clock_format(a->expires_ms, expires));
	printf("\n");
	return 0;
}

static int
take_back(const struct asking *a, const struct plan_vm *pvm,
	  const struct vm_state *state, struct err *err)
{
	const char *what = request_kind_name(a->kind);
	struct standing standing;
	struct vm_asked asked;
	json_t *revoke;
	bool any;
	int rc;

	plan_vm_asked(a->plan, pvm, state->history->source_id, NULL, &asked);
	if (a->kind == REQUEST_CANCEL && asked.cancelled_by)
		printf("%s: Migration %s/%s cancels it, too: remove it from "
		       "spec.cancel there\n",
		       pvm->key, asked.cancelled_by->o.namespace,
		       asked.cancelled_by->o.name);
	if (standing_read(state->history, state->dir, &standing, err) < 0)
		return -1;
	any = standing.requests[a->kind] != NULL;
	standing_done(&standing);
	if (!any) {
		printf("%s: no %s to take back\n", pvm->key, what);
		return 0;
	}
	revoke = request_new_revoke(a->kind);
	rc = request_put(state->dir, revoke, err);
	json_decref(revoke);
	if (rc == 0)
		printf("%s: %s taken back\n", pvm->key, what);
	return rc;
}

static int
ask_vm(const struct asking *a, const char *root, const struct plan_vm *pvm,
       struct err *err)
{
	CLEANUP(mem_freep) char *dir = state_vm_dir(root, a->plan, pvm);
	struct vm_state *state;
	const char *late;
	int rc = 0;

	if (state_peek(dir, &state, err) < 0)
		return -1;
	late = too_late(a, state->history);
	if (late)
		printf("%s: no %s asked for: %s\n", pvm->key,
		       request_kind_name(a->kind), late);
	else if (a->revoke)
		rc = take_back(a, pvm, state, err);
	else
		rc = leave(a, pvm->key, dir,
			   request_new(a->kind, a->expires_ms, a->at_ms), err);
	state_release(state);
	return rc;
}

/* Who has a state and no entry any more, nobody would hear. */
static int
check_vms(const struct request_options *o, const struct asking *a,
	  const char *root, struct arena *arena, struct err *err)
{
	CLEANUP(mem_freep)
	char *args = words_again(&o->paths, o->plan, a->state);
	const struct plan_vm *all;
	struct vm_state *state;
	size_t n;

	all = leftovers(root, a->plan, arena, &n);
	for (size_t i = 0; i < o->vms.n; i++) {
		const struct plan_vm *left = leftover_find(all, n, o->vms.v[i]);
		CLEANUP(mem_freep)
		char *dir = left ? state_vm_dir(root, a->plan, left) : NULL;
		CLEANUP(mem_freep) char *text = NULL;

		if (!left || state_peek(dir, &state, err) < 0)
			continue;
		text = leftover_text(state->history, left->key, args);
		state_release(state);
		return err_set(err, ERR_USER,
			       "plan %s/%s has no entry for vm '%s' any more, "
			       "so no run would honour that: %s",
			       a->plan->o.namespace, a->plan->o.name, left->key,
			       text);
	}
	return words_check_vms(&o->vms, a->plan, err);
}

/* Nobody would hear; what was asked for can be taken back all the same. */
static int
check_archived(const struct asking *a, struct err *err)
{
	if (!a->plan->archived || a->revoke)
		return 0;
	return err_set(err, ERR_NOT_READY,
		       "plan %s/%s is archived: no run works on it, so none "
		       "would honour that; to go on with it, take 'archived' "
		       "out",
		       a->plan->o.namespace, a->plan->o.name);
}

static int
ask_plan(const struct globals *g, const struct request_options *o,
	 const struct asking *a, struct arena *arena)
{
	struct err err;
	CLEANUP(mem_freep) char *root = state_root(g->state, &err);
	int code = 0;

	if (!root || check_archived(a, &err) < 0 ||
	    check_vms(o, a, root, arena, &err) < 0)
		return complain_err(&err);
	for (size_t i = 0; i < a->plan->nvms; i++) {
		const struct plan_vm *pvm = &a->plan->vms[i];

		if (!words_want(&o->vms, pvm) ||
		    ask_vm(a, root, pvm, &err) == 0)
			continue;
		err_wrap(&err, "%s", pvm->key);
		code = exit_code_worse(code, complain_err(&err));
	}
	return code;
}

static int
read_times(const struct request_options *o, struct asking *a)
{
	int64_t now = clock_wall_ms(), expiry = o->default_expiry_ms;

	if (o->at && clock_parse(o->at, &a->at_ms) < 0) {
		complain("%s: --at wants a time such as "
			 "2026-11-20T22:00:00+01:00, not '%s'",
			 a->command->name, o->at);
		return -1;
	}
	if (o->expires &&
	    (clock_parse_duration(o->expires, &expiry) < 0 || expiry <= 0)) {
		complain("%s: --expires wants a duration such as 90m or 12h, "
			 "not '%s'",
			 a->command->name, o->expires);
		return -1;
	}
	if (expiry)
		a->expires_ms = (a->at_ms > now ? a->at_ms : now) + expiry;
	return 0;
}

int
request_command(const struct globals *g, const struct command *c,
		enum request_kind kind, struct request_options *o, int argc,
		char **argv)
{
	const struct option_spec specs[] = {
	    {"--plan", OPTION_TEXT, &o->plan},
	    {"--vm", OPTION_LIST, &o->vms},
	    {"--revoke", OPTION_FLAG, &o->revoke},
	    {"--expires", OPTION_TEXT, &o->expires},
	    {kind == REQUEST_CUTOVER ? "--at" : NULL, OPTION_TEXT, &o->at},
	    {0},
	};
	struct asking a = {.command = c, .state = g->state, .kind = kind};
	struct session s;
	int code = options_parse(c, specs, argc, argv, &o->paths);

	if (code > 0)
		return 0;
	if (code < 0 || read_times(o, &a) < 0)
		return 2;
	a.revoke = o->revoke;
	code = session_open(&s, &o->paths, false);
	if (code == 0)
		code = session_plan(&s, o->plan, false);
	a.plan = s.plan;
	if (code == 0)
		code = ask_plan(g, o, &a, s.arena);
	session_close(&s);
	return code;
}
