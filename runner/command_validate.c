/* SPDX-License-Identifier: Apache-2.0 */
/* palletjack validate: read and check, touch nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "batch.h"
#include "command.h"
#include "state.h"

struct options {
	const char *plan, *output;
	bool online, strict;
	struct words paths;
};

/* A vm kept back by something that is no finding yet becomes one. */
static void
add_reason(struct batch *b, const struct batch_vm *v)
{
	struct finding *f;

	if (v->error.class == ERR_NOT_READY)
		return;
	f = findings_add(&b->findings, FINDING_ERROR,
			 v->claim ? "TargetHeld" : "NotReady", "%s",
			 v->error.text);
	f->vm = v->run.pvm->key;
}

static int
check_online(const struct globals *g, const struct manifest *m,
	     const struct options *o, const struct plan *plan,
	     struct findings *all, struct err *err)
{
	CLEANUP(mem_freep) char *root = state_root(g->state, err);
	CLEANUP(mem_freep)
	char *name = mem_printf("%s/%s", plan->o.namespace, plan->o.name);
	CLEANUP(mem_freep) char *args = words_again(&o->paths, name, g->state);
	struct batch_opts opts = {.read = all, .root = root, .args = args};
	struct batch *b = NULL;
	json_t *found;
	int rc;

	if (!root)
		return -1;
	rc = batch_open(m, plan, &opts, &b, err);
	for (size_t i = 0; rc == 0 && i < b->nvms; i++)
		if (b->vms[i].verdict == BATCH_BACK)
			add_reason(b, &b->vms[i]);
	if (rc == 0)
		rc = batch_check(b, true, err);
	findings_print(&b->findings);
	found = findings_to_json(&b->findings);
	findings_add_json(all, found);
	json_decref(found);
	batch_free(b);
	return rc;
}

static int
check_plans_online(const struct globals *g, const struct manifest *m,
		   const struct options *o, struct findings *f, struct err *err)
{
	const struct plan *only;

	if (o->plan) {
		if (manifest_plan(m, o->plan, &only, err) < 0)
			return -1;
		return check_online(g, m, o, only, f, err);
	}
	for (size_t i = 0; i < m->nplans; i++)
		if (!findings_block_plan(f, m, m->plans[i]) &&
		    check_online(g, m, o, m->plans[i], f, err) < 0)
			return -1;
	return 0;
}

static void
print_count(size_t n, const char *what, const char *end)
{
	printf("%zu %s%s%s", n, what, n == 1 ? "" : "s", end);
}

static void
print_result(const struct options *o, const struct manifest *m,
	     const struct findings *f)
{
	json_t *found;

	if (o->output && strcmp(o->output, "json") == 0) {
		found = json_pack("{s:o}", "findings", findings_to_json(f));
		json_dumpf(found, stdout, JSON_INDENT(2));
		printf("\n");
		json_decref(found);
		return;
	}
	print_count(m->nobjects, "document", ", ");
	print_count(m->nplans, "plan", ", ");
	print_count(
	    f->n, "finding",
	    findings_block_plan(f, NULL, NULL) ? ": not ready\n" : "\n");
}

static int
validate(const struct globals *g, const struct options *o)
{
	struct session s;
	struct err err;
	int code = session_open(&s, &o->paths, o->strict);

	if (code == 0 && o->online &&
	    check_plans_online(g, s.manifest, o, &s.findings, &err) < 0)
		code = complain_err(&err);
	if (code == 0) {
		print_result(o, s.manifest, &s.findings);
		code = findings_block_plan(&s.findings, NULL, NULL) ? 3 : 0;
	}
	session_close(&s);
	return code;
}

static int
run(const struct globals *g, int argc, char **argv)
{
	struct options o = {0};
	const struct option_spec specs[] = {
	    {"--plan", OPTION_TEXT, &o.plan},
	    {"--online", OPTION_FLAG, &o.online},
	    {"--strict", OPTION_FLAG, &o.strict},
	    {"-o", OPTION_TEXT, &o.output},
	    {0},
	};
	int rc = options_parse(&command_validate, specs, argc, argv, &o.paths);

	if (rc == 0 && o.output && strcmp(o.output, "text") != 0 &&
	    strcmp(o.output, "json") != 0) {
		complain("validate: -o is text or json; '%s' is not in this "
			 "build yet",
			 o.output);
		rc = -1;
	}
	rc = rc ? (rc < 0 ? 2 : 0) : validate(g, &o);
	words_done(&o.paths);
	return rc;
}

const struct command command_validate = {
    .name = "validate",
    .summary = "read and check a manifest, and say everything that is wrong",
    .usage = "[--online] [--strict] [--plan NS/NAME] [-o text|json] PATH...",
    .help = "  --online        also ask the endpoints: vms, maps, digests, "
	    "space, tools\n"
	    "  --strict        unknown fields are errors\n"
	    "  --plan NS/NAME  with --online: only this plan\n"
	    "  -o text|json    findings as JSON on standard output\n\n"
	    "Exit codes: 0 nothing that keeps a plan back, 2 unreadable, 3 "
	    "Critical or Error findings.\n",
    .run = run,
};
