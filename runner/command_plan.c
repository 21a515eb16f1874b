/* SPDX-License-Identifier: Apache-2.0 */
/* palletjack plan: what a run would do, and why. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "batch.h"
#include "batch_findings.h"
#include "batch_waves.h"
#include "command.h"
#include "plan_draw.h"
#include "review.h"
#include "state.h"
#include "warm.h"

struct options {
	const char *plan, *selector, *output;
	bool offline, detailed, strict;
	struct words vms, redo, paths;
};

static json_t *
step_to_json(const struct scheduled *s)
{
	json_t *step = json_pack("{s:s, s:s, s:s, s:s}", "step", s->step->id,
				 "decision", decision_name(s->decision), "why",
				 s->why, "fingerprint", s->step->fingerprint);

	if (s->needs_accept)
		json_object_set_new(step, "needsAccept", json_true());
	if (s->blocked_by)
		json_object_set_new(step, "blockedBy",
				    json_string(s->blocked_by->id));
	return step;
}

/* The cutover is still to be done, and not yet. */
static bool
waits_for_cutover(const struct batch_vm *v)
{
	const struct schedule *s = v->run.schedule;

	for (size_t i = 0; s && i < s->nsteps; i++)
		if (strcmp(s->steps[i].step->id, "cutover") == 0)
			return v->verdict == BATCH_READY &&
			       s->steps[i].decision != DECISION_SKIP &&
			       due_waits(&v->due);
	return false;
}

/* Its last generation would not boot, or NULL. */
static char *
warm_held_text(const struct batch_vm *v)
{
	const struct view *view = &v->run.view;

	if (v->run.aim != AIM_RUN || !view->vm ||
	    view->vm->power == POWER_STATE_OFF ||
	    history_is_cut_over(v->run.state->history))
		return NULL;
	return warm_rehearsal_text(v->run.state->history, view);
}

/* What a run would wait for, or NULL; caller frees. */
static char *
wait_text(const struct batch_vm *v, const struct waves *ws)
{
	char *text = NULL;

	if (v->verdict != BATCH_READY)
		return NULL;
	if (!history_is_cut_over(v->run.state->history) &&
	    waves_may_begin(ws, v->run.pvm, &text) != WAVE_OPEN)
		return text;
	text = warm_held_text(v);
	return text || !waits_for_cutover(v) ? text : due_text(&v->due);
}

static json_t *
vm_to_json(const struct batch_vm *v, const struct waves *ws)
{
	CLEANUP(mem_freep) char *wait = wait_text(v, ws);
	json_t *vm = json_pack("{s:s, s:s}", "vm", v->run.pvm->key, "verdict",
			       batch_verdict_name(v));
	json_t *steps = json_array();

	if (v->verdict == BATCH_BACK)
		json_object_set_new(vm, "error", json_string(v->error.text));
	if (v->run.view.shape)
		json_object_set_new(vm, "target",
				    json_string(v->run.view.shape->name));
	if (v->claim)
		json_object_set(vm, "claim", v->claim);
	if (v->digest[0])
		json_object_set_new(vm, "digest", json_string(v->digest));
	for (size_t i = 0; v->run.schedule && i < v->run.schedule->nsteps; i++)
		json_array_append_new(steps,
				      step_to_json(&v->run.schedule->steps[i]));
	json_object_set_new(vm, "steps", steps);
	if (v->run.pvm->wave)
		json_object_set_new(vm, "wave",
				    json_string(v->run.pvm->wave->name));
	if (wait)
		json_object_set_new(vm, "waits", json_string(wait));
	if (v->verdict == BATCH_READY && v->due.window.to_ms)
		json_object_set_new(vm, "window", due_window_json(&v->due));
	return vm;
}

static void
print_json(const struct batch *b, const struct waves *ws)
{
	json_t *vms = json_array(), *all;

	for (size_t i = 0; i < b->nvms; i++)
		json_array_append_new(vms, vm_to_json(&b->vms[i], ws));
	all = json_pack("{s:{s:s, s:s}, s:s, s:o, s:o}", "plan", "namespace",
			b->plan->o.namespace, "name", b->plan->o.name, "digest",
			b->digest, "vms", vms, "findings",
			findings_to_json(&b->findings));
	json_dumpf(all, stdout, JSON_INDENT(2));
	printf("\n");
	json_decref(all);
}

static void
print_vm(const struct batch_vm *v, const struct waves *ws)
{
	CLEANUP(mem_freep) char *wait = wait_text(v, ws);
	const struct shape *shape = v->run.view.shape;

	printf("\n%s", v->run.pvm->key);
	if (shape && strcmp(shape->name, v->run.pvm->key) != 0)
		printf(" -> %s", shape->name);
	printf(": %s\n", batch_verdict_name(v));
	if (v->run.pvm->wave)
		printf("  wave '%s'\n", v->run.pvm->wave->name);
	if (v->verdict == BATCH_BACK)
		printf("  %s\n", v->error.text);
	else if (wait)
		printf("  %s\n", wait);
	for (size_t i = 0; v->run.schedule && i < v->run.schedule->nsteps;
	     i++) {
		CLEANUP(mem_freep)
		char *words = scheduled_words(&v->run.schedule->steps[i]);

		printf("  %-20s %s\n", v->run.schedule->steps[i].step->id,
		       words);
	}
}

static void
print_text(const struct batch *b, const struct waves *ws)
{
	size_t ready = 0, finished = 0;

	for (size_t i = 0; i < b->nvms; i++) {
		ready += b->vms[i].verdict == BATCH_READY;
		finished += b->vms[i].verdict == BATCH_FINISHED;
	}
	printf("Plan %s/%s: %s -> %s\n", b->plan->o.namespace, b->plan->o.name,
	       plan_end_name(b->plan->source), plan_end_name(b->plan->target));
	for (size_t i = 0; i < b->nvms; i++)
		print_vm(&b->vms[i], ws);
	if (b->plan->archived) {
		printf("\nnothing to do: the plan is archived\n");
		return;
	}
	printf("\n%zu to do, %zu finished, %zu kept back\n", ready, finished,
	       b->nvms - ready - finished);
	printf("digest: %.*s\n", REVIEW_SHOWN, b->digest);
}

static void
print_as(const char *form, const struct batch *b, const struct findings *read)
{
	struct waves *ws = batch_waves(b);

	if (!form || strcmp(form, "text") == 0)
		print_text(b, ws);
	else if (strcmp(form, "json") == 0)
		print_json(b, ws);
	else if (strcmp(form, "dot") == 0)
		plan_draw_dot(b);
	else if (strcmp(form, "mermaid") == 0)
		plan_draw_mermaid(b);
	else
		plan_draw_markdown(b, read);
	waves_free(ws);
}

static int
exit_code_of(const struct batch *b, const struct options *o)
{
	int code = 0;
	bool work = false;

	for (size_t i = 0; i < b->nvms; i++) {
		work |= b->vms[i].verdict == BATCH_READY;
		if (b->vms[i].verdict == BATCH_BACK)
			code = exit_code_worse(
			    code, err_exit_code(b->vms[i].error.class));
	}
	if (findings_block_plan(&b->findings, b->manifest, b->plan))
		code = exit_code_worse(code, 3);
	return code == 0 && work && o->detailed ? 10 : code;
}

/* What is handed over is done anew only as a whole. */
static void
find_idle_redo(const struct options *o, struct batch *b, const char *args)
{
	for (size_t i = 0; i < b->nvms && o->redo.n > 0; i++) {
		const struct batch_vm *v = &b->vms[i];

		if (v->verdict == BATCH_FINISHED && !v->is_archived)
			findings_add(
			    &b->findings, FINDING_INFORMATION, "RedoOfFinished",
			    "it is handed over, so --redo does "
			    "nothing; to move it anew, and lose what "
			    "the target wrote: palletjack rollback "
			    "--discard-target-writes%s --vm %s, "
			    "then: palletjack gc --disks%s --vm %s",
			    args, v->run.pvm->key, args, v->run.pvm->key)
			    ->vm = v->run.pvm->key;
	}
}

static int
plan_one(const struct globals *g, const struct options *o,
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
	    .offline = o->offline,
	    .redo = o->redo.v,
	};
	struct batch *b = NULL;
	int code;

	if (!root)
		return complain_err(&err);
	if (batch_open(s->manifest, s->plan, &opts, &b, &err) < 0) {
		batch_free(b);
		return complain_err(&err);
	}
	if (!o->offline && batch_check(b, false, &err) < 0)
		complain("%s", err.text);
	batch_heed_findings(b);
	find_idle_redo(o, b, args);
	findings_print(&b->findings);
	print_as(o->output, b, &s->findings);
	code = exit_code_of(b, o);
	batch_free(b);
	return code;
}

static int
plan_command(const struct globals *g, const struct options *o)
{
	struct session s;
	int code = session_open(&s, &o->paths, o->strict);

	s.selector = o->selector;
	if (code == 0)
		code = session_plan(&s, o->plan, true);
	if (code == 0)
		code = plan_one(g, o, &s);
	session_close(&s);
	return code;
}

static int
check_output(const char *output)
{
	static const char *const forms[] = {"text", "json", "dot", "mermaid",
					    "markdown"};

	for (size_t i = 0; output && i < sizeof(forms) / sizeof(*forms); i++)
		if (strcmp(output, forms[i]) == 0)
			return 0;
	if (!output)
		return 0;
	complain("plan: -o is text, json, dot, mermaid or markdown, not '%s'",
		 output);
	return -1;
}

static int
run(const struct globals *g, int argc, char **argv)
{
	struct options o = {0};
	const struct option_spec specs[] = {
	    {"--plan", OPTION_TEXT, &o.plan},
	    {"--vm", OPTION_LIST, &o.vms},
	    {"-l", OPTION_TEXT, &o.selector},
	    {"--redo", OPTION_LIST, &o.redo},
	    {"--offline", OPTION_FLAG, &o.offline},
	    {"--detailed-exitcode", OPTION_FLAG, &o.detailed},
	    {"--strict", OPTION_FLAG, &o.strict},
	    {"-o", OPTION_TEXT, &o.output},
	    {0},
	};
	int rc = options_parse(&command_plan, specs, argc, argv, &o.paths);

	if (rc == 0)
		rc = check_output(o.output);
	if (rc == 0)
		rc = options_check_stages("plan: --redo", &o.redo);
	rc = rc ? (rc < 0 ? 2 : 0) : plan_command(g, &o);
	words_done(&o.paths);
	words_done(&o.vms);
	words_done(&o.redo);
	return rc;
}

const struct command command_plan = {
    .name = "plan",
    .summary = "show what a run would do, step by step, and why",
    .usage = "[--plan NS/NAME] [-l SELECTOR] [--vm NAME]... "
	     "[--redo STAGE]...\n            [--offline] [-o FORM] PATH...",
    .help =
	"  --plan NS/NAME       needed when the manifest holds several\n"
	"  -l SELECTOR          choose the plan by its labels: a=b, a!=b, a, "
	"!a,\n                       'a in (b,c)', 'a notin (b,c)', joined by "
	"commas\n"
	"  --vm NAME            only this vm of the plan; may be repeated\n"
	"  --redo STAGE         as if 'run' were given that; of a vm that is "
	"finished it does\n                       nothing, which is said\n"
	"  --offline            do not ask the source; recorded answers "
	"only\n"
	"  --detailed-exitcode  end with 10 when there is work to do\n"
	"  --strict             unknown fields are errors\n"
	"  -o FORM              text, json, dot (Graphviz), mermaid, or "
	"markdown "
	"(for a pull\n                       request)\n\n"
	"Nothing is written. For each step: run (new; changed: which input; "
	"asked for anew),\nresume (begun, not finished; of a copy how much is "
	"there), skip (done, when), refused\n(would destroy what cannot be "
	"made again), blocked by a step a run would not do.\n\n"
	"The digest stands for all that is to be done: 'run --expect DIGEST' "
	"does that or\nnothing. Where it copies again what is copied already, "
	"'run --accept DIGEST' says\nthat this is meant.\n",
    .run = run,
};
