/* SPDX-License-Identifier: Apache-2.0 */
/* Giving back and cleaning up, vm by vm of a plan. */
#include "aim_vms.h"

#include <stdlib.h>
#include <unistd.h>

#include "ask.h"
#include "backout.h"
#include "base/mem.h"
#include "batch.h"
#include "state.h"

static void
say(struct printer *p, const struct batch_vm *v, const char *nothing)
{
	struct event e = {
	    .type = EVENT_VM_SKIPPED, .vm = v->run.pvm->key, .text = nothing};

	if (v->verdict == BATCH_BACK) {
		e.text = v->error.text;
		if (v->error.class != ERR_CANCELLED)
			e.type = EVENT_VM_FAILED;
	}
	p->print(p, &e);
}

struct permission {
	const struct aim_opts *o;
	const struct view *view;
};

static int
may_it(void *arg, struct answer *to, struct work_link *link, struct err *err)
{
	const struct permission *p = arg;

	(void)to, (void)link;
	return p->o->may(p->view, err);
}

/* Asked before anything is written down: a refusal changes nothing. */
static void
ask_whether_it_may(const struct aim_opts *o, const struct batch *b,
		   struct batch_vm *v)
{
	struct permission p = {o, &v->run.view};
	struct question q = {may_it, NULL, &p, "looking at the target",
			     b->plan->policy->deadlines.wait_ms};

	if (!o->may || v->verdict != BATCH_READY)
		return;
	if (ask(&q, &v->error) < 0)
		v->verdict = BATCH_BACK;
}

static struct vm_run *
pick(const struct aim_opts *o, struct batch *b, struct printer *p,
     size_t *ret_n)
{
	struct vm_run *ready = mem_new((b->nvms + 1) * sizeof(*ready));

	*ret_n = 0;
	for (size_t i = 0; i < b->nvms; i++) {
		struct batch_vm *v = &b->vms[i];

		ask_whether_it_may(o, b, v);
		if (v->verdict == BATCH_READY &&
		    (batch_open_log(&v->run, &v->error) < 0 ||
		     batch_begin(&v->run, &v->error) < 0))
			v->verdict = BATCH_BACK;
		if (v->verdict == BATCH_READY)
			ready[(*ret_n)++] = v->run;
		else
			say(p, v, o->nothing);
	}
	return ready;
}

static int
work_on(const struct aim_opts *o, struct batch *b)
{
	struct printer *printer =
	    status_terminal_new(STDERR_FILENO, o->globals->coloured);
	/* nobody who is given back waits for other runs */
	struct execute_opts opts = {
	    .plan = b->plan, .printer = printer, .slots_dir = -1};
	CLEANUP(mem_freep)
	char *args = words_again(o->paths, o->plan, o->globals->state);
	int signal = 0, code;
	struct vm_run *ready;
	struct err err;
	size_t nready;

	ready = pick(o, b, printer, &nready);
	if (nready && execute(&opts, ready, nready, &signal, &err) < 0) {
		complain_err(&err);
		code = exit_code_worse(err_exit_code(err.class), 5);
	} else
		code = exit_code_worse(signal ? 128 + signal : 0,
				       exit_code_of_vms(b, ready, nready));
	for (size_t i = 0; i < nready; i++) {
		if (ready[i].outcome != ERR_NONE)
			backout_say(&ready[i], args);
		free(ready[i].error);
	}
	free(ready);
	status_terminal_free(printer);
	return code;
}

static int
work_on_plan(const struct aim_opts *o, const struct session *s)
{
	struct err err;
	CLEANUP(mem_freep) char *root = state_root(o->globals->state, &err);
	CLEANUP(mem_freep)
	char *args = words_again(o->paths, o->plan, o->globals->state);
	struct batch_opts opts = {
	    .root = root,
	    .only = o->vms->v,
	    .take = true,
	    .aim = o->aim,
	    .may_discard = o->may_discard,
	    .args = args,
	};
	struct batch *b = NULL;
	int code;

	if (!root)
		return complain_err(&err);
	if (batch_open(s->manifest, s->plan, &opts, &b, &err) < 0)
		code = complain_err(&err);
	else {
		/* those that --vm has to name */
		findings_print(&b->findings);
		code = work_on(o, b);
	}
	batch_free(b);
	return code;
}

int
aim_vms(const struct aim_opts *o)
{
	struct session s;
	int code = session_open(&s, o->paths, false);

	if (code == 0)
		code = session_plan(&s, o->plan, true);
	if (code == 0)
		code = work_on_plan(o, &s);
	session_close(&s);
	return code;
}
