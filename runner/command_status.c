/* SPDX-License-Identifier: Apache-2.0 */
/* palletjack status: where it stands, from the journals alone. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "batch_waves.h"
#include "command.h"
#include "downtime.h"
#include "due.h"
#include "leftover.h"
#include "state.h"

#define WATCH_MS 500
/* Looking takes a fifth of the time at most, however many the vms are. */
#define WATCH_SHARE 4

struct options {
	const char *plan, *selector, *output;
	struct words vms, paths;
	bool watch;
};

/* What is shown at one look. */
struct show {
	const struct options *o;
	const char *state, *root; /* --state, and what it came to */
	const struct plan *plan;
	const struct waves *waves;
	json_t *vms; /* the text is made of them with -o json */
	struct buf text;
	bool is_worked_on; /* some vm */
};

static const char *const state_names[] = {
    [HISTORY_NEVER] = "new",	 [HISTORY_OPEN] = "begun",
    [HISTORY_DONE] = "done",	 [HISTORY_FAILED] = "failed",
    [HISTORY_UNDONE] = "undone", [HISTORY_AGAIN] = "asked for anew",
};

/* One vm, from its state directory and the manifest's migrations. */
struct view_of_vm {
	const struct plan_vm *pvm;
	const struct vm_state *state;
	struct standing standing;
	struct due due;
	const struct waves *waves;
	bool has_entry; /* in the plan */
	char *left;	/* what is to be said when no run works on it */
};

/* In one word where the vm stands. */
static const char *
vm_word(const struct view_of_vm *v)
{
	const struct history *h = v->state->history;

	if (h->rolled_back)
		return "rolled back";
	if (h->rollback_begun)
		return "rolling back or cut short";
	if (h->finished)
		return "finished";
	if (h->run_begun && !h->run_ended)
		return "running or cut short";
	if (v->due.cancelled[0])
		return "cancelled";
	if (!h->version)
		return "not begun";
	if (h->run_error && h->run_class == ERR_WAITING)
		return "waiting";
	return h->run_error ? "stopped" : "begun";
}

/* When the source may be stopped, while that is still to come; or NULL. */
static char *
wait_text(const struct view_of_vm *v)
{
	const struct step_history *cutover =
	    history_past(v->state->history, "cutover");

	if (v->state->history->finished || v->state->history->rollback_begun ||
	    v->due.cancelled[0] ||
	    (cutover && cutover->state == HISTORY_DONE) || !due_waits(&v->due))
		return NULL;
	return due_text(&v->due);
}

/* The wave that it may not be begun before, or NULL. */
static char *
wave_text(const struct view_of_vm *v)
{
	char *text = NULL;

	if (v->state->history->finished || v->state->history->rollback_begun ||
	    v->due.cancelled[0] || history_is_cut_over(v->state->history) ||
	    waves_may_begin(v->waves, v->pvm, &text) == WAVE_OPEN)
		return NULL;
	return text;
}

/* Of a disk that is being copied, or whose copy was cut short: what is durable
 * by its ledger, which is a few seconds behind. */
static struct copied
copied_of(const struct view_of_vm *v, const struct step_history *s)
{
	static const char *const stages[] = {"cutover/", "precopy/"};

	for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
		size_t len = strlen(stages[i]);

		if (s->state != HISTORY_DONE && s->state != HISTORY_UNDONE &&
		    strncmp(s->id, stages[i], len) == 0)
			return stages_copied(v->state->dir, s->id + len);
	}
	return (struct copied){0};
}

static void
add_copied(json_t *step, const struct copied *c)
{
	if (c->size > 0)
		json_object_set_new(
		    step, "copied",
		    json_pack("{s:I, s:I, s:I}", "pass", (json_int_t)c->pass,
			      "durable", (json_int_t)c->durable, "size",
			      (json_int_t)c->size));
}

/* Of a step something may be on record before it is begun: what was predicted
 * of it, or that its disk was compared. */
static bool
is_told(const struct step_history *s)
{
	return s->begun != NULL;
}

static json_t *
step_to_json(const struct view_of_vm *v, const struct step_history *s)
{
	struct copied copied = copied_of(v, s);
	json_t *step = json_pack("{s:s, s:s, s:i, s:s}", "step", s->id, "state",
				 state_names[s->state], "attempts", s->attempts,
				 "begun", s->begun);

	if (s->ended)
		json_object_set_new(step, "ended", json_string(s->ended));
	if (s->error)
		json_object_set_new(step, "error",
				    json_pack("{s:s, s:s}", "class",
					      err_class_name(s->error_class),
					      "text", s->error));
	if (s->used_up)
		json_object_set_new(step, "retriesUsedUp",
				    json_string(s->used_up));
	if (s->facts)
		json_object_set(step, "facts", s->facts);
	add_copied(step, &copied);
	return step;
}

/* What people asked for and no run has seen yet. */
static json_t *
waiting_to_json(const struct standing *s)
{
	json_t *waiting = json_array();

	for (int i = 0; i < NREQUESTS; i++)
		if (s->waits[i])
			json_array_append_new(waiting,
					      json_string(request_kind_name(
						  (enum request_kind)i)));
	return waiting;
}

/* What was predicted of its cutover, and what it came to. */
static void
add_downtime(json_t *vm, const struct history *h)
{
	struct downtime_told t;
	json_t *told;

	downtime_told(h, &t);
	if (!t.is_predicted && t.took_ms < 0)
		return;
	told = json_object();
	if (t.took_ms >= 0)
		json_object_set_new(told, "ms", json_integer(t.took_ms));
	if (t.is_predicted)
		json_object_set_new(
		    told, "predicted",
		    json_pack("{s:I, s:I, s:s?}", "lowMs", (json_int_t)t.low_ms,
			      "highMs", (json_int_t)t.high_ms, "why", t.why));
	json_object_set_new(vm, "downtime", told);
}

static json_t *
vm_to_json(const struct view_of_vm *v)
{
	const struct history *h = v->state->history;
	CLEANUP(mem_freep) char *wait = wait_text(v);
	CLEANUP(mem_freep) char *wave = wave_text(v);
	CLEANUP(json_decrefp) json_t *place = history_place(h);
	json_t *steps = json_array(), *vm;

	for (size_t i = 0; i < h->nsteps; i++)
		if (is_told(h->steps[i]))
			json_array_append_new(steps,
					      step_to_json(v, h->steps[i]));
	vm = json_pack("{s:s, s:s, s:s, s:o, s:o}", "vm", v->pvm->key, "state",
		       vm_word(v), "stateDir", v->state->dir, "steps", steps,
		       "requests", waiting_to_json(&v->standing));
	if (h->run_error)
		json_object_set_new(vm, "error", json_string(h->run_error));
	if (h->finished)
		json_object_set_new(vm, "finished", json_string(h->finished));
	if (json_object_size(history_doubts(h)) > 0)
		json_object_set(vm, "doubts", history_doubts(h));
	if (wait)
		json_object_set_new(vm, "waits", json_string(wait));
	if (!h->finished && v->due.window.to_ms)
		json_object_set_new(vm, "window", due_window_json(&v->due));
	if (v->pvm->wave)
		json_object_set_new(vm, "wave",
				    json_string(v->pvm->wave->name));
	if (wave)
		json_object_set_new(vm, "waitsForWave", json_string(wave));
	if (!v->has_entry)
		json_object_set_new(vm, "entry", json_false());
	if (v->left)
		json_object_set_new(vm, "next", json_string(v->left));
	if (place)
		json_object_set(vm, "place", place);
	add_downtime(vm, h);
	if (v->due.cancelled[0])
		json_object_set_new(vm, "cancelled",
				    json_string(v->due.cancelled));
	return vm;
}

/* That all of a disk was looked at, though it had been copied, and why. */
static void
print_why(const struct step_history *s, struct buf *to)
{
	const char *why = json_string_value(json_object_get(s->facts, "why"));
	const char *say = json_string_value(json_object_get(s->facts, "say"));

	if (why && say && s->state == HISTORY_DONE)
		buf_printf(to, "  %s", say);
}

static void
print_step(const struct view_of_vm *v, const struct step_history *s,
	   struct buf *to)
{
	const char *when = s->ended ? s->ended : s->begun;
	char pass[UNITS_TEXT_SIZE], size[UNITS_TEXT_SIZE];
	struct copied copied = copied_of(v, s);

	buf_printf(to, "  %-20s %-7s %.10s %.8s", s->id,
		   step_history_is_void(s) ? "void" : state_names[s->state],
		   when, when + 11);
	if (s->attempts > 1)
		buf_printf(to, "  %d attempts", s->attempts);
	if (copied.size > 0)
		buf_printf(to, "  %s of %s",
			   units_format_bytes(copied.pass, pass),
			   units_format_bytes(copied.size, size));
	if (s->error)
		buf_printf(to, "  %s", s->error);
	if (s->used_up)
		buf_printf(to, "  (its retries are used up)");
	print_why(s, to);
	buf_printf(to, "\n");
}

/* Where it is at the target, from the day that it is defined there. */
static void
print_place(const struct history *h, struct buf *to)
{
	CLEANUP(json_decrefp) json_t *place = history_place(h);
	const char *home = json_string_value(json_object_get(place, "home"));
	json_t *pool;
	size_t i;

	if (!place)
		return;
	if (home)
		buf_printf(to, "  at the target: %s", home);
	else
		buf_printf(to, "  at the target: domain '%s' of %s",
			   json_string_value(json_object_get(place, "domain")),
			   json_string_value(json_object_get(place, "uri")));
	json_array_foreach(json_object_get(place, "pools"), i, pool) buf_printf(
	    to, "%s %s", i ? "," : ", disks in pool", json_string_value(pool));
	buf_printf(to, "\n");
}

static void
print_downtime(const struct history *h, struct buf *to)
{
	CLEANUP(mem_freep) char *down = downtime_text(h);
	struct downtime_told t;

	downtime_told(h, &t);
	if (down)
		buf_printf(to, "  %s\n", down);
	else if (t.is_predicted && t.why)
		buf_printf(to, "  when it was cut over: %s\n", t.why);
}

static void
print_vm(const struct view_of_vm *v, struct buf *to)
{
	const struct history *h = v->state->history;
	CLEANUP(mem_freep) char *wait = wait_text(v);
	CLEANUP(mem_freep) char *wave = wave_text(v);
	const char *disk;
	json_t *doubt;

	buf_printf(to, "\n%s: %s%s\n", v->pvm->key, vm_word(v),
		   v->has_entry ? "" : ", and not in the plan any more");
	for (size_t i = 0; i < h->nsteps; i++)
		if (is_told(h->steps[i]))
			print_step(v, h->steps[i], to);
	print_place(h, to);
	json_object_foreach(history_doubts(h), disk, doubt)
	    buf_printf(to, "  in doubt: %s, since %s found a difference\n",
		       disk, history_doubted_by(h, disk));
	if (h->run_error)
		buf_printf(to, "  last run: %s\n", h->run_error);
	if (v->due.cancelled[0])
		buf_printf(to, "  cancelled %s\n", v->due.cancelled);
	if (wave)
		buf_printf(to, "  %s\n", wave);
	if (wait)
		buf_printf(to, "  %s\n", wait);
	if (v->left)
		buf_printf(to, "  no run works on it: %s\n", v->left);
	if (h->source_stopped && !v->left)
		buf_printf(to,
			   "  the source was stopped on %.10s at %.8s UTC\n",
			   h->source_stopped, h->source_stopped + 11);
	print_downtime(h, to);
	for (int i = 0; i < NREQUESTS; i++)
		if (v->standing.waits[i])
			buf_printf(
			    to, "  a request (%s) waits for a run to see it\n",
			    request_kind_name((enum request_kind)i));
}

static bool
as_json(const struct options *o)
{
	return o->output && strcmp(o->output, "json") == 0;
}

static int
show_vm(struct show *s, const struct plan_vm *pvm)
{
	const struct options *o = s->o;
	const struct plan *plan = s->plan;
	CLEANUP(mem_freep) char *dir = state_vm_dir(s->root, plan, pvm);
	struct vm_state *state = NULL;
	struct view_of_vm v = {.pvm = pvm, .waves = s->waves};
	CLEANUP(mem_freep)
	char *name = mem_printf("%s/%s", plan->o.namespace, plan->o.name);
	CLEANUP(mem_freep)
	char *args =
	    words_again(&o->paths, o->selector ? name : o->plan, s->state);
	struct err err;

	if (state_peek(dir, &state, &err) < 0 ||
	    standing_read(state->history, dir, &v.standing, &err) < 0) {
		state_release(state);
		complain("%s: %s", pvm->key, err.text);
		json_array_append_new(
		    s->vms,
		    json_pack("{s:s, s:s, s:s, s:[], s:[], s:s}", "vm",
			      pvm->key, "state", "not readable", "stateDir",
			      dir, "steps", "requests", "error", err.text));
		return err_exit_code(err.class);
	}
	v.state = state;
	s->is_worked_on = s->is_worked_on || state_is_owned(state);
	v.has_entry = plan_vm_find(plan, pvm->key) != NULL;
	if (!v.has_entry ||
	    (plan->archived && leftover_matters(state->history)))
		v.left = leftover_text(state->history, pvm->key, args);
	due_of(plan, pvm, NULL, state->history, &v.standing, &v.due);
	if (as_json(o))
		json_array_append_new(s->vms, vm_to_json(&v));
	else
		print_vm(&v, &s->text);
	free(v.left);
	standing_done(&v.standing);
	state_release(state);
	return 0;
}

/* --vm: an entry of the plan, or who once was one. */
static int
check_vms(const struct words *vms, const struct plan *plan,
	  const struct plan_vm *left, size_t nleft, struct err *err)
{
	struct words entries = {0};
	int rc;

	for (size_t i = 0; i < vms->n; i++)
		if (!leftover_find(left, nleft, vms->v[i]))
			words_add(&entries, vms->v[i]);
	rc = words_check_vms(&entries, plan, err);
	words_done(&entries);
	return rc;
}

static int
show_vms(struct show *s, const struct plan_vm *these, size_t n)
{
	int code = 0;

	for (size_t i = 0; i < n; i++)
		if (words_want(&s->o->vms, &these[i]))
			code = exit_code_worse(code, show_vm(s, &these[i]));
	return code;
}

static void
add_json(struct show *s)
{
	json_t *all = json_pack("{s:{s:s, s:s}, s:O}", "plan", "namespace",
				s->plan->o.namespace, "name", s->plan->o.name,
				"vms", s->vms);
	CLEANUP(mem_freep) char *text = NULL;

	if (s->plan->archived)
		json_object_set_new(all, "archived", json_true());
	text = json_dumps(all, JSON_INDENT(2));
	buf_printf(&s->text, "%s\n", text ? text : "");
	json_decref(all);
}

/* One look; s->text is all of it. */
static int
look(struct show *s, const struct plan_vm *left, size_t nleft)
{
	struct waves *ws = journal_waves(s->plan, s->root);
	int code;

	buf_reset(&s->text);
	s->is_worked_on = false;
	s->waves = ws;
	s->vms = json_array();
	if (!as_json(s->o))
		buf_printf(&s->text, "Plan %s/%s%s\n", s->plan->o.namespace,
			   s->plan->o.name,
			   s->plan->archived ? " (archived)" : "");
	code = show_vms(s, s->plan->vms, s->plan->nvms);
	code = exit_code_worse(code, show_vms(s, left, nleft));
	if (as_json(s->o))
		add_json(s);
	json_decref(s->vms);
	waves_free(ws);
	return code;
}

/* In its own place again on a terminal, else below what it was. */
static void
show_again(const struct show *s, bool is_first)
{
	if (isatty(STDOUT_FILENO) && !as_json(s->o))
		printf("\033[H\033[2J");
	else if (!is_first && !as_json(s->o))
		printf("\n");
	printf("%s", s->text.data);
}

/* Until nobody works on any vm, and one look more: the last records may have
 * come between the look at the journal and that at its owner. */
static int
watch(struct show *s, const struct plan_vm *left, size_t nleft)
{
	CLEANUP(mem_freep) char *last = NULL;
	bool again = true;
	int code;

	while (true) {
		int64_t begun = clock_mono_ms();

		code = look(s, left, nleft);
		if (!last || strcmp(last, s->text.data) != 0) {
			show_again(s, !last);
			free(last);
			last = mem_strdup(s->text.data);
		}
		if (fflush(stdout) != 0)
			break;
		if (s->is_worked_on)
			poll(NULL, 0,
			     WATCH_MS +
				 (int)(clock_mono_ms() - begun) * WATCH_SHARE);
		else if (!again)
			break;
		again = s->is_worked_on;
	}
	return code;
}

static int
show_plan(const struct globals *g, const struct options *o,
	  const struct plan *plan, struct arena *arena)
{
	struct err err;
	CLEANUP(mem_freep) char *root = state_root(g->state, &err);
	struct show s = {.o = o, .state = g->state, .root = root, .plan = plan};
	const struct plan_vm *left = NULL;
	size_t nleft = 0;
	int code;

	if (root)
		left = leftovers(root, plan, arena, &nleft);
	if (!root || check_vms(&o->vms, plan, left, nleft, &err) < 0)
		return complain_err(&err);
	if (o->watch) {
		code = watch(&s, left, nleft);
	} else {
		code = look(&s, left, nleft);
		printf("%s", s.text.data);
	}
	buf_done(&s.text);
	return code;
}

static int
status(const struct globals *g, const struct options *o)
{
	struct session s;
	int code = session_open(&s, &o->paths, false);

	s.selector = o->selector;
	if (code == 0)
		code = session_plan(&s, o->plan, false);
	if (code == 0)
		code = show_plan(g, o, s.plan, s.arena);
	session_close(&s);
	return code;
}

static int
run(const struct globals *g, int argc, char **argv)
{
	struct options o = {0};
	const struct option_spec specs[] = {
	    {"--plan", OPTION_TEXT, &o.plan},	{"--vm", OPTION_LIST, &o.vms},
	    {"-l", OPTION_TEXT, &o.selector},	{"-o", OPTION_TEXT, &o.output},
	    {"--watch", OPTION_FLAG, &o.watch}, {0},
	};
	int rc = options_parse(&command_status, specs, argc, argv, &o.paths);

	if (rc == 0 && o.output && strcmp(o.output, "text") != 0 &&
	    strcmp(o.output, "json") != 0) {
		complain("status: -o is text or json");
		rc = -1;
	}
	rc = rc ? (rc < 0 ? 2 : 0) : status(g, &o);
	words_done(&o.paths);
	words_done(&o.vms);
	return rc;
}

const struct command command_status = {
    .name = "status",
    .summary = "show where each vm and step stands",
    .usage = "[--plan NS/NAME] [-l SELECTOR] [--vm NAME]... [-o text|json] "
	     "[--watch] PATH...",
    .help =
	"  --plan NS/NAME  needed when the manifest holds several\n"
	"  -l SELECTOR     choose the plan by its labels: a=b, a!=b, a, "
	"!a,\n                  'a in (b,c)', 'a notin (b,c)', joined by "
	"commas\n"
	"  --vm NAME       only this vm of the plan, or one whose entry was "
	"taken out; may be\n                  repeated\n"
	"  -o text|json    as JSON\n"
	"  --watch         show it again whenever it changes, as long as a "
	"run works on a vm of\n                  it; on no terminal each "
	"time below the last\n\n"
	"Reads the journals and nothing else: it works beside a running "
	"run and after the source is gone.\n",
    .run = run,
};
