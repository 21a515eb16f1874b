/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the compensations: the source is given back as it was, and never
 * beside its target. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "stages/source/source.h"
#include "stages/target/local.h"
#include "t/vm.h"

/* A source with a switch, which notes what the target was like when it was
 * switched on. */
static enum power_state source_power;
static int nswitched;
static bool script_was_there, starts_when_asked;

static int
power_state(const struct endpoint *ep, const struct inv_vm *of,
	    enum power_state *ret, struct err *e)
{
	(void)ep, (void)of, (void)e;
	*ret = source_power;
	if (starts_when_asked)
		source_power = POWER_STATE_ON;
	starts_when_asked = false;
	return 0;
}

static int
power_off(const struct endpoint *ep, const struct inv_vm *of,
	  enum hard_power_off hard, int64_t deadline, struct err *e)
{
	(void)ep, (void)of, (void)hard, (void)deadline, (void)e;
	source_power = POWER_STATE_OFF;
	return 0;
}

static int
power_on(const struct endpoint *ep, const struct inv_vm *of, struct err *e)
{
	CLEANUP(mem_freep) char *script = files_path(&place.vm, LOCAL_START);

	(void)ep, (void)of, (void)e;
	nswitched++;
	script_was_there = fs_exists(script);
	source_power = POWER_STATE_ON;
	return 0;
}

static const struct source_ops switched = {.type = "switched",
					   .power_state = power_state,
					   .power_off = power_off,
					   .power_on = power_on};

/* One that starts by itself, and notes in which order that is changed. */
static bool autostart, fence_fails;
static char order[200];

static void
note(const char *what, int how)
{
	size_t n = strlen(order);

	snprintf(order + n, sizeof(order) - n, "%s%d%s ", what, how,
		 source_power == POWER_STATE_ON ? "+" : "");
}

static int
settings(const struct endpoint *ep, const struct inv_vm *of, enum fence how,
	 json_t **ret, struct err *e)
{
	(void)ep, (void)of, (void)how, (void)e;
	*ret = json_pack("{s:b}", "autostart", autostart);
	return 0;
}

static int
fence(const struct endpoint *ep, const struct inv_vm *of, enum fence how,
      const json_t *was, struct err *e)
{
	(void)ep, (void)of;
	if (!was)
		return err_set(e, ERR_BUG, "nobody wrote down how it was");
	autostart = false;
	note("fence", (int)how);
	if (fence_fails && how != FENCE_NONE)
		return err_set(e, ERR_RETRY, "not now");
	return 0;
}

static int
unfence(const struct endpoint *ep, const struct inv_vm *of, enum fence how,
	const json_t *was, struct err *e)
{
	(void)ep, (void)of, (void)e;
	autostart = json_is_true(json_object_get(was, "autostart"));
	note("unfence", (int)how);
	return 0;
}

static const struct source_ops fenced = {.type = "fenced",
					 .power_state = power_state,
					 .power_off = power_off,
					 .power_on = power_on,
					 .settings = settings,
					 .fence = fence,
					 .unfence = unfence};
static const struct source_ops *the_source = &switched;

const struct source_ops *
source_find(const char *type)
{
	(void)type;
	return the_source;
}

static enum handover
mark(void)
{
	enum handover state = HANDOVER_NONE;

	(void)place.ops->marked(&place.vm, &state, &err);
	return state;
}

/* The vm stopped at the source, which was like that, and defined here. */
static void
cut_over(enum power_state was)
{
	fresh_vm();
	view.may_discard = false;
	source_power = was;
	nswitched = 0;
	is_int(run_stage(&stage_cutover), 0, "cutover");
	is_int(source_power, POWER_STATE_OFF, "stops the source");
	is_int(run_stage(&stage_create_vm), 0, "create-vm");
}

static void
test_all(void)
{
	CLEANUP(volume_done) struct volume disk = {0};

	cut_over(POWER_STATE_ON);
	for (int i = 0; i < 2; i++) {
		is_int(run_stage(stage_start.undo), 0, "undo start");
		is_int(mark(), HANDOVER_ROLLED_BACK, "marked");
		is_int(run_stage(stage_create_vm.undo), 0, "undo create-vm");
		is_int(run_stage(stage_cutover.undo), 0, "undo cutover");
		is_int(source_power, POWER_STATE_ON, "the source is on");
		is_int(nswitched, 1, "switched once, also the second time");
		ok(!script_was_there, "when nothing could start the target");
	}
	place.ops->volume(&place.vm, 0, &disk);
	ok(fs_exists(disk.path), "the disks are kept");
	is_int(place.ops->mark(&place.vm, HANDOVER_STARTED, &err), -1,
	       "nothing hands it over again");
}

/* The stop is over once it is known how the source was, and it is off. */
static void
test_cutover_probe(void)
{
	json_t *facts = NULL;
	bool done = false;

	fresh_vm();
	source_power = POWER_STATE_OFF;
	is_int(stage_cutover.probe(&work, &done, &facts, &err), 0, "look");
	ok(!done, "off, and nobody knows how it was: not done");
	source_power = POWER_STATE_ON;
	is_int(run_stage(&stage_cutover), 0, "stop it");
	is_int(stage_cutover.probe(&work, &done, &facts, &err), 0, "look");
	ok(done, "done");
	is_str(json_string_value(json_object_get(facts, "power")), "on",
	       "and it was on");
	json_decref(facts);
	facts = NULL;
	done = false;
	source_power = POWER_STATE_ON;
	is_int(stage_cutover.probe(&work, &done, &facts, &err), 0, "look");
	ok(!done && !facts, "it was started again: not done");
	source_power = POWER_STATE_OFF;
	is_int(place.ops->remove(&place.vm, &err), 0, "no claim is left");
	is_int(stage_cutover.probe(&work, &done, &facts, &err), 0, "look");
	ok(!done, "so it is not done either");
}

static void
test_was_off(void)
{
	cut_over(POWER_STATE_OFF);
	is_int(run_stage(stage_start.undo), 0, "undo start");
	is_int(run_stage(stage_cutover.undo), 0, "undo cutover");
	is_int(nswitched, 0, "what was off stays off");
}

static const char *
said(void)
{
	return json_string_value(
	    json_object_get(work_fact(&work, "undo/cutover"), "say"));
}

static void
test_what_is_said(void)
{
	cut_over(POWER_STATE_OFF);
	is_int(run_stage(stage_start.undo), 0, "undo start");
	is_int(run_stage(stage_cutover.undo), 0, "undo cutover");
	like(said(), "was off and stays off", "of one that was off");

	fresh_vm();
	source_power = POWER_STATE_ON;
	nswitched = 0;
	is_int(run_stage(stage_cutover.undo), 0, "undo no cutover");
	is_str(said(), "the source was not stopped", "it runs all the time");
	is_int(nswitched, 0, "it is left alone");
}

static const char *
recorded_power(void)
{
	return json_string_value(work_recorded(&work, "power"));
}

/* Between two cutovers somebody starts it; once it is known to have run, that
 * it is found off again says nothing. */
static void
test_started_meanwhile(void)
{
	cut_over(POWER_STATE_OFF);
	is_str(recorded_power(), "off", "off at first");
	source_power = POWER_STATE_ON;
	for (int i = 0; i < 2; i++) {
		is_int(run_stage(&stage_cutover), 0, "cutover again");
		is_int(source_power, POWER_STATE_OFF, "it is off");
		is_str(recorded_power(), "on", "and ran");
		is_str(json_string_value(json_object_get(
			   work_fact(&work, "cutover"), "power")),
		       "on", "which is told");
	}
	is_int(run_stage(stage_start.undo), 0, "undo start");
	is_int(run_stage(stage_cutover.undo), 0, "undo cutover");
	is_int(nswitched, 1, "it is switched on");
}

/* Nothing is stopped that is not on record as running. */
static void
test_started_this_moment(void)
{
	fresh_vm();
	source_power = POWER_STATE_OFF;
	starts_when_asked = true;
	is_int(run_stage(&stage_cutover), -1, "it starts once it was asked");
	is_int((int)err.class, ERR_RETRY, "try again");
	is_int(source_power, POWER_STATE_ON, "it is not stopped");
	is_int(run_stage(&stage_cutover), 0, "again");
	is_str(recorded_power(), "on", "it ran");
	is_int(source_power, POWER_STATE_OFF, "and is stopped");
}

static void
test_handed_over(void)
{
	static const enum handover marks[] = {HANDOVER_LEFT_OFF,
					      HANDOVER_STARTED};

	for (size_t i = 0; i < 2; i++) {
		cut_over(POWER_STATE_ON);
		is_int(place.ops->mark(&place.vm, marks[i], &err), 0, "mark");
		is_int(run_stage(stage_start.undo), -1, "not unasked");
		like(err.text, "--discard-target-writes", "but when asked");
		is_int(run_stage(stage_cutover.undo), -1,
		       "nor the source alone");
		is_int(nswitched, 0, "it stays off");
		is_int(mark(), marks[i], "the mark stays");
		view.may_discard = true;
		is_int(run_stage(stage_cutover.undo), -1,
		       "asked for, still not before the target is marked");
		is_int(run_stage(stage_start.undo), 0, "undo start");
		is_int(run_stage(stage_cutover.undo), 0, "undo cutover");
		is_int(nswitched, 1, "it is on");
	}
}

/* Whoever holds the lock runs it: now that is us. */
static void
test_target_runs(void)
{
	CLEANUP(mem_freep) char *lock = NULL;
	CLEANUP(mem_closep) int fd = -1;

	cut_over(POWER_STATE_ON);
	lock = files_path(&place.vm, LOCAL_LOCK);
	fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ok(fd >= 0 && flock(fd, LOCK_EX) == 0, "somebody runs the target");
	is_int(run_stage(stage_cutover.undo), -1, "the source is not started");
	is_int((int)err.class, ERR_RETRY, "as long as that is so");
	is_int(nswitched, 0, "it stays off");
	is_int(run_stage(&stage_gc_disks), -1, "nothing is removed");
	is_int(place.ops->remove(&place.vm, &err), -1, "by nothing");
}

static void
test_foreign(void)
{
	cut_over(POWER_STATE_ON);
	place.vm.state_uuid = view.state_uuid = "uuid-other";
	is_int(run_stage(stage_start.undo), -1, "another's target");
	is_int((int)err.class, ERR_HELD, "is held");
	is_int(run_stage(stage_create_vm.undo), -1, "nor undefined");
	is_int(run_stage(&stage_gc), -1, "nor cleaned up");
	is_int(run_stage(&stage_gc_disks), -1, "nor removed");
	is_int(place.ops->remove(&place.vm, &err), -1, "by nothing");
	place.vm.state_uuid = view.state_uuid = "uuid-mine";
	is_int(mark(), HANDOVER_NONE, "it is as it was");
}

/* What it was like is known before it is changed; autostart goes before the
 * stop, the fence comes after it; and back. */
static void
test_fence(void)
{
	json_t *facts = NULL;
	bool done = false;

	the_source = &fenced;
	fresh_vm();
	policy.cutover.fence = FENCE_RENAME;
	source_power = POWER_STATE_ON;
	autostart = fence_fails = true;
	is_int(run_stage(&stage_cutover), -1, "fenced, but for the last of it");
	is_str(order, "fence0+ fence1 ",
	       "autostart while it runs, the rest off");
	fence_fails = false;
	is_int(stage_cutover.probe(&work, &done, &facts, &err), 0, "look");
	ok(!done, "off is not done");
	policy.cutover.fence = FENCE_NONE;
	*order = '\0';
	is_int(run_stage(&stage_cutover), 0, "again, with another policy");
	is_str(order, "fence0 fence1 ", "what was begun is finished");
	*order = '\0';
	is_int(run_stage(stage_cutover.undo), 0, "undo cutover");
	is_str(order, "unfence1 ", "undone before it is switched on");
	ok(autostart && source_power == POWER_STATE_ON,
	   "it runs, and starts by itself: known from the first attempt");
	the_source = &switched;
}

int
main(void)
{
	if (!process_in_path("qemu-system-x86_64"))
		tap_skip_all("QEMU is not installed");
	setenv("PALLETJACK_ACCEL", "tcg", 1);
	shape.converted = false;
	test_all();
	test_cutover_probe();
	test_was_off();
	test_what_is_said();
	test_started_meanwhile();
	test_started_this_moment();
	test_handed_over();
	test_target_runs();
	test_foreign();
	test_fence();
	forget_vm();
	return tap_done();
}
