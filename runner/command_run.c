/* SPDX-License-Identifier: Apache-2.0 */
/* palletjack run: do what is due, and end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backout.h"
#include "base/clock.h"
#include "base/mem.h"
#include "batch.h"
#include "batch_waves.h"
#include "command_run.h"
#include "leftover.h"
#include "retries.h"
#include "review.h"
#include "slots.h"
#include "state.h"

static void
say_verdict(struct printer *p, const struct run_options *o,
	    const struct batch_vm *v)
{
	struct event e = {.vm = v->run.pvm->key};

	if (v->verdict == BATCH_FINISHED) {
		e.type = EVENT_VM_SKIPPED;
		e.text = o->redo.n == 0 || v->is_archived
			     ? "finished before, nothing to do"
			     : "finished before: it is handed over, so --redo "
			       "does nothing";
	} else {
		e.type = v->error.class == ERR_HELD ||
				 v->error.class == ERR_CANCELLED
			     ? EVENT_VM_SKIPPED
			     : EVENT_VM_FAILED;
		e.text = v->error.text;
	}
	p->print(p, &e);
}

/* What is only given back did not get where it was to go. */
static struct vm_run
begun_as(const struct batch *b, const struct batch_vm *v)
{
	struct vm_run run = v->run;

	if (run.backout_is_due) {
		run.outcome = ERR_RETRY;
		run.error =
		    backout_due_text(b->plan->policy, run.state->history);
	}
	return run;
}

/* The vms with something to do, side by side for execute().  A vm whose
 * directory takes no log stays out, and costs nobody else anything. */
static struct vm_run *
pick_ready(struct batch *b, const struct run_options *o, struct printer *p,
	   size_t *ret_n)
{
	struct vm_run *ready = mem_new((b->nvms + 1) * sizeof(*ready));

	*ret_n = 0;
	for (size_t i = 0; i < b->nvms; i++) {
		struct batch_vm *v = &b->vms[i];

		if (v->verdict == BATCH_READY &&
		    batch_open_log(&v->run, &v->error) < 0)
			v->verdict = BATCH_BACK;
		if (v->verdict == BATCH_READY)
			ready[(*ret_n)++] = begun_as(b, v);
		else
			say_verdict(p, o, v);
	}
	return ready;
}

/* The records that begin it. */
static int
begin_all(struct vm_run *ready, size_t nready, struct err *err)
{
	for (size_t i = 0; i < nready; i++)
		if (batch_begin(&ready[i], err) < 0) {
			for (size_t k = 0; k < nready; k++)
				if (ready[k].outcome == ERR_NONE)
					ready[k].outcome = err->class;
			return -1;
		}
	return 0;
}

/* Before anything is touched. */
static int
open_slots(int *ret, struct err *err)
{
	char why[300];

	if (slots_dir(ret, why, err) < 0)
		return -1;
	if (*ret < 0)
		complain("limits hold within this run only: %s", why);
	return 0;
}

static int
run_ready(const struct run_options *o, const struct batch *b,
	  struct vm_run *ready, size_t nready, struct printer *printer)
{
	struct execute_opts opts = {
	    .plan = b->plan,
	    .printer = printer,
	    .jobs = o->njobs,
	    .until = o->until,
	    .events = o->stream,
	    .cutover_ms = o->cutover_ms,
	    .wait_until_ms = o->wait_until_ms,
	};
	int signal = 0, code, rc;
	struct err err;

	if (nready && open_slots(&opts.slots_dir, &err) < 0)
		return complain_err(&err);
	if (begin_all(ready, nready, &err) < 0) {
		mem_closep(&opts.slots_dir);
		return run_say_broken(o, b, ready, nready, &err);
	}
	opts.waves = nready ? batch_waves(b) : NULL;
	rc = nready ? execute(&opts, ready, nready, &signal, &err) : 0;
	waves_free(opts.waves);
	if (rc < 0)
		return run_say_broken(o, b, ready, nready, &err);
	code = exit_code_of_vms(b, ready, nready);
	if (signal)
		code = 128 + signal;
	run_say_next_move(o, b, ready, nready, code);
	return code;
}

static int
run_batch(const struct globals *g, const struct run_options *o, struct batch *b)
{
	struct printer *printer =
	    status_terminal_new(STDERR_FILENO, g->coloured);
	struct vm_run *ready;
	size_t nready;
	int code;

	findings_print(&b->findings);
	run_say_unfit_accept(o, b);
	ready = pick_ready(b, o, printer, &nready);
	code = run_ready(o, b, ready, nready, printer);
	if (b->left_behind)
		code = exit_code_worse(code, err_exit_code(ERR_RETRY));
	run_say_how_to_accept(o, b);
	for (size_t i = 0; i < nready; i++) {
		mem_closep(&ready[i].log_fd);
		free(ready[i].error);
	}
	free(ready);
	status_terminal_free(printer);
	return code;
}

/* Nothing is done, but who was left without a source is named, and is no
 * success. */
static int
skip_archived(const struct session *s, const char *root, const char *args)
{
	struct findings left = {.arena = s->arena};
	bool matters;

	fprintf(stderr, "plan %s/%s is archived: nothing to do\n",
		s->plan->o.namespace, s->plan->o.name);
	matters = leftovers_note(root, s->plan, args, &left);
	findings_print(&left);
	findings_done(&left);
	return matters ? err_exit_code(ERR_RETRY) : 0;
}

static int
run_plan(const struct globals *g, const struct run_options *o,
	 const struct session *s)
{
	struct err err;
	CLEANUP(mem_freep) char *root = state_root(g->state, &err);
	CLEANUP(mem_freep)
	char *name = mem_printf("%s/%s", s->plan->o.namespace, s->plan->o.name);
	CLEANUP(mem_freep)
	char *args =
	    words_again(&o->paths, o->selector ? name : o->plan, g->state);
	struct batch_opts opts = {
	    .args = args,
	    .read = &s->findings,
	    .root = root,
	    .only = o->vms.v,
	    .take = true,
	    .redo = o->redo.v,
	    .accept = o->accept.v,
	    .expect = o->expect,
	    .events = o->stream,
	};
	struct batch *b = NULL;
	int code;

	if (!root)
		return complain_err(&err);
	if (s->plan->archived)
		return skip_archived(s, root, args);
	run_say_window_passed(o, s->plan->policy);
	if (batch_open(s->manifest, s->plan, &opts, &b, &err) < 0)
		code = complain_err(&err);
	else
		code = run_batch(g, o, b);
	batch_free(b);
	return code;
}

static int
run_command(const struct globals *g, const struct run_options *o)
{
	struct session s;
	int code = session_open(&s, &o->paths, o->strict);

	s.selector = o->selector;
	if (code == 0)
		code = session_plan(&s, o->plan, true);
	if (code == 0)
		code = run_plan(g, o, &s);
	session_close(&s);
	return code == err_exit_code(ERR_WAITING) ? o->waiting_code : code;
}

static int
check_review(const struct run_options *o)
{
	struct err err;

	if (o->expect && review_check_digest("--expect", o->expect, &err) < 0) {
		complain("run: %s", err.text);
		return -1;
	}
	for (size_t i = 0; i < o->accept.n; i++)
		if (review_check_digest("--accept", o->accept.v[i], &err) < 0) {
			complain("run: %s", err.text);
			return -1;
		}
	return options_check_stages("run: --redo", &o->redo);
}

static int
check_waiting(struct run_options *o)
{
	int64_t ms;
	char *end;

	o->cutover_ms = DUE_AS_ASKED;
	o->waiting_code = err_exit_code(ERR_WAITING);
	if (o->cutover && strcmp(o->cutover, "now") == 0)
		o->cutover_ms = 0;
	else if (o->cutover && strcmp(o->cutover, "never") == 0)
		o->cutover_ms = DUE_NEVER;
	else if (o->cutover && clock_parse(o->cutover, &o->cutover_ms) < 0) {
		complain("run: --cutover wants now, never or a time such as "
			 "2026-11-20T22:00:00+01:00, not '%s'",
			 o->cutover);
		return -1;
	} else if (o->cutover && o->cutover_ms <= clock_wall_ms())
		complain("run: --cutover %s is past: sources may be stopped "
			 "at once",
			 o->cutover);
	if (o->wait && (clock_parse_duration(o->wait, &ms) < 0 || ms < 0)) {
		complain("run: --wait wants a duration such as 90m or 12h, "
			 "not '%s'",
			 o->wait);
		return -1;
	}
	if (o->wait)
		o->wait_until_ms = clock_wall_ms() + ms;
	if (o->waiting_exit) {
		o->waiting_code = (int)strtol(o->waiting_exit, &end, 10);
		if (end == o->waiting_exit || *end || o->waiting_code < 0 ||
		    o->waiting_code > 125) {
			complain("run: --waiting-exit wants a number from 0 "
				 "to 125");
			return -1;
		}
	}
	return 0;
}

static int
check_options(struct run_options *o)
{
	struct err err;
	char *end;

	if (check_waiting(o) < 0)
		return -1;
	if (o->jobs) {
		o->njobs = (int)strtol(o->jobs, &end, 10);
		if (*end || o->njobs < 1) {
			complain("run: --jobs wants a number from 1 on");
			return -1;
		}
	}
	if (check_review(o) < 0 ||
	    options_check_stage("run: --until", o->until) < 0)
		return -1;
	if (o->events && events_open(o->events, &o->stream, &err) < 0) {
		complain("run: --events: %s", err.text);
		return -1;
	}
	return 0;
}

static int
run(const struct globals *g, int argc, char **argv)
{
	struct run_options o = {.state = g->state};
	const struct option_spec specs[] = {
	    {"--plan", OPTION_TEXT, &o.plan},
	    {"--vm", OPTION_LIST, &o.vms},
	    {"-l", OPTION_TEXT, &o.selector},
	    {"--until", OPTION_TEXT, &o.until},
	    {"--jobs", OPTION_TEXT, &o.jobs},
	    {"--events", OPTION_TEXT, &o.events},
	    {"--cutover", OPTION_TEXT, &o.cutover},
	    {"--wait", OPTION_TEXT, &o.wait},
	    {"--waiting-exit", OPTION_TEXT, &o.waiting_exit},
	    {"--redo", OPTION_LIST, &o.redo},
	    {"--expect", OPTION_TEXT, &o.expect},
	    {"--accept", OPTION_LIST, &o.accept},
	    {"--strict", OPTION_FLAG, &o.strict},
	    {0},
	};
	int rc = options_parse(&command_run, specs, argc, argv, &o.paths);

	if (rc == 0)
		rc = check_options(&o);
	rc = rc ? (rc < 0 ? 2 : 0) : run_command(g, &o);
	events_close(o.stream);
	words_done(&o.paths);
	words_done(&o.vms);
	words_done(&o.redo);
	words_done(&o.accept);
	return rc;
}

const struct command command_run = {
    .name = "run",
    .changes = true,
    .summary = "do what is due; go on where an interrupted run stopped",
    .usage = "[--plan NS/NAME] [-l SELECTOR] [--vm NAME]... "
	     "[--until STAGE]\n           [--redo STAGE]... "
	     "[--expect DIGEST] [--accept DIGEST]...\n           "
	     "[--cutover WHEN] [--wait DUR] [--waiting-exit N]\n           "
	     "[--jobs N] [--events FILE|-] PATH...",
    .help =
	"  --plan NS/NAME  needed when the manifest holds several\n"
	"  -l SELECTOR     choose the plan by its labels: a=b, a!=b, a, "
	"!a,\n                  'a in (b,c)', 'a notin (b,c)', joined by "
	"commas\n"
	"  --vm NAME       only this vm of the plan; may be repeated\n"
	"  --until STAGE   stop after this stage\n"
	"  --redo STAGE    do it anew, and with a stage that writes disks "
	"what came after it; of a\n                  step that has used "
	"its retries up: give it fresh ones, repeat nothing\n"
	"  --expect DIGEST do only what 'plan' printed this digest of, else "
	"nothing (exit 3)\n"
	"  --accept DIGEST copy again what is copied already, where 'plan' "
	"says that this is\n"
	"                  wanted: the digest of all, or of one vm; good for "
	"one time;\n                  where it fits nothing it is passed "
	"over with a warning\n"
	"  --jobs N        at most N steps at once\n"
	"  --cutover WHEN  now, never or a time: when sources may be "
	"stopped, whatever the\n"
	"                  manifest, its cutover.window and requests say\n"
	"  --wait DUR      stay for cutovers that are due within 90m, 12h, "
	"... and for gates\n"
	"                  and windows that open by then\n"
	"  --waiting-exit N  end with N instead of 7 when only cutovers "
	"are left to wait for\n"
	"  --events FILE   each journal record as it is confirmed, with "
	"its vm; - is\n"
	"                  standard output. It is never waited for: what a "
	"reader does not take\n"
	"                  is dropped, and said; the journals have it all. "
	"Beside them, of a\n"
	"                  step that moves a disk's bytes, its progress every "
	"five seconds\n"
	"  --strict        unknown fields are errors\n\n"
	"Kill it at any moment and start it again: what is done stays "
	"done. A first SIGINT,\nSIGTERM or SIGHUP lets running steps come to a "
	"good end, a second one ends them.\n",
    .run = run,
};
