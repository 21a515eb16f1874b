/* SPDX-License-Identifier: Apache-2.0 */
/* The schedule in three languages that draw.  The graphs bear the state of a
 * step and no time: the same plan is the same text. */
#include "plan_draw.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/redact.h"
#include "review.h"

/* How a state is drawn; both languages take these colours. */
static const struct look {
	const char *state, *fill;
} looks[] = {
    {"skip", "#d3d3d3"},	 {"run", "#ffffff"},	 {"resume", "#fff2b3"},
    {"changed", "#ffd699"},	 {"redo", "#ffd699"},	 {"refused", "#ff9999"},
    {"needs accept", "#ff9999"}, {"blocked", "#ffcccc"},
};

#define NLOOKS (sizeof(looks) / sizeof(looks[0]))

static const char *
state_of(const struct scheduled *s)
{
	if (s->blocked_by)
		return "blocked";
	return s->needs_accept ? "needs accept" : decision_name(s->decision);
}

static size_t
look_of(const struct scheduled *s)
{
	size_t i = 0;

	while (i < NLOOKS - 1 && strcmp(looks[i].state, state_of(s)) != 0)
		i++;
	return i;
}

static size_t
nsteps_of(const struct batch_vm *v)
{
	return v->run.schedule ? v->run.schedule->nsteps : 0;
}

/* Any text with what `pairs` ("x" and what stands for it, NULL ends) replaces;
 * control characters become spaces.  Caller frees. */
static char *
escaped(const char *text, const char *const *pairs)
{
	struct buf b = {0};

	for (; *text; text++) {
		const char *const *p = pairs;

		while (*p && **p != *text)
			p += 2;
		if (*p)
			buf_adds(&b, p[1]);
		else
			buf_printf(&b, "%c",
				   (unsigned char)*text < ' ' ? ' ' : *text);
	}
	buf_adds(&b, "");
	return buf_steal(&b);
}

/* Graphviz. */

static char *
dot_text(const char *text)
{
	static const char *const pairs[] = {"\"", "\\\"", "\\", "\\\\", NULL};

	return escaped(text, pairs);
}

static void
dot_vm(const struct batch_vm *v, size_t n)
{
	CLEANUP(mem_freep) char *name = dot_text(v->run.pvm->key);

	if (nsteps_of(v) == 0) {
		printf("\tv%zu [label=\"%s: %s\", fillcolor=\"#ffffff\"];\n", n,
		       name, batch_verdict_name(v));
		return;
	}
	printf("\tsubgraph cluster_%zu {\n\t\tlabel=\"%s: %s\";\n", n, name,
	       batch_verdict_name(v));
	for (size_t i = 0; i < nsteps_of(v); i++) {
		const struct scheduled *s = &v->run.schedule->steps[i];
		CLEANUP(mem_freep) char *id = dot_text(s->step->id);

		printf("\t\tv%zus%zu [label=\"%s\\n%s\", fillcolor=\"%s\"];\n",
		       n, i, id, state_of(s), looks[look_of(s)].fill);
		for (size_t k = 0; k < s->step->nafter; k++)
			printf("\t\tv%zus%zu -> v%zus%zu;\n", n,
			       s->step->after[k], n, i);
	}
	printf("\t}\n");
}

void
plan_draw_dot(const struct batch *b)
{
	printf("digraph \"%s/%s\" {\n\trankdir=LR;\n"
	       "\tlabel=\"digest: %.*s\";\n"
	       "\tnode [shape=box, style=filled];\n",
	       b->plan->o.namespace, b->plan->o.name, REVIEW_SHOWN, b->digest);
	for (size_t i = 0; i < b->nvms; i++)
		dot_vm(&b->vms[i], i);
	printf("}\n");
}

/* Mermaid. */

static char *
mermaid_text(const char *text)
{
	static const char *const pairs[] = {
	    "\"", "#quot;", "#", "#35;", "<", "#lt;", ">", "#gt;", NULL};

	return escaped(text, pairs);
}

static void
mermaid_vm(const struct batch_vm *v, size_t n)
{
	CLEANUP(mem_freep) char *name = mermaid_text(v->run.pvm->key);

	if (nsteps_of(v) == 0) {
		printf("  v%zu[\"%s: %s\"]\n", n, name, batch_verdict_name(v));
		return;
	}
	printf("  subgraph v%zu[\"%s: %s\"]\n", n, name, batch_verdict_name(v));
	for (size_t i = 0; i < nsteps_of(v); i++) {
		const struct scheduled *s = &v->run.schedule->steps[i];
		CLEANUP(mem_freep) char *id = mermaid_text(s->step->id);

		printf("    v%zus%zu[\"%s<br/>%s\"]:::look%zu\n", n, i, id,
		       state_of(s), look_of(s));
		for (size_t k = 0; k < s->step->nafter; k++)
			printf("    v%zus%zu --> v%zus%zu\n", n,
			       s->step->after[k], n, i);
	}
	printf("  end\n");
}

void
plan_draw_mermaid(const struct batch *b)
{
	printf("---\ntitle: \"%s/%s, digest %.*s\"\n---\nflowchart LR\n",
	       b->plan->o.namespace, b->plan->o.name, REVIEW_SHOWN, b->digest);
	for (size_t i = 0; i < b->nvms; i++)
		mermaid_vm(&b->vms[i], i);
	for (size_t i = 0; i < NLOOKS; i++)
		printf("  classDef look%zu fill:%s,color:#000000\n", i,
		       looks[i].fill);
}

/* Markdown. */

static char *
markdown_text(const char *text)
{
	static const char *const pairs[] = {
	    "|", "\\|", "\\", "\\\\", "<", "&lt;", "&", "&amp;", "`", "\\`",
	    "*", "\\*", "_",  "\\_",  "[", "\\[",  "]", "\\]",	 NULL};
	CLEANUP(mem_freep) char *clean = redact_text(text);

	return escaped(clean, pairs);
}

static void
markdown_vm(const struct batch_vm *v)
{
	const struct shape *shape = v->run.view.shape;
	CLEANUP(mem_freep) char *name = markdown_text(v->run.pvm->key);
	CLEANUP(mem_freep)
	char *target =
	    markdown_text(shape && shape->name ? shape->name : v->run.pvm->key);

	printf("\n### %s", name);
	if (strcmp(name, target) != 0)
		printf(" → %s", target);
	printf(": %s\n", batch_verdict_name(v));
	if (v->verdict == BATCH_BACK) {
		CLEANUP(mem_freep) char *why = markdown_text(v->error.text);

		printf("\n> %s\n", why);
	}
	if (nsteps_of(v))
		printf("\n| step | what a run does |\n|---|---|\n");
	for (size_t i = 0; i < nsteps_of(v); i++) {
		const struct scheduled *s = &v->run.schedule->steps[i];
		CLEANUP(mem_freep) char *id = markdown_text(s->step->id);
		CLEANUP(mem_freep) char *words = scheduled_words(s);
		CLEANUP(mem_freep) char *text = markdown_text(words);

		printf("| %s | %s |\n", id, text);
	}
}

static void
markdown_findings(const struct findings *f)
{
	for (size_t i = 0; i < f->n; i++) {
		const struct finding *one = &f->v[i];
		CLEANUP(mem_freep) char *text = markdown_text(one->message);

		printf("- **%s** %s: ", finding_category_name(one->category),
		       one->type);
		if (one->vm) {
			CLEANUP(mem_freep) char *vm = markdown_text(one->vm);

			printf("%s: ", vm);
		}
		printf("%s\n", text);
	}
}

const char *
plan_end_name(const struct endpoint *ep)
{
	return ep ? ep->o.name : "?";
}

void
plan_draw_markdown(const struct batch *b, const struct findings *read)
{
	printf("## Plan %s/%s\n\nFrom %s to %s; digest `%.*s`.\n",
	       b->plan->o.namespace, b->plan->o.name,
	       plan_end_name(b->plan->source), plan_end_name(b->plan->target),
	       REVIEW_SHOWN, b->digest);
	for (size_t i = 0; i < b->nvms; i++)
		markdown_vm(&b->vms[i]);
	if (read->n + b->findings.n == 0)
		return;
	printf("\n### Findings\n\n");
	markdown_findings(read);
	markdown_findings(&b->findings);
}
