/* SPDX-License-Identifier: Apache-2.0 */
/* Starts a local vm: one starter at a time, and whoever finds it running waits
 * until it runs well, as if the start had been its own.
 *
 * That but one QEMU runs is the script's doing, which takes the running lock.
 * The starting lock is for what surrounds it: QEMU's log and the record of who
 * runs the vm are of him who does. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "io/process.h"
#include "stages/target/local.h"
#include "stages/target/qmp.h"

#define START_DEADLINE_MS 60000
/* a starter before us: its script waits 5 s for the lock, then its start */
#define TURN_DEADLINE_MS (2 * START_DEADLINE_MS + 10000)
#define QMP_DEADLINE_MS 5000
#define POLL_MS 50

/* The last line QEMU, or the script, said; caller frees. */
static char *
last_words(const char *log)
{
	CLEANUP(buf_done) struct buf text = {0};
	struct err ignored;
	char *line;

	if (fs_read(log, 1024 * 1024, true, &text, &ignored) < 0)
		return mem_strdup("its log cannot be read");
	while (text.len && text.data[text.len - 1] == '\n')
		text.data[--text.len] = '\0';
	if (!text.len)
		return mem_strdup("it said nothing");
	line = strrchr(text.data, '\n');
	return mem_strdup(line ? line + 1 : text.data);
}

/* It was started for its guest to run once that is allowed, by us or by a run
 * that was killed since. */
static int
let_run(const struct target_vm *t, const char *home, struct err *err)
{
	if (t->may_run && t->may_run(t->arg, err) < 0)
		return -1;
	if (qmp_execute(home, LOCAL_QMP, "cont",
			clock_mono_ms() + QMP_DEADLINE_MS, NULL, err) < 0)
		return err_wrap(err, "telling the vm to run");
	return 0;
}

/* 1: the guest's processors run; 0: not yet; -1: they never will. */
static int
is_running(const struct target_vm *t, const char *home, struct err *err)
{
	json_t *status = NULL;
	struct err not_yet;
	const char *text;
	int rc = 0;

	if (qmp_execute(home, LOCAL_QMP, "query-status",
			clock_mono_ms() + QMP_DEADLINE_MS, &status,
			&not_yet) < 0)
		return 0;
	text = json_string_value(json_object_get(status, "status"));
	if (text && strcmp(text, "running") == 0)
		rc = 1;
	else if (text && strcmp(text, "prelaunch") == 0)
		rc = let_run(t, home, err);
	else if (text && (strcmp(text, "internal-error") == 0 ||
			  strcmp(text, "io-error") == 0))
		rc = err_set(err, ERR_FAIL, "QEMU stopped the vm: %s", text);
	json_decref(status);
	return rc;
}

/* What it waits for: QEMU runs the vm.  `p` is the script we started, or NULL:
 * somebody else did.  *ret_ended: nobody runs it any more. */
static int
wait_until_running(const struct target_vm *t, const char *home,
		   const struct process *p, bool *ret_ended, struct err *err)
{
	struct pollfd pfd = {.fd = p ? p->pidfd : -1, .events = POLLIN};
	int64_t until = clock_mono_ms() + START_DEADLINE_MS;
	enum power_state state;
	int running;

	for (;;) {
		*ret_ended = poll(&pfd, 1, POLL_MS) > 0;
		if (!p && local_power_state(t, &state, err) < 0)
			return -1;
		if (!p)
			*ret_ended = state == POWER_STATE_OFF;
		if (*ret_ended)
			return 0;
		running = is_running(t, home, err);
		if (running != 0)
			return running < 0 ? -1 : 0;
		if (clock_mono_ms() >= until)
			return err_set(err, ERR_RETRY,
				       "waiting for QEMU to run the vm took "
				       "longer than %d s: see '%s/%s'",
				       START_DEADLINE_MS / 1000, home,
				       LOCAL_LOG);
	}
}

static int
record_process(const struct target_vm *t, const struct process_id *id,
	       struct err *err)
{
	CLEANUP(mem_freep) char *path = files_path(t, LOCAL_PROCESS);
	json_t *json = process_id_to_json(id);
	char *text = json_dumps(json, JSON_INDENT(2));
	int rc = fs_write(path, text, strlen(text), 0644, err);

	free(text);
	json_decref(json);
	return rc;
}

static json_t *
start_facts(const struct target_vm *t)
{
	CLEANUP(mem_freep) char *home = files_home(t);
	json_t *facts = json_pack("{s:s, s:s, s:s+, s:s+}", "power", "on",
				  "home", home, "monitor", home, "/" LOCAL_QMP,
				  "console", home, "/" LOCAL_CONSOLE);
	struct process_id id;

	if (local_recorded_process(t, &id) == 0)
		json_object_set_new(facts, "process", process_id_to_json(&id));
	return facts;
}

/* Whoever answers at the monitor runs the vm, which need not be whom we
 * started: the operator's hand may have been faster.  One whose group is not
 * its own is not recorded, as ending the group would end others. */
static int
record_who_runs(const struct target_vm *t, const char *home, struct err *err)
{
	struct process_id old, id;
	pid_t pid = qmp_peer(home, LOCAL_QMP);

	if (pid <= 1 || getpgid(pid) != pid || process_identify(pid, &id) < 0 ||
	    (local_recorded_process(t, &old) == 0 && old.pid == id.pid &&
	     old.start == id.start && !strcmp(old.boot_id, id.boot_id)))
		return 0;
	return record_process(t, &id, err);
}

struct starting {
	const struct target_vm *t;
	struct process p;
};

/* Before there is a QEMU: one that nobody knows of could not be ended, and the
 * run would take it for a helper. */
static int
on_start(void *arg, const struct process_id *id, struct err *err)
{
	const struct starting *s = arg;

	if (record_process(s->t, id, err) < 0)
		return -1;
	return s->t->on_start ? s->t->on_start(s->t->arg, id, err) : 0;
}

static int
start_script(struct starting *s, const char *home, const char *log,
	     struct err *err)
{
	CLEANUP(mem_freep) char *script = files_path(s->t, LOCAL_START);
	CLEANUP(mem_closep)
	int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	const char *argv[] = {script, "-S", NULL};
	struct process_opts opts = PROCESS_OPTS_INIT;

	if (fd < 0)
		return err_sys(err, "cannot write '%s'", log);
	opts.argv = argv;
	opts.dir = home;
	opts.out = opts.err = fd;
	opts.detached = true;
	opts.on_start = on_start;
	opts.arg = s;
	return process_start(&opts, &s->p, err);
}

/* The monitor that answers is somebody else's: our script waits for the lock,
 * and would start QEMU as soon as theirs ends. */
static bool
was_slower(const char *home, const struct process *p)
{
	pid_t pid = qmp_peer(home, LOCAL_QMP);

	return pid > 0 && pid != p->id.pid;
}

/* *ret_ended: the script ended; whether the vm runs is to be seen. */
static int
run_script(const struct target_vm *t, const char *home, bool *ret_ended,
	   struct err *err)
{
	CLEANUP(mem_freep) char *log = files_path(t, LOCAL_LOG);
	CLEANUP(mem_freep) char *said = NULL;
	struct starting s = {t, {.pidfd = -1}};
	int rc;

	*ret_ended = false;
	if (start_script(&s, home, log, err) < 0)
		return -1;
	rc = wait_until_running(t, home, &s.p, ret_ended, err);
	if (rc == 0 && !*ret_ended && !was_slower(home, &s.p)) {
		mem_closep(&s.p.pidfd); /* now it is the target, no helper */
		return 0;
	}
	process_end(&s.p, 0);
	if (rc < 0)
		return -1;
	*ret_ended = true;
	said = last_words(log);
	return err_set(err, ERR_FAIL, "the vm does not start: %s (see '%s')",
		       said, log);
}

static int
may_start(const struct target_vm *t, struct err *err)
{
	enum handover mark = HANDOVER_NONE;

	if (files_check_names(t, err) < 0 || files_must_own(t, err) < 0 ||
	    files_marked(t, &mark, err) < 0)
		return -1;
	if (mark == HANDOVER_STARTED || mark == HANDOVER_LEFT_OFF)
		return 0;
	return err_set(err, ERR_FAIL,
		       mark == HANDOVER_NONE
			   ? "vm '%s' was not handed over yet"
			   : "vm '%s' was rolled back: its source has it again",
		       t->shape->name);
}

/* *ret is closed by the caller, which ends its turn. */
static int
take_turn(const struct target_vm *t, int *ret, struct err *err)
{
	CLEANUP(mem_freep) char *path = files_path(t, LOCAL_STARTING);
	CLEANUP(mem_closep)
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int64_t until = clock_mono_ms() + TURN_DEADLINE_MS;

	if (fd < 0)
		return err_sys(err, "cannot open '%s'", path);
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_sys(err, "cannot lock '%s'", path);
		if (clock_mono_ms() >= until)
			return err_set(err, ERR_RETRY,
				       "another process is starting this vm "
				       "and has held '%s' for more than %d s",
				       path, TURN_DEADLINE_MS / 1000);
		poll(NULL, 0, POLL_MS);
	}
	*ret = fd;
	fd = -1;
	return 0;
}

/* It may run already (a run was cut short, or an operator was faster), and
 * what runs may still fail: then it is started. */
static int
make_it_run(const struct target_vm *t, const char *home, struct err *err)
{
	enum power_state state;
	bool off = true;

	if (local_power_state(t, &state, err) < 0)
		return -1;
	if (state == POWER_STATE_ON &&
	    wait_until_running(t, home, NULL, &off, err) < 0)
		return -1;
	if (!off || run_script(t, home, &off, err) == 0)
		return 0;
	/* the script ended because somebody else's holds the lock? */
	if (!off || local_power_state(t, &state, &(struct err){0}) < 0 ||
	    state != POWER_STATE_ON)
		return -1;
	if (wait_until_running(t, home, NULL, &off, err) < 0)
		return -1;
	return off ? err_set(err, ERR_RETRY,
			     "the vm was started by somebody else and ended")
		   : 0;
}

int
local_start(const struct target_vm *t, json_t **ret_facts, struct err *err)
{
	CLEANUP(mem_freep) char *home = files_home(t);
	CLEANUP(mem_closep) int turn = -1;

	if (may_start(t, err) < 0 || take_turn(t, &turn, err) < 0 ||
	    make_it_run(t, home, err) < 0 || record_who_runs(t, home, err) < 0)
		return -1;
	*ret_facts = start_facts(t);
	return 0;
}
