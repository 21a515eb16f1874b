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

/* "wave 'two' (after 'one', atomic, gate: manual)"; caller frees. */
static char *
wave_words(const struct wave *w)
{
	struct buf b = {0};
	const char *mark = " (";

	buf_printf(&b, "wave '%s'", w->name);
	for (size_t i = 0; i < w->nafter; i++) {
		buf_printf(&b, "%s%s'%s'", mark, i ? "" : "after ",
			   w->after[i]);
		mark = ", ";
	}
	if (w->atomic) {
		buf_printf(&b, "%satomic", mark);
		mark = ", ";
	}
	if (w->gate == GATE_MANUAL) {
		buf_printf(&b, "%sgate: manual", mark);
		mark = ", ";
	}
	if (w->max_failures >= 0) {
		buf_printf(&b, "%smaxFailures: %d", mark, w->max_failures);
		mark = ", ";
	}
	buf_adds(&b, *mark == ',' ? ")" : "");
	return buf_steal(&b);
}

/* The first vm that is drawn in it, or nvms. */
static size_t
first_of(const struct batch *b, size_t wave)
{
	size_t i = 0;

	while (i < b->nvms && (!b->vms[i].run.pvm->wave ||
			       b->vms[i].run.pvm->wave->number != wave))
		i++;
	return i;
}

struct pen {
	void (*open)(const struct wave *w);
	void (*vm)(const struct batch_vm *v, size_t n);
	void (*close)(void); /* or NULL */
};

/* Those in no wave, which wait for none, then wave by wave. */
static void
draw_vms(const struct batch *b, const struct pen *pen)
{
	for (size_t i = 0; i < b->nvms; i++)
		if (!b->vms[i].run.pvm->wave)
			pen->vm(&b->vms[i], i);
	for (size_t k = 0; k < b->plan->policy->nwaves; k++) {
		size_t i = first_of(b, k);

		if (i == b->nvms)
			continue;
		pen->open(&b->plan->policy->waves[k]);
		for (; i < b->nvms; i++)
			if (b->vms[i].run.pvm->wave &&
			    b->vms[i].run.pvm->wave->number == k)
				pen->vm(&b->vms[i], i);
		if (pen->close)
			pen->close();
	}
}

typedef void draw_after(const struct batch *b, size_t before, size_t after);

/* Which wave waits for which, of those that are drawn. */
static void
draw_afters(const struct batch *b, draw_after *draw)
{
	for (size_t k = 0; k < b->plan->policy->nwaves; k++) {
		const struct wave *w = &b->plan->policy->waves[k];

		for (size_t i = 0; i < w->nafter; i++)
			if (first_of(b, k) < b->nvms &&
			    first_of(b, w->after_waves[i]) < b->nvms)
				draw(b, w->after_waves[i], k);
	}
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

static void
dot_wave(const struct wave *w)
{
	CLEANUP(mem_freep) char *words = wave_words(w);
	CLEANUP(mem_freep) char *text = dot_text(words);

	printf("\tsubgraph cluster_w%zu {\n\t\tlabel=\"%s\";\n", w->number,
	       text);
}

static void
dot_wave_end(void)
{
	printf("\t}\n");
}

/* An edge has a node at either end, and is cut off at the wave's border. */
static void
dot_after(const struct batch *b, size_t before, size_t after)
{
	size_t from = first_of(b, before), to = first_of(b, after);
	size_t nfrom = nsteps_of(&b->vms[from]), nto = nsteps_of(&b->vms[to]);

	printf("\tv%zu", from);
	if (nfrom)
		printf("s%zu", nfrom - 1);
	printf(" -> v%zu%s [ltail=cluster_w%zu, lhead=cluster_w%zu];\n", to,
	       nto ? "s0" : "", before, after);
}

void
plan_draw_dot(const struct batch *b)
{
	printf("digraph \"%s/%s\" {\n\trankdir=LR;\n"
	       "\tlabel=\"digest: %.*s\";\n"
	       "\tnode [shape=box, style=filled];\n",
	       b->plan->o.namespace, b->plan->o.name, REVIEW_SHOWN, b->digest);
	if (b->plan->policy->nwaves)
		printf("\tcompound=true;\n");
	draw_vms(b, &(struct pen){dot_wave, dot_vm, dot_wave_end});
	draw_afters(b, dot_after);
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

static void
mermaid_wave(const struct wave *w)
{
	CLEANUP(mem_freep) char *words = wave_words(w);
	CLEANUP(mem_freep) char *text = mermaid_text(words);

	printf("  subgraph w%zu[\"%s\"]\n", w->number, text);
}

static void
mermaid_wave_end(void)
{
	printf("  end\n");
}

static void
mermaid_after(const struct batch *b, size_t before, size_t after)
{
	(void)b;
	printf("  w%zu --> w%zu\n", before, after);
}

void
plan_draw_mermaid(const struct batch *b)
{
	printf("---\ntitle: \"%s/%s, digest %.*s\"\n---\nflowchart LR\n",
	       b->plan->o.namespace, b->plan->o.name, REVIEW_SHOWN, b->digest);
	draw_vms(b, &(struct pen){mermaid_wave, mermaid_vm, mermaid_wave_end});
	draw_afters(b, mermaid_after);
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
markdown_wave(const struct wave *w)
{
	CLEANUP(mem_freep) char *words = wave_words(w);
	CLEANUP(mem_freep) char *text = markdown_text(words);

	printf("\n### %s\n", text);
}

static void
markdown_vm(const struct batch_vm *v, size_t n)
{
	const struct shape *shape = v->run.view.shape;
	CLEANUP(mem_freep) char *name = markdown_text(v->run.pvm->key);
	CLEANUP(mem_freep)
	char *target =
	    markdown_text(shape && shape->name ? shape->name : v->run.pvm->key);

	(void)n;
	printf("\n###%s %s", v->run.pvm->wave ? "#" : "", name);
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
	draw_vms(b, &(struct pen){markdown_wave, markdown_vm, NULL});
	if (read->n + b->findings.n == 0)
		return;
	printf("\n### Findings\n\n");
	markdown_findings(read);
	markdown_findings(&b->findings);
}
