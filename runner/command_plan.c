/* SPDX-License-Identifier: Apache-2.0 */
/* palletjack plan: what a run would do, and why. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "batch.h"
#include "command.h"
#include "state.h"

struct options {
	const char *plan, *output;
	bool offline, detailed, strict;
	struct words vms, paths;
};

static json_t *
step_to_json(const struct scheduled *s)
{
	return json_pack("{s:s, s:s, s:s, s:s}", "step", s->step->id,
			 "decision", decision_name(s->decision), "why", s->why,
			 "fingerprint", s->step->fingerprint);
}

static const char *
verdict_name(const struct batch_vm *v)
{
	switch (v->verdict) {
	case BATCH_READY:
		return "ready";
	case BATCH_FINISHED:
		return "finished";
	case BATCH_BACK:
		break;
	}
	return v->error.class == ERR_CANCELLED ? "cancelled" : "kept back";
}

static json_t *
vm_to_json(const struct batch_vm *v)
{
	json_t *vm = json_pack("{s:s, s:s}", "vm", v->run.pvm->key, "verdict",
			       verdict_name(v));
	json_t *steps = json_array();

	if (v->verdict == BATCH_BACK)
		json_object_set_new(vm, "error", json_string(v->error.text));
	if (v->run.view.shape)
		json_object_set_new(vm, "target",
				    json_string(v->run.view.shape->name));
	for (size_t i = 0; v->run.schedule && i < v->run.schedule->nsteps; i++)
		json_array_append_new(steps,
				      step_to_json(&v->run.schedule->steps[i]));
	json_object_set_new(vm, "steps", steps);
	return vm;
}

static void
print_json(const struct batch *b)
{
	json_t *vms = json_array(), *all;

	for (size_t i = 0; i < b->nvms; i++)
		json_array_append_new(vms, vm_to_json(&b->vms[i]));
	all = json_pack("{s:{s:s, s:s}, s:o, s:o}", "plan", "namespace",
			b->plan->o.namespace, "name", b->plan->o.name, "vms",
			vms, "findings", findings_to_json(&b->findings));
	json_dumpf(all, stdout, JSON_INDENT(2));
	printf("\n");
	json_decref(all);
}

static void
print_vm(const struct batch_vm *v)
{
	const struct shape *shape = v->run.view.shape;

	printf("\n%s", v->run.pvm->key);
	if (shape && strcmp(shape->name, v->run.pvm->key) != 0)
		printf(" -> %s", shape->name);
	printf(": %s\n", verdict_name(v));
	if (v->verdict == BATCH_BACK) {
		printf("  %s\n", v->error.text);
		return;
	}
	for (size_t i = 0; v->run.schedule && i < v->run.schedule->nsteps;
	     i++) {
		const struct scheduled *s = &v->run.schedule->steps[i];

		printf("  %-20s %-8s %s\n", s->step->id,
		       decision_name(s->decision), s->why);
	}
}

static void
print_text(const struct batch *b)
{
	size_t ready = 0, finished = 0;

	for (size_t i = 0; i < b->nvms; i++) {
		ready += b->vms[i].verdict == BATCH_READY;
		finished += b->vms[i].verdict == BATCH_FINISHED;
	}
	printf("Plan %s/%s: %s -> %s\n", b->plan->o.namespace, b->plan->o.name,
	       b->plan->source->o.name, b->plan->target->o.name);
	for (size_t i = 0; i < b->nvms; i++)
		print_vm(&b->vms[i]);
	printf("\n%zu to do, %zu finished, %zu kept back\n", ready, finished,
	       b->nvms - ready - finished);
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

static int
plan_one(const struct globals *g, const struct options *o,
	 const struct session *s)
{
	struct err err;
	CLEANUP(mem_freep) char *root = state_root(g->state, &err);
	struct batch_opts opts = {
	    .read = &s->findings,
	    .root = root,
	    .only = o->vms.v,
	    .offline = o->offline,
	    .events_fd = -1,
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
	findings_print(&b->findings);
	if (o->output && strcmp(o->output, "json") == 0)
		print_json(b);
	else
		print_text(b);
	code = exit_code_of(b, o);
	batch_free(b);
	return code;
}

static int
plan_command(const struct globals *g, const struct options *o)
{
	struct session s;
	int code = session_open(&s, &o->paths, o->strict);

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
	if (!output || strcmp(output, "text") == 0 ||
	    strcmp(output, "json") == 0)
		return 0;
	complain("plan: -o is text or json; '%s' is not in this build yet",
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
	    {"--offline", OPTION_FLAG, &o.offline},
	    {"--detailed-exitcode", OPTION_FLAG, &o.detailed},
	    {"--strict", OPTION_FLAG, &o.strict},
	    {"-o", OPTION_TEXT, &o.output},
	    {0},
	};
	int rc = options_parse(&command_plan, specs, argc, argv, &o.paths);

	if (rc == 0)
		rc = check_output(o.output);
	rc = rc ? (rc < 0 ? 2 : 0) : plan_command(g, &o);
	words_done(&o.paths);
	words_done(&o.vms);
	return rc;
}

const struct command command_plan = {
    .name = "plan",
    .summary = "show what a run would do, step by step, and why",
    .usage = "[--plan NS/NAME] [--vm NAME]... [--offline] "
	     "[-o text|json] PATH...",
    .help =
	"  --plan NS/NAME       needed when the manifest holds several\n"
	"  --vm NAME            only this vm of the plan; may be repeated\n"
	"  --offline            do not ask the source; recorded answers "
	"only\n"
	"  --detailed-exitcode  end with 10 when there is work to do\n"
	"  --strict             unknown fields are errors\n"
	"  -o text|json         the schedule as JSON\n\n"
	"Nothing is written. For each step: run (new), resume (begun, not "
	"finished), changed\n(which input), skip (done, when), refused (would "
	"destroy what cannot be made again).\n",
    .run = run,
};
