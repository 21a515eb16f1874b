/* SPDX-License-Identifier: Apache-2.0 */
/* The fold over a journal's records. */
#include "runner/history.h"

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

int
main(void)
{
	test_retries();
	test_void();
	test_void_until_done();
	return tap_done();
}
