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

int
main(void)
{
	test_void();
	return tap_done();
}
