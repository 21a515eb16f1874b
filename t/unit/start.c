/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the hand-over: source and target never run at once. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "stages/source/source.h"
#include "stages/target/local.h"
#include "stages/target/qmp.h"
#include "t/vm.h"

/* A source that says what it is told to, a word for each time it is asked. */
static enum power_state answers[4];
static size_t nasked;

static int
power_state(const struct endpoint *ep, const struct inv_vm *of,
	    enum power_state *ret, struct err *e)
{
	(void)ep, (void)of, (void)e;
	*ret = answers[nasked++];
	return 0;
}

static const struct source_ops runs = {.type = "runs",
				       .power_state = power_state};
static const struct source_ops cannot_run = {.type = "ova"};

const struct source_ops *
source_find(const char *type)
{
	return strcmp(type, "runs") == 0 ? &runs : &cannot_run;
}

static void
source_says(enum power_state first, enum power_state second)
{
	source.type = "runs";
	nasked = 0;
	answers[0] = first;
	answers[1] = second;
	answers[2] = second;
}

static enum handover
mark(void)
{
	enum handover state = HANDOVER_NONE;

	(void)place.ops->marked(&place.vm, &state, &err);
	return state;
}

static enum power_state
power(void)
{
	enum power_state state = POWER_STATE_UNKNOWN;

	(void)place.ops->power_state(&place.vm, &state, &err);
	return state;
}

static const char *
started(void)
{
	const char *text = json_string_value(
	    json_object_get(work_fact(&work, "start"), "power"));

	return text ? text : "";
}

static void
fresh_start(void)
{
	fresh_vm();
	is_int(run_stage(&stage_create_vm), 0, "create-vm");
	is_int(mark(), HANDOVER_NONE, "which hands nothing over");
}

static void
test_stays_off(void)
{
	fresh_start();
	source.type = "ova";
	pvm.target_power = POWER_AUTO;
	is_int(run_stage(&stage_start), 0, "auto, and the source was off");
	is_str(started(), "off", "it stays off");
	is_int(mark(), HANDOVER_LEFT_OFF, "but is handed over");
	is_int(power(), POWER_STATE_OFF, "nothing runs");
}

static void
test_source_runs(void)
{
	fresh_start();
	pvm.target_power = POWER_ON;
	source_says(POWER_STATE_ON, POWER_STATE_ON);
	is_int(run_stage(&stage_start), -1, "the source runs");
	is_int(mark(), HANDOVER_NONE, "nothing is handed over");
	like(err.text, "the source 'Web' runs", "because of it");
	source_says(POWER_STATE_UNKNOWN, POWER_STATE_ON);
	is_int(run_stage(&stage_start), -1, "the source does not say");
	is_int((int)err.class, ERR_RETRY, "and may say later");
	pvm.target_power = POWER_OFF;
	source_says(POWER_STATE_ON, POWER_STATE_ON);
	is_int(run_stage(&stage_start), -1, "not even to be left off");
	is_int(mark(), HANDOVER_NONE, "nothing is handed over");
}

static void
test_start(void)
{
	json_t *facts = NULL;
	bool done = true;

	fresh_start();
	pvm.target_power = POWER_AUTO;
	json_object_set_new((json_t *)work.facts, "cutover",
			    json_pack("{s:s}", "power", "on"));
	is_int(stage_start.probe(&work, &done, &facts, &err), 0, "probe");
	ok(!done, "nothing was started yet");
	source_says(POWER_STATE_OFF, POWER_STATE_OFF);
	if (!ok(run_stage(&stage_start) == 0, "the source ran: start it"))
		tap_diag("%s", err.text);
	is_int((long long)nasked, 3, "the source was looked at thrice");
	is_str(started(), "on", "it is on");
	is_int(mark(), HANDOVER_STARTED, "handed over");
	is_int(power(), POWER_STATE_ON, "and runs");

	source_says(POWER_STATE_OFF, POWER_STATE_OFF);
	is_int(stage_start.probe(&work, &done, &facts, &err), 0,
	       "after a crash");
	ok(done, "it is found running");
	json_decref(facts);
	is_int(place.ops->stop(&place.vm, 0, &err), 0, "stop it");
	source_says(POWER_STATE_OFF, POWER_STATE_OFF);
	is_int(stage_start.probe(&work, &done, &facts, &err), 0, "later");
	ok(!done, "it is found stopped");
}

/* Somebody starts the source just then. */
static void
test_source_comes_back(void)
{
	fresh_start();
	pvm.target_power = POWER_ON;
	source_says(POWER_STATE_OFF, POWER_STATE_ON);
	is_int(run_stage(&stage_start), -1, "the source is back");
	is_int(power(), POWER_STATE_OFF, "the target was stopped");
	is_int(mark(), HANDOVER_STARTED, "it may have run");
	like(err.text, "stopped again", "and that is told");
}

/* Killed between the target's start and the second look at the source, which
 * somebody started by the time of the next run. */
static void
test_source_is_back_later(void)
{
	json_t *facts = NULL;
	bool done = false;

	fresh_start();
	pvm.target_power = POWER_ON;
	source_says(POWER_STATE_OFF, POWER_STATE_OFF);
	is_int(run_stage(&stage_start), 0, "started");
	source_says(POWER_STATE_UNKNOWN, POWER_STATE_UNKNOWN);
	is_int(stage_start.probe(&work, &done, &facts, &err), -1,
	       "a source that does not say");
	is_int(power(), POWER_STATE_ON, "is no reason to stop what runs");
	source_says(POWER_STATE_OFF, POWER_STATE_UNKNOWN);
	is_int(stage_start.probe(&work, &done, &facts, &err), -1,
	       "nor when it is asked again");
	is_int(power(), POWER_STATE_ON, "the target runs on");
	source_says(POWER_STATE_ON, POWER_STATE_ON);
	is_int(stage_start.probe(&work, &done, &facts, &err), -1,
	       "one that runs is");
	ok(!done && err.class == ERR_FAIL, "it is not done");
	is_int(power(), POWER_STATE_OFF, "the target does not run beside it");
	like(err.text, "stopped again", "and that is told");
}

static int
start_standing(void)
{
	CLEANUP(mem_freep) char *script = files_path(&place.vm, LOCAL_START);
	CLEANUP(mem_freep) char *home = files_home(&place.vm);
	int tries = 0;
	pid_t pid = fork();

	if (pid == 0) {
		(void)setpgid(0, 0);
		execl(script, script, "-S", (char *)NULL);
		_exit(127);
	}
	while (qmp_execute(home, LOCAL_QMP, "query-status",
			   clock_mono_ms() + 5000, NULL, &err) < 0)
		if (poll(NULL, 0, 50) || ++tries == 600)
			return -1;
	return 0;
}

/* Killed when its QEMU was there and its guest was not to run yet. */
static void
test_stands(void)
{
	json_t *facts = NULL;
	bool done = false;

	fresh_start();
	pvm.target_power = POWER_ON;
	is_int(place.ops->mark(&place.vm, HANDOVER_STARTED, &err), 0,
	       "handed over");
	is_int(start_standing(), 0, "its QEMU is there");
	is_int(power(), POWER_STATE_ON, "and would count as running");
	source_says(POWER_STATE_OFF, POWER_STATE_OFF);
	is_int(stage_start.probe(&work, &done, &facts, &err), 0, "probe");
	ok(done, "it is made to run");
	is_int((long long)nasked, 3, "the source was looked at before");
	json_decref(facts);
	is_int(place.ops->stop(&place.vm, 0, &err), 0, "stop it");
}

/* Who runs the vm, as the record has it; 0: nobody. */
static pid_t
recorded(void)
{
	CLEANUP(mem_freep) char *path = files_path(&place.vm, LOCAL_PROCESS);
	json_t *json = json_load_file(path, 0, NULL);
	struct process_id id = {0};
	bool alive =
	    json && process_id_from_json(json, &id) == 0 && process_lives(&id);

	json_decref(json);
	return alive ? id.pid : 0;
}

/* A run was killed while its start was under way, and the next one starts,
 * too, and an operator types the script's name: of all who start at once one
 * does, the others wait for it. */
static void
test_many_starters(void)
{
	enum { STARTERS = 6 };
	pid_t starters[STARTERS], hand;
	json_t *facts = NULL;
	int failed = 0, status;

	fresh_start();
	is_int(place.ops->mark(&place.vm, HANDOVER_STARTED, &err), 0,
	       "handed over");
	for (int i = 0; i < STARTERS; i++) {
		starters[i] = fork();
		if (starters[i] == 0) {
			if (place.ops->start(&place.vm, &facts, &err) < 0) {
				tap_diag("%s", err.text);
				_exit(1);
			}
			_exit(recorded() ? 0 : 2);
		}
	}
	hand = fork();
	if (hand == 0) {
		CLEANUP(mem_freep)
		char *script = files_path(&place.vm, LOCAL_START);

		/* a terminal's job; its words go to nobody */
		(void)setpgid(0, 0);
		(void)!freopen("/dev/null", "w", stderr);
		execl(script, script, (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < STARTERS; i++)
		failed += waitpid(starters[i], &status, 0) < 0 || status != 0;
	is_int(failed, 0, "six at once: each finds it running, and by whom");
	is_int(power(), POWER_STATE_ON, "it runs");
	ok(recorded() != 0, "the record is of who runs it");
	if (recorded() != hand) /* it still waits, and would be next */
		(void)kill(-hand, SIGKILL);
	is_int(place.ops->stop(&place.vm, 0, &err), 0, "stop it");
	(void)kill(-hand, SIGKILL);
	(void)waitpid(hand, &status, 0);
	for (int i = 0; i < 200 && recorded(); i++)
		poll(NULL, 0, 50);
	is_int(recorded(), 0, "there was but one");
}

int
main(void)
{
	if (!process_in_path("qemu-img") ||
	    !process_in_path("qemu-system-x86_64"))
		tap_skip_all("QEMU is not installed");
	setenv("PALLETJACK_ACCEL", "tcg", 1);
	shape.converted = false;
	test_stays_off();
	test_source_runs();
	test_start();
	test_source_comes_back();
	test_source_is_back_later();
	test_stands();
	test_many_starters();
	forget_vm();
	return tap_done();
}
