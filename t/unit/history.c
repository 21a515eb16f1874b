/* SPDX-License-Identifier: Apache-2.0 */
/* The fold over a journal's records. */
#include "runner/history.h"

#include <string.h>

#include "stages/stage.h"
#include "t/tap.h"

static struct err err;

static void
fold(struct history *h, json_t *record)
{
	if (history_visit(h, record, &err) < 0)
		tap_diag("%s", err.text);
	json_decref(record);
}

static void
do_step(struct history *h, const char *step)
{
	fold(h, json_pack("{s:s, s:s, s:s}", "type", "intent", "step", step,
			  "fingerprint", "f"));
	fold(h, json_pack("{s:s, s:s, s:{s:s}}", "type", "result", "step", step,
			  "facts", "of", step));
}

static void
void_step(struct history *h, const char *by, const char *step)
{
	fold(h, json_pack("{s:s, s:s, s:s, s:s}", "type", "record", "step", by,
			  "key", "void", "value", step));
}

static json_int_t seq;

static void
fold_next(struct history *h, const char *type, const char *step, json_t *more)
{
	json_t *record = json_pack("{s:I, s:s, s:s, s:s}", "seq", ++seq, "type",
				   type, "step", step, "fingerprint", "f");

	json_object_update(record, more);
	json_decref(more);
	fold(h, record);
}

static void
void_next(struct history *h, const char *step)
{
	fold_next(h, "record", "verify/disk-0",
		  json_pack("{s:s, s:s}", "key", "void", "value", step));
}

/* However far it had come when it was voided, and however often it is begun
 * and cut short after that. */
static void
test_void_until_done(void)
{
	struct history *h = history_new();
	const struct step_history *s;

	fold_next(h, "intent", "convert", json_object());
	s = history_step(h, "convert");
	ok(!step_history_begins_anew(s), "what was cut short may be done");
	void_next(h, "convert");
	ok(step_history_begins_anew(s), "not when it is void");
	is_int(s->state, HISTORY_OPEN, "it was cut short all the same");
	ok(!step_history_is_void(s), "and never known to hold");
	fold_next(h, "intent", "convert", json_object());
	ok(step_history_begins_anew(s), "begun again it is not done again");
	fold_next(h, "result", "convert",
		  json_pack("{s:{s:s, s:s}}", "error", "class", "fail", "text",
			    "no"));
	ok(step_history_begins_anew(s), "nor when that failed");
	ok(!step_history_is_void(s), "which is what is said then");
	void_next(h, "convert");
	is_str(s->error, "no", "and stays said");
	fold_next(h, "intent", "convert", json_object());
	fold_next(h, "result", "convert", json_object());
	ok(!step_history_begins_anew(s), "done again it is done");
	void_next(h, "convert");
	ok(step_history_begins_anew(s) && step_history_is_void(s),
	   "until it is voided once more");
	fold_next(h, "record", "verify/disk-0",
		  json_pack("{s:s, s:s}", "key", "holds", "value", "convert"));
	ok(s->state == HISTORY_DONE && !s->error &&
	       !step_history_begins_anew(s),
	   "or holds after all");
	history_free(h);
}

static void
test_void(void)
{
	struct history *h = history_new();
	const struct step_history *copy, *other;

	do_step(h, "cutover/disk-0");
	do_step(h, "cutover/disk-1");
	copy = history_step(h, "cutover/disk-0");
	other = history_step(h, "cutover/disk-1");
	is_int(copy->state, HISTORY_DONE, "a step is done");
	void_step(h, "verify/disk-0", "cutover/disk-0");
	is_int(copy->state, HISTORY_FAILED, "until another voids it");
	like(copy->error, "verify/disk-0", "and that is said");
	is_int(other->state, HISTORY_DONE, "no other is");
	do_step(h, "cutover/disk-0");
	is_int(copy->state, HISTORY_DONE, "done again it is done");
	void_step(h, "verify/disk-0", "no such step");
	ok(!history_step(h, "no such step"), "nothing is voided into being");
	history_free(h);
}

static void
fail_step(struct history *h, json_t *retry)
{
	fold(h, json_pack("{s:s, s:s, s:s}", "type", "intent", "step", "verify",
			  "fingerprint", "f"));
	fold(h, json_pack("{s:s, s:s, s:s, s:{s:s, s:s}, s:o*}", "type",
			  "result", "time", "2026-11-20T10:00:00.000Z", "step",
			  "verify", "error", "class", "retry", "text", "no",
			  "retry", retry));
}

static void
test_retries(void)
{
	struct history *h = history_new();
	const struct step_history *s;

	fail_step(h, json_pack("{s:i}", "wait", 100));
	fail_step(h, NULL);
	fail_step(h, json_pack("{s:i}", "wait", 50));
	s = history_step(h, "verify");
	is_int(s->tried, 2, "failures that count are counted");
	is_int(s->paused_ms, 150, "so are pauses");
	ok(!s->used_up, "some retries are left");
	fail_step(h, json_pack("{s:b}", "usedUp", 1));
	is_str(s->used_up, "2026-11-20T10:00:00.000Z", "the last one is told");
	fold(h, json_pack("{s:s, s:s}", "type", "retries", "step", "verify"));
	ok(!s->used_up && s->tried == 0 && s->paused_ms == 0,
	   "fresh ones are none used");
	fail_step(h, json_pack("{s:b}", "usedUp", 1));
	do_step(h, "verify");
	ok(!s->used_up && s->tried == 0, "success gives fresh ones");
	fail_step(h, json_pack("{s:b}", "usedUp", 1));
	fold(h, json_pack("{s:s, s:s}", "type", "redo", "step", "verify"));
	ok(!s->used_up, "so does who wants it done anew");
	history_free(h);
}

/* Of the target's start: an intent, of this build or an earlier one, ... */
static void
start_begins(struct history *h, bool says)
{
	fold_next(h, "intent", "start",
		  json_pack("{s:b}", "saysMarking", says));
}

static void
start_marks(struct history *h)
{
	fold_next(h, "record", "start",
		  json_pack("{s:s, s:b}", "key", "marking", "value", 1));
}

/* ... what it saw at the target when it failed, ... */
static void
start_saw_no_mark(struct history *h, int attempt)
{
	fold_next(h, "record", "start",
		  json_pack("{s:s, s:{s:i, s:b}}", "key", "unmarked", "value",
			    "attempt", attempt, "sourceRuns", 0));
}

/* ... and that it failed. */
static void
start_fails(struct history *h)
{
	fold_next(h, "result", "start",
		  json_pack("{s:{s:s, s:s}}", "error", "class", "retry", "text",
			    "no"));
}

/* What all that reads a history has of it; an attempt that comes next, too. */
static void
is_open_to_doubt(const struct history *h, bool wanted, const char *what)
{
	ok(history_may_have_started(h) == wanted &&
	       (history_binding(h, "start") != NULL) == wanted &&
	       history_may_run(h) == wanted &&
	       history_may_be_marked(h) == wanted,
	   "%s", what);
}

static void
test_start_that_marks_nothing(void)
{
	struct history *h = history_new();

	start_fails(h);
	is_open_to_doubt(h, false, "it could not be begun: nothing started");
	start_begins(h, true);
	ok(history_may_have_started(h), "under way, it may");
	ok(!history_may_be_marked(h), "but did not, if it is over");
	start_fails(h);
	is_open_to_doubt(h, false, "it ended before it marked anything");
	start_begins(h, true);
	start_begins(h, true);
	ok(history_may_have_started(h), "cut short, and under way again");
	start_fails(h);
	is_open_to_doubt(h, false, "likewise");
	start_begins(h, true);
	start_marks(h);
	start_fails(h);
	is_open_to_doubt(h, true, "it marked, and failed");
	start_begins(h, true);
	start_fails(h);
	is_open_to_doubt(h, true, "another that does not, changes nothing");
	history_free(h);
}

static void
test_start_whose_mark_failed(void)
{
	struct history *h = history_new();

	start_begins(h, true);
	start_marks(h);
	start_saw_no_mark(h, 1);
	start_fails(h);
	is_open_to_doubt(h, false, "it saw that there is no mark");
	start_begins(h, true);
	start_fails(h);
	is_open_to_doubt(h, false, "the next one sets out to make none");
	start_begins(h, true);
	start_marks(h);
	is_open_to_doubt(h, true, "until one does");
	fold_next(h, "intent", "undo/start", json_object());
	fold_next(h, "result", "undo/start", json_object());
	ok(!history_may_have_started(h), "taken back");
	start_begins(h, true);
	start_fails(h);
	is_open_to_doubt(h, false, "all begins anew");
	history_free(h);
}

/* What was known of it before it is known of it then. */
static void
ask_for_anew(struct history *h, const char *type, bool doubt, const char *what)
{
	fold(h, json_pack("{s:s, s:s}", "type", type, "step", "start"));
	if (strcmp(type, "redo") == 0)
		is_open_to_doubt(h, doubt, what);
	start_begins(h, true);
	start_fails(h);
	is_open_to_doubt(h, doubt, what);
}

static void
test_start_asked_for_anew(void)
{
	static const char *const types[] = {"redo", "renew"};
	struct history *h;

	for (size_t i = 0; i < 2; i++) {
		h = history_new();
		start_begins(h, true);
		start_fails(h);
		ask_for_anew(h, types[i], false, "behind one that did nothing");
		start_begins(h, true);
		start_marks(h);
		start_saw_no_mark(h, 3);
		start_fails(h);
		ask_for_anew(h, types[i], false, "behind one that saw no mark");
		history_free(h);
	}

	h = history_new();
	start_begins(h, true);
	start_marks(h);
	start_fails(h);
	ask_for_anew(h, "redo", true, "behind one that marked");
	history_free(h);

	h = history_new();
	start_begins(h, false);
	start_fails(h);
	ask_for_anew(h, "redo", true, "behind one that does not say");
	history_free(h);
}

/* Journals that earlier builds wrote, or that they go on with. */
static void
test_start_of_earlier_builds(void)
{
	struct history *h = history_new();

	start_begins(h, false);
	start_fails(h);
	is_open_to_doubt(h, true, "it does not say: it may have marked");
	start_begins(h, true);
	start_fails(h);
	is_open_to_doubt(h, true, "whatever one that says so does after it");
	history_free(h);

	h = history_new();
	start_begins(h, false);
	start_saw_no_mark(h, 1);
	start_fails(h);
	is_open_to_doubt(h, false, "it says that it saw no mark");
	start_begins(h, true);
	start_fails(h);
	is_open_to_doubt(h, false, "and one that says so goes on from there");
	start_begins(h, false);
	start_fails(h);
	is_open_to_doubt(h, true, "one that does not may have marked");
	history_free(h);
}

/* A target that was handed over by whoever: done is done. */
static void
test_start_that_was_done(void)
{
	struct history *h = history_new();

	start_begins(h, true);
	fold_next(h, "result", "start", json_object());
	ok(history_may_have_started(h), "it was done");
	void_next(h, "start");
	is_open_to_doubt(h, true, "and voided");
	history_free(h);
}

static void
find_difference(struct history *h, const char *by, const char *disk,
		int generation)
{
	fold(h, json_pack("{s:s, s:s, s:s, s:{s:s, s:i}}", "type", "record",
			  "step", by, "key", WORK_DIFFERS, "value", "disk",
			  disk, "generation", generation));
}

static void
copy_disk(struct history *h, const char *step, const char *pass, int generation)
{
	fold(h,
	     json_pack("{s:s, s:s, s:{s:s, s:i}}", "type", "result", "step",
		       step, "facts", "pass", pass, "generation", generation));
}

static bool
is_doubted(const struct history *h, const char *disk)
{
	return json_object_get(history_doubts(h), disk) != NULL;
}

static void
test_doubts(void)
{
	struct history *h = history_new();

	do_step(h, "convert");
	find_difference(h, "verify/disk-0", "disk-0", 3);
	ok(is_doubted(h, "disk-0"), "a disk that differs is in doubt");
	ok(!is_doubted(h, "disk-1"), "no other is");
	is_int(history_step(h, "convert")->state, HISTORY_FAILED,
	       "what was made of it does not hold");
	do_step(h, "verify/disk-0");
	copy_disk(h, "precopy/disk-0", "changed", 4);
	copy_disk(h, "precopy/disk-0", "compare", 5);
	copy_disk(h, "precopy/disk-0", "all", 3);
	copy_disk(h, "precopy/disk-1", "all", 6);
	ok(is_doubted(h, "disk-0"),
	   "a part of it, or another, settles nothing");
	fold(h, json_pack("{s:s, s:s, s:s, s:{s:s}}", "type", "record", "step",
			  "verify/disk-0", "key", WORK_AGREES, "value", "disk",
			  "disk-0"));
	ok(!is_doubted(h, "disk-0"), "reading all of it does");
	find_difference(h, "verify/disk-0", "disk-0", 5);
	copy_disk(h, "cutover/disk-0", "all", 6);
	ok(!is_doubted(h, "disk-0"), "so does copying all of it later");
	find_difference(h, "verify/disk-0", "disk-0", 6);
	do_step(h, "cutover");
	do_step(h, "undo/cutover");
	ok(is_doubted(h, "disk-0"), "giving the source back does not");
	do_step(h, "commit");
	ok(!history_doubts(h), "what is committed is no copy any more");
	fold(h, json_pack("{s:s, s:b}", "type", "renew", "aside", 1));
	ok(!is_doubted(h, "disk-0"), "nor are the disks that follow it");
	history_free(h);
}

static void
test_redo(void)
{
	struct history *h = history_new();

	do_step(h, "cutover");
	fold(h, json_pack("{s:s, s:s}", "type", "redo", "step", "cutover"));
	ok(history_is_cut_over(h), "a cutover asked for anew left it stopped");
	do_step(h, "cutover");
	do_step(h, "undo/cutover");
	fold(h, json_pack("{s:s, s:s}", "type", "redo", "step", "cutover"));
	ok(!history_is_cut_over(h), "one that was taken back before did not");
	history_free(h);
}

int
main(void)
{
	test_redo();
	test_doubts();
	test_retries();
	test_void();
	test_void_until_done();
	test_start_that_marks_nothing();
	test_start_whose_mark_failed();
	test_start_asked_for_anew();
	test_start_of_earlier_builds();
	test_start_that_was_done();
	return tap_done();
}
