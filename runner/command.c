/* SPDX-License-Identifier: Apache-2.0 */
/* What commands share: options, messages, exit codes, reading a manifest. */
#include "command.h"
#include "batch.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/redact.h"
#include "base/utf8.h"
#include "selector.h"
#include "stages/stage.h"

void
words_add(struct words *w, const char *word)
{
	w->v = mem_resize(w->v, (w->n + 2) * sizeof(*w->v));
	w->v[w->n++] = word;
	w->v[w->n] = NULL;
}

void
words_done(struct words *w)
{
	free(w->v);
	*w = (struct words){0};
}

bool
words_want(const struct words *vms, const struct plan_vm *pvm)
{
	for (size_t i = 0; i < vms->n; i++)
		if (strcmp(vms->v[i], pvm->key) == 0)
			return true;
	return vms->n == 0;
}

int
words_check_vms(const struct words *vms, const struct plan *plan,
		struct err *err)
{
	for (size_t i = 0; i < vms->n; i++)
		if (!plan_vm_find(plan, vms->v[i]))
			return err_set(
			    err, ERR_USER, "plan %s/%s has no vm '%s'",
			    plan->o.namespace, plan->o.name, vms->v[i]);
	return 0;
}

char *
words_again(const struct words *paths, const char *plan, const char *state)
{
	struct buf b = {0};

	buf_adds(&b, "");
	for (size_t i = 0; i < paths->n; i++)
		buf_printf(&b, " %s", paths->v[i]);
	if (plan)
		buf_printf(&b, " --plan %s", plan);
	if (state)
		buf_printf(&b, " --state '%s'", state);
	return buf_steal(&b);
}

void
complain(const char *fmt, ...)
{
	CLEANUP(mem_freep) char *text = NULL, *clean = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = mem_vprintf(fmt, ap);
	va_end(ap);
	clean = redact_text(text);
	utf8_plain(clean);
	fprintf(stderr, "palletjack: %s\n", clean);
}

int
complain_err(const struct err *err)
{
	complain("%s", err->text);
	return err_exit_code(err->class);
}

static void
print_help(const struct command *c)
{
	printf("usage: palletjack %s%s%s\n\n%s\n%s%s", c->name,
	       *c->usage ? " " : "", c->usage, c->summary, *c->help ? "\n" : "",
	       c->help);
}

/* The spec of one word, and what follows its "=", if anything. */
static const struct option_spec *
option_of(const struct option_spec *specs, const char *word,
	  const char **ret_value)
{
	*ret_value = NULL;
	for (; specs->name; specs++) {
		size_t len = strlen(specs->name);

		if (strncmp(word, specs->name, len) != 0)
			continue;
		if (word[len] == '\0')
			return specs;
		if (word[len] == '=' && word[1] == '-') {
			*ret_value = word + len + 1;
			return specs;
		}
	}
	return NULL;
}

static int
wrong_usage(const struct command *c, const char *what, const char *word)
{
	complain("%s: %s '%s'; see 'palletjack %s --help'", c->name, what, word,
		 c->name);
	return -1;
}

static int
take_option(const struct command *c, const struct option_spec *o,
	    const char *value, const char *next, const char *word)
{
	if (o->type == OPTION_FLAG) {
		if (value)
			return wrong_usage(c, "takes no value:", word);
		*(bool *)o->to = true;
		return 0;
	}
	if (!value && !next)
		return wrong_usage(c, "a value must follow", word);
	if (o->type == OPTION_TEXT)
		*(const char **)o->to = value ? value : next;
	else
		words_add(o->to, value ? value : next);
	return value ? 0 : 1;
}

int
options_parse(const struct command *c, const struct option_spec *specs,
	      int argc, char **argv, struct words *rest)
{
	bool only_words = false;

	for (int i = 1; i < argc; i++) {
		const struct option_spec *o;
		const char *value;
		int used;

		if (only_words || argv[i][0] != '-' || !argv[i][1]) {
			words_add(rest, argv[i]);
			continue;
		}
		if (strcmp(argv[i], "--") == 0) {
			only_words = true;
			continue;
		}
		if (strcmp(argv[i], "--help") == 0 ||
		    strcmp(argv[i], "-h") == 0) {
			print_help(c);
			return 1;
		}
		o = option_of(specs, argv[i], &value);
		if (!o)
			return wrong_usage(c, "unknown option", argv[i]);
		used = take_option(c, o, value, argv[i + 1], argv[i]);
		if (used < 0)
			return -1;
		i += used;
	}
	return 0;
}

int
options_check_stage(const char *what, const char *stage)
{
	size_t n;
	const struct stage *const *stages = stages_all(&n);

	if (!stage)
		return 0;
	for (size_t i = 0; i < n; i++)
		if (strcmp(stages[i]->name, stage) == 0)
			return 0;
	complain("%s: there is no stage '%s'", what, stage);
	return -1;
}

int
options_check_stages(const char *what, const struct words *stages)
{
	for (size_t i = 0; i < stages->n; i++)
		if (options_check_stage(what, stages->v[i]) < 0)
			return -1;
	return 0;
}

static void
print_finding(const struct finding *f)
{
	CLEANUP(mem_freep) char *message = redact_text(f->message);
	CLEANUP(mem_freep) char *vm = mem_strdup(f->vm ? f->vm : "");

	utf8_plain(message);
	utf8_plain(vm);
	if (f->pos.file && f->pos.line)
		fprintf(stderr, "%s:%u:%u: ", f->pos.file, f->pos.line,
			f->pos.column);
	fprintf(stderr, "%s %s: ", finding_category_name(f->category), f->type);
	if (f->object)
		fprintf(stderr, "%s: ", f->object);
	if (f->vm)
		fprintf(stderr, "vm '%s': ", vm);
	fprintf(stderr, "%s\n", message);
}

void
findings_print(const struct findings *f)
{
	for (size_t i = 0; i < f->n; i++)
		print_finding(&f->v[i]);
}

/* Does `text` name the object?  NULL names nothing. */
static bool
names(const char *text, const struct object *o)
{
	CLEANUP(mem_freep) char *ours = NULL;

	if (!o || !o->name)
		return false;
	ours = mem_printf("%s %s/%s", o->kind, o->namespace, o->name);
	return strcmp(text, ours) == 0;
}

static bool
endpoint_reaches(const struct endpoint *ep, const char *text)
{
	return ep && (names(text, &ep->o) ||
		      (ep->secret && names(text, &ep->secret->o)));
}

static bool
vm_reaches(const struct plan_vm *pvm, const char *text)
{
	for (size_t i = 0; i < pvm->nhooks; i++) {
		const struct vm_hook *h = &pvm->hooks[i];

		if ((h->script && names(text, &h->script->o)) ||
		    (h->hook && names(text, &h->hook->o)))
			return true;
	}
	return false;
}

static bool
plan_reaches(const struct plan *plan, const char *text)
{
	if (names(text, &plan->o) || names(text, &plan->policy->o) ||
	    (plan->network_map && names(text, &plan->network_map->o)) ||
	    (plan->storage_map && names(text, &plan->storage_map->o)) ||
	    endpoint_reaches(plan->source, text) ||
	    endpoint_reaches(plan->target, text))
		return true;
	for (size_t i = 0; i < plan->nmigrations; i++)
		if (names(text, &plan->migrations[i]->o))
			return true;
	for (size_t i = 0; i < plan->nvms; i++)
		if (vm_reaches(&plan->vms[i], text))
			return true;
	return false;
}

bool
findings_block_plan(const struct findings *f, const struct manifest *m,
		    const struct plan *plan)
{
	for (size_t i = 0; i < f->n; i++) {
		const struct finding *one = &f->v[i];

		if (!finding_blocks(one) || (plan && one->vm))
			continue;
		if (!plan || !one->object || m->nplans_read < 2 ||
		    plan_reaches(plan, one->object))
			return true;
	}
	return false;
}

int
session_open(struct session *s, const struct words *paths, bool strict)
{
	struct manifest_opts opts = {.strict = strict};
	struct err err;
	int rc;

	*s = (struct session){.arena = arena_new()};
	s->findings.arena = s->arena;
	if (paths->n == 0) {
		complain("name the manifest: files, directories, or - for "
			 "standard input");
		return 2;
	}
	rc = manifest_read(paths->v, paths->n, &opts, &s->findings,
			   &s->manifest, &err);
	findings_print(&s->findings);
	return rc < 0 ? complain_err(&err) : 0;
}

/* Puts the plans whose labels match -l first, as they come, and counts those
 * alone; the others are still there to collide with. */
static int
select_plans(struct session *s, struct err *err)
{
	struct manifest *m = s->manifest;
	struct plan *one;
	size_t kept = 0;
	bool matches;

	if (!s->selector)
		return 0;
	for (size_t i = 0; i < m->nplans; i++) {
		if (selector_matches(s->selector, m->plans[i]->o.labels,
				     &matches, err) < 0)
			return -1;
		if (!matches)
			continue;
		one = m->plans[i];
		memmove(&m->plans[kept + 1], &m->plans[kept],
			(i - kept) * sizeof(*m->plans));
		m->plans[kept++] = one;
	}
	if (m->nplans > 0 && kept == 0)
		return err_set(err, ERR_USER,
			       "no plan of the manifest has labels that match "
			       "'%s'",
			       s->selector);
	m->nplans = kept;
	return 0;
}

int
session_plan(struct session *s, const char *name, bool must_be_ready)
{
	struct err err;

	if (select_plans(s, &err) < 0)
		return complain_err(&err);
	if (manifest_plan(s->manifest, name, &s->plan, &err) < 0) {
		complain_err(&err);
		/* a plan that cannot be read is one that is not ready */
		return s->manifest->nplans == 0 &&
			       findings_block_plan(&s->findings, NULL, NULL)
			   ? 3
			   : 2;
	}
	if (!must_be_ready ||
	    !findings_block_plan(&s->findings, s->manifest, s->plan))
		return 0;
	complain("plan %s/%s is not ready: see the findings above; nothing "
		 "was touched",
		 s->plan->o.namespace, s->plan->o.name);
	return 3;
}

void
session_close(struct session *s)
{
	manifest_free(s->manifest);
	findings_done(&s->findings);
	arena_free(s->arena);
}

int
exit_code_worse(int a, int b)
{
	static const int order[] = {129, 130, 143, 1, 2, 8, 6,
				    5,	 3,   4,   9, 7, 0};

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if (a == order[i] || b == order[i])
			return order[i];
	return a;
}

int
exit_code_of_vms(const struct batch *b, const struct vm_run *worked_on,
		 size_t n)
{
	int code = 0;

	for (size_t i = 0; i < b->nvms; i++)
		if (b->vms[i].verdict == BATCH_BACK)
			code = exit_code_worse(
			    code, err_exit_code(b->vms[i].error.class));
	for (size_t i = 0; i < n; i++)
		code =
		    exit_code_worse(code, err_exit_code(worked_on[i].outcome));
	return code;
}
