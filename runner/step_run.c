/* SPDX-License-Identifier: Apache-2.0 */
/* One step in a run: begun, heard, ended, tried again. */
#include "run.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "events.h"
#include "io/stray.h"

#define HELPERS_DEADLINE_MS 5000

#define STREAM_PROGRESS_MS 5000 /* between two lines of a step */
#define MUTE_MS 5000		/* from a step's last word to its end */

static void
emit_step(struct step_run *s, enum event_type type, const char *text)
{
	struct event e = {
	    .type = type,
	    .vm = s->vm->pvm->key,
	    .step = s->step->id,
	    .text = text,
	};

	if (type == EVENT_STEP_DONE || type == EVENT_STEP_FAILED)
		e.elapsed_ms = clock_mono_ms() - s->begun_ms;
	run_emit(s->run, &e);
}

/* Ends of steps. */

static void
try_again(void *arg)
{
	struct step_run *s = arg;

	s->retry_timer = 0;
	s->phase = PHASE_WAITING;
	s->vm->work->nopen--;
	vm_touch(s->run, s->vm);
	run_settle(s->run);
}

static void
pause_step(struct step_run *s, const struct err *err, int64_t ms)
{
	struct event e = {.type = EVENT_STEP_AGAIN,
			  .vm = s->vm->pvm->key,
			  .step = s->step->id,
			  .text = err->text,
			  .wait_ms = ms};

	s->phase = PHASE_PAUSED;
	s->vm->work->nopen++;
	s->retry_timer =
	    loop_at(s->run->loop, clock_mono_ms() + ms, try_again, s);
	run_emit(s->run, &e);
}

/* What it came to; takes the reference.  Whose result it is comes first, as
 * in an intent, for who reads a journal. */
static int
write_result(struct step_run *s, json_t *fields)
{
	json_t *all = json_pack("{s:s}", "step", s->step->id);

	json_object_update(all, fields);
	json_decref(fields);
	if (s->alone)
		json_object_set_new(all, "alone", json_true());
	return run_write_down(s->run, s->vm, "result", all);
}

/* Who is to blame: a step that was ended by a signal, a cancel or because its
 * vm is late did not fail by itself. */
static void
blame(const struct step_run *s, struct err *err)
{
	step_blame_deadline(s, err);
	if (s->run->signal && err->class == ERR_RETRY)
		err_set(err, ERR_CANCELLED, "stopped by a signal");
	else if (s->vm->work->cancelled && err->class == ERR_RETRY)
		err_set(err, ERR_CANCELLED, "stopped by a cancel");
}

static void
say_tries(struct err *err, int tried)
{
	CLEANUP(mem_freep) char *text = mem_strdup(err->text);

	if (tried > 1)
		err_set(err, err->class, "%s (tried %d times)", text, tried);
}

/* The pause before the next try; -1: there is none.  *ret is what the journal
 * says of it. */
static int64_t
take_retry(struct step_run *s, struct err *err, json_t **ret)
{
	int64_t ms;

	*ret = NULL;
	if (err->class != ERR_RETRY || s->vm->work->abandoned || s->run->broken)
		return -1;
	ms = retries_take(s->run->opts->plan->policy, retries_random(),
			  &s->retries);
	*ret = ms < 0 ? json_pack("{s:b}", "usedUp", 1)
		      : json_pack("{s:I}", "wait", (json_int_t)ms);
	if (ms < 0)
		say_tries(err, s->retries.tried);
	return s->vm->work->stopping ? -1 : ms;
}

static void
step_failed(struct step_run *s, struct err *err)
{
	json_t *retry;
	int64_t pause_ms;

	blame(s, err);
	pause_ms = take_retry(s, err, &retry);
	if (!s->run->broken)
		write_result(s, json_pack("{s:{s:s, s:s}, s:o*}", "error",
					  "class", err_class_name(err->class),
					  "text", err->text, "retry", retry));
	if (pause_ms >= 0 && !s->run->broken) {
		pause_step(s, err, pause_ms);
		return;
	}
	s->phase = PHASE_FAILED;
	emit_step(s, EVENT_STEP_FAILED, err->text);
	err_wrap(err, "%s", s->step->id);
	vm_note_failure(s->vm, err->class, err->text);
	vm_stop(s->vm);
}

static void
step_done(struct step_run *s)
{
	json_t *facts = s->child.facts ? s->child.facts : json_object();

	s->child.facts = NULL;
	if (write_result(s, json_pack("{s:O}", "facts", facts)) == 0) {
		s->phase = PHASE_DONE;
		emit_step(s, EVENT_STEP_DONE,
			  json_string_value(json_object_get(facts, "say")));
	} else
		s->phase = PHASE_FAILED;
	json_decref(facts);
}

/* A helper dies with the step's process; what the helper had started does not,
 * and would go on writing. */
static int
end_helpers(struct step_run *s, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < s->helpers.n; i++)
		rc = process_kill_group(&s->helpers.v[i], HELPERS_DEADLINE_MS,
					err);
	vec_done(&s->helpers);
	return rc;
}

/* Belongs to a step that runs, to nobody any more, or not to us at all: what
 * is process 1 of a container is given everybody's orphans. */
static bool
is_to_be_kept(void *arg, pid_t pid)
{
	const struct step_run *s = arg;
	const struct run *r = s->run;

	for (size_t i = 0; i < r->children.n; i++)
		if (r->children.v[i] == pid)
			return true;
	for (size_t i = 0; i < r->targets.n; i++)
		if (stray_is_of(pid, &r->targets.v[i]))
			return true;
	return getpid() == 1 && !stray_holds(pid, s->vm->state->writers);
}

/* Nobody may write for a step that has an end on record. */
int
step_end_all(struct step_run *s, struct err *err)
{
	struct run *r = s->run;

	for (size_t i = 0; i < r->children.n; i++)
		if (r->children.v[i] == s->child.id.pid) {
			r->children.v[i] = r->children.v[--r->children.n];
			break;
		}
	if (end_helpers(s, err) < 0)
		return -1;
	return stray_end(is_to_be_kept, s, HELPERS_DEADLINE_MS, err);
}

/* What the child was given to see. */
static void
drop_work(struct step_run *s)
{
	json_decref(s->facts_before);
	json_decref(s->recorded_before);
	free(s->doing);
	s->facts_before = s->recorded_before = NULL;
	s->doing = NULL;
}

static void
step_ended(void *arg)
{
	struct step_run *s = arg;
	struct run *r = s->run;
	struct err err, still_there;
	bool gone = true;
	int rc;

	loop_unwatch(r->loop, s->child.pidfd);
	loop_unwatch(r->loop, s->child.socket);
	step_drop_deadlines(s);
	loop_cancel(r->loop, s->mute_timer);
	s->mute_timer = 0;
	s->vm->work->nrunning--;
	s->vm->work->nopen--;
	rc = child_end(&s->child, &err);
	/* who will not go keeps its places */
	if (step_end_all(s, &still_there) < 0) {
		err = still_there;
		rc = -1;
		gone = false;
	} else
		s->alone = !process_lives(&s->child.id);
	if (rc < 0)
		step_failed(s, &err);
	else
		step_done(s);
	step_leave_place(s, gone);
	drop_work(s);
	vm_touch(r, s->vm);
	run_settle(r);
}

static void
step_record(struct step_run *s, const json_t *record)
{
	json_t *fields = json_pack("{s:s}", "step", s->step->id);
	const char *text = json_string_value(json_object_get(record, "key"));
	const char *key = text ? text : "";
	struct process_id helper;
	struct err err;

	if (process_id_from_json(json_object_get(record, "value"), &helper) ==
	    0)
		*vec_push(&s->helpers) = helper;
	if (strcmp(key, WORK_TARGET) == 0 &&
	    process_id_from_json(
		json_object_get(json_object_get(record, "value"), "process"),
		&helper) == 0)
		*vec_push(&s->run->targets) = helper;
	json_object_update(fields, (json_t *)record);
	if (run_write_down(s->run, s->vm, "record", fields) == 0 &&
	    child_confirm(&s->child, &err) < 0)
		log_line(LOG_LEVEL_WARNING, s->step->id, "%s", err.text);
}

/* It has said all it will ever say, and still lives. */
static void
step_is_mute(void *arg)
{
	struct step_run *s = arg;

	s->mute_timer = 0;
	s->child.was_mute = true;
	child_kill(&s->child);
}

/* From its first step to its end the run works on the vm, whether a step runs
 * or not. */
static void
keep_held(struct step_run *s)
{
	if (s->vm->held_fd > 0)
		close(s->vm->held_fd);
	s->vm->held_fd = s->child.held;
	s->child.held = -1;
	vm_touch(s->run, s->vm);
	run_settle(s->run);
}

/* The first step to find its vm's place takes the lock there, and all others
 * have it from the run: two that took it at once would keep each other out. */
static bool
may_take_lock(const struct step_run *s)
{
	return s->vm->held_fd > 0 || s->vm->work->nrunning == 0 ||
	       !stages_can_be_claimed(s->run->opts->plan);
}

/* For who reads the stream; the journal has nothing of it. */
static void
stream_progress(struct step_run *s, const struct event *e, const json_t *moved)
{
	int64_t left_ms = meter_left_ms(&s->meter, e->total);
	char now[CLOCK_TEXT_SIZE];
	CLEANUP(mem_freep) char *line = NULL;
	json_t *all;

	if (!s->run->opts->events ||
	    clock_mono_ms() - s->told_ms < STREAM_PROGRESS_MS)
		return;
	s->told_ms = clock_mono_ms();
	all = json_pack("{s:s, s:s, s:s, s:I, s:I}", "type", "progress", "time",
			clock_format(clock_wall_ms(), now), "step", s->step->id,
			"done", (json_int_t)e->done, "total",
			(json_int_t)e->total);
	json_object_update(all, (json_t *)moved);
	json_object_set_new(all, "rate",
			    json_integer((json_int_t)meter_rate(&s->meter)));
	if (left_ms >= 0)
		json_object_set_new(all, "leftMs", json_integer(left_ms));
	line = json_dumps(all, JSON_COMPACT);
	events_add(s->run->opts->events, s->vm->pvm->key, line, strlen(line));
	json_decref(all);
}

static uint64_t
bytes_of(const json_t *moved, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(moved, key));
}

/* Who waits for bandwidth does not stand still. */
static void
step_tell(struct step_run *s, struct event *e, const json_t *moved)
{
	int64_t held_ms = (int64_t)bytes_of(moved, "heldMs");

	if (!json_is_object(moved))
		return;
	if (held_ms > s->held_ms)
		s->moved_ms = clock_mono_ms();
	s->held_ms = held_ms;
	meter_tell(&s->meter, e->done, bytes_of(moved, "read"),
		   clock_mono_ms());
	e->meter = &s->meter;
	stream_progress(s, e, moved);
}

static void
step_said(void *arg)
{
	struct step_run *s = arg;
	json_t *message = child_receive(&s->child), *part;
	struct event e = {.vm = s->vm->pvm->key, .step = s->step->id};

	if (!message) {
		/* its end is told by its pidfd */
		if (s->child.garbled)
			child_kill(&s->child);
		if (s->child.closed)
			s->mute_timer =
			    loop_at(s->run->loop, clock_mono_ms() + MUTE_MS,
				    step_is_mute, s);
		if (s->child.garbled || s->child.closed)
			loop_unwatch(s->run->loop, s->child.socket);
		return;
	}
	if (s->child.held >= 0)
		keep_held(s);
	if ((part = json_object_get(message, "record")))
		step_record(s, part);
	if ((part = json_object_get(message, "progress"))) {
		e.type = EVENT_STEP_PROGRESS;
		e.done = (uint64_t)json_integer_value(json_array_get(part, 0));
		e.total = (uint64_t)json_integer_value(json_array_get(part, 1));
		step_moved(s, e.done, e.total);
		step_tell(s, &e, json_object_get(message, "moved"));
		run_emit(s->run, &e);
	}
	if ((part = json_object_get(message, "doing"))) {
		e.type = EVENT_STEP_DOING;
		e.text = json_string_value(part);
		free(s->doing);
		s->doing = mem_strdup(e.text);
		run_emit(s->run, &e);
	}
	json_decref(message);
}

/* Beginnings of steps. */

/* What was done, taken back, void or asked for anew since is no question, and
 * what was begun with other inputs is no answer. */
static bool
is_unsettled(const struct step_run *s, const struct step_history *past)
{
	return past &&
	       (past->state == HISTORY_OPEN || past->state == HISTORY_FAILED) &&
	       !step_history_begins_anew(past) &&
	       strcmp(past->fingerprint, s->step->fingerprint) == 0;
}

static void
fill_in_work(struct step_run *s, int64_t deadline_ms)
{
	const struct history *h = s->vm->state->history;
	const struct step_history *past = history_past(h, s->step->id);
	const struct step_history *about =
	    s->step->about ? history_past(h, s->step->about) : past;

	s->facts_before = history_facts(h);
	s->recorded_before =
	    about ? json_incref(about->recorded) : json_object();
	s->work = (struct work){
	    .view = &s->vm->view,
	    .stage = s->step->stage,
	    .step = s->step->id,
	    .disk = s->step->disk,
	    .ndisk = s->step->ndisk,
	    .attempt = past ? past->attempts + 1 : 1,
	    .redone = past ? past->redone : 0,
	    .unsettled = is_unsettled(s, past),
	    .maybe_marked = history_may_be_marked(h),
	    .mono_deadline_ms = deadline_ms ? clock_mono_ms() + deadline_ms : 0,
	    .bandwidth = s->run->bandwidth,
	    .held_fd = s->vm->held_fd,
	    .doubts = history_doubts(h),
	    .facts = s->facts_before,
	    .recorded = s->recorded_before,
	};
}

static json_t *
intent_of(const struct step_run *s)
{
	return json_pack(
	    "{s:s, s:i, s:s, s:o, s:o, s:o*}", "step", s->step->id, "attempt",
	    s->work.attempt, "fingerprint", s->step->fingerprint, "inputs",
	    step_inputs(s->step), "process", process_id_to_json(&s->child.id),
	    "saysMarking", s->step->stage->says_marking ? json_true() : NULL);
}

static void
step_begin(struct step_run *s)
{
	struct run *r = s->run;
	int64_t deadline_ms = step_limit_ms(s);
	struct child_opts opts = {.keep_fd = s->vm->state->writers,
				  .log_fd = s->vm->log_fd,
				  .held_fd = s->vm->held_fd};
	struct err err;

	if (strcmp(s->step->id, "cutover") == 0 &&
	    vm_write_prediction(r, s->vm) < 0)
		return;
	opts.nslots = step_slots(s, opts.slots);
	s->begun_ms = s->told_ms = clock_mono_ms();
	s->meter = (struct meter){0};
	s->held_ms = 0;
	s->alone = false;
	fill_in_work(s, deadline_ms);
	if (child_start(&opts, step_do, &s->work, &s->child, &err) < 0) {
		drop_work(s);
		step_leave_place(s, true);
		step_failed(s, &err);
		return;
	}
	*vec_push(&r->children) = s->child.id.pid;
	s->phase = PHASE_RUNNING;
	s->vm->work->nrunning++;
	s->vm->work->nopen++;
	loop_watch(r->loop, s->child.pidfd, step_ended, s);
	loop_watch(r->loop, s->child.socket, step_said, s);
	step_watch_deadlines(s);
	if (run_write_down(r, s->vm, "intent", intent_of(s)) < 0 ||
	    child_go(&s->child, &err) < 0)
		child_kill(&s->child);
	emit_step(s, EVENT_STEP_BEGUN, NULL);
}

void
step_try_begin(struct step_run *s)
{
	if (may_take_lock(s) && step_has_place(s))
		step_begin(s);
}
