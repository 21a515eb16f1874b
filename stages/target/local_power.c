/* SPDX-License-Identifier: Apache-2.0 */
/* Starts a local vm, sees whether it runs, stops it.
 *
 * Who runs it holds the lock file, from the script's first moment to QEMU's
 * last; that is what power_state asks.  The recorded process is only for the
 * case that QEMU does not listen any more. */
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
#define QUIT_DEADLINE_MS 10000
#define QMP_DEADLINE_MS 5000
#define POLL_MS 50

int
local_power_state(const struct target_vm *t, enum power_state *ret,
		  struct err *err)
{
	CLEANUP(mem_freep) char *path = local_path(t, LOCAL_LOCK);
	CLEANUP(mem_closep) int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0 && errno != ENOENT)
		return err_sys(err, "cannot open '%s'", path);
	if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) == 0)
		*ret = POWER_STATE_OFF;
	else if (errno == EWOULDBLOCK)
		*ret = POWER_STATE_ON;
	else
		return err_sys(err, "cannot ask for the lock '%s'", path);
	return 0;
}

static int
wait_until_off(const struct target_vm *t, int64_t until, bool *ret_off,
	       struct err *err)
{
	enum power_state state;

	for (;;) {
		if (local_power_state(t, &state, err) < 0)
			return -1;
		*ret_off = state == POWER_STATE_OFF;
		if (*ret_off || clock_mono_ms() >= until)
			return 0;
		poll(NULL, 0, POLL_MS);
	}
}

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

/* 1: the guest's processors run; 0: not yet; -1: they never will. */
static int
is_running(const char *home, struct err *err)
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
	else if (text && (strcmp(text, "internal-error") == 0 ||
			  strcmp(text, "io-error") == 0))
		rc = err_set(err, ERR_FAIL, "QEMU stopped the vm: %s", text);
	json_decref(status);
	return rc;
}

static int
wait_until_running(const char *home, const char *log, const struct process *p,
		   struct err *err)
{
	struct pollfd pfd = {.fd = p->pidfd, .events = POLLIN};
	int64_t until = clock_mono_ms() + START_DEADLINE_MS;
	CLEANUP(mem_freep) char *said = NULL;
	int running;

	for (;;) {
		bool ended = poll(&pfd, 1, POLL_MS) > 0;

		running = ended ? 0 : is_running(home, err);
		if (running != 0)
			return running < 0 ? -1 : 0;
		if (!ended && clock_mono_ms() < until)
			continue;
		said = last_words(log);
		if (ended)
			return err_set(err, ERR_FAIL,
				       "the vm does not start: %s (see '%s')",
				       said, log);
		return err_set(err, ERR_RETRY,
			       "waiting for QEMU to run the vm took longer "
			       "than %d s; its last words: %s",
			       START_DEADLINE_MS / 1000, said);
	}
}

static int
record_process(const struct target_vm *t, const struct process_id *id,
	       struct err *err)
{
	CLEANUP(mem_freep) char *path = local_path(t, LOCAL_PROCESS);
	json_t *json = process_id_to_json(id);
	char *text = json_dumps(json, JSON_INDENT(2));
	int rc = fs_write(path, text, strlen(text), 0644, err);

	free(text);
	json_decref(json);
	return rc;
}

/* -1: there is no record one could trust. */
static int
recorded_process(const struct target_vm *t, struct process_id *ret)
{
	CLEANUP(mem_freep) char *path = local_path(t, LOCAL_PROCESS);
	CLEANUP(buf_done) struct buf text = {0};
	struct err ignored;
	json_t *json;
	int rc;

	if (fs_read(path, 65536, true, &text, &ignored) < 0 || !text.data)
		return -1;
	json = json_loadb(text.data, text.len, 0, NULL);
	rc = process_id_from_json(json, ret);
	json_decref(json);
	return rc;
}

static json_t *
start_facts(const struct target_vm *t)
{
	CLEANUP(mem_freep) char *home = local_home(t);
	json_t *facts = json_pack("{s:s, s:s, s:s+, s:s+}", "power", "on",
				  "home", home, "monitor", home, "/" LOCAL_QMP,
				  "console", home, "/" LOCAL_CONSOLE);
	struct process_id id;

	if (recorded_process(t, &id) == 0)
		json_object_set_new(facts, "process", process_id_to_json(&id));
	return facts;
}

static int
run_script(const struct target_vm *t, const char *home, struct err *err)
{
	CLEANUP(mem_freep) char *script = local_path(t, LOCAL_START);
	CLEANUP(mem_freep) char *log = local_path(t, LOCAL_LOG);
	CLEANUP(mem_closep)
	int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	const char *argv[] = {script, NULL};
	struct process_opts opts = PROCESS_OPTS_INIT;
	struct process p = {.pidfd = -1};

	if (fd < 0)
		return err_sys(err, "cannot write '%s'", log);
	opts.argv = argv;
	opts.dir = home;
	opts.out = opts.err = fd;
	opts.detached = true;
	if (process_start(&opts, &p, err) < 0)
		return -1;
	if (record_process(t, &p.id, err) < 0 ||
	    wait_until_running(home, log, &p, err) < 0) {
		process_end(&p, 0);
		return -1;
	}
	mem_closep(&p.pidfd); /* from now on it is the target, no helper */
	return 0;
}

static int
may_start(const struct target_vm *t, struct err *err)
{
	enum handover mark = HANDOVER_NONE;

	if (local_check_names(t, err) < 0 || local_must_own(t, err) < 0 ||
	    local_marked(t, &mark, err) < 0)
		return -1;
	if (mark == HANDOVER_STARTED || mark == HANDOVER_LEFT_OFF)
		return 0;
	return err_set(err, ERR_FAIL,
		       mark == HANDOVER_NONE
			   ? "vm '%s' was not handed over yet"
			   : "vm '%s' was rolled back: its source has it again",
		       t->shape->name);
}

int
local_start(const struct target_vm *t, json_t **ret_facts, struct err *err)
{
	CLEANUP(mem_freep) char *home = local_home(t);
	enum power_state state;

	if (may_start(t, err) < 0 || local_power_state(t, &state, err) < 0)
		return -1;
	if (state != POWER_STATE_ON && run_script(t, home, err) < 0)
		return -1;
	*ret_facts = start_facts(t);
	return 0;
}

/* Ask, insist, force: what one way does not do in its time the next does. */
int
local_stop(const struct target_vm *t, int64_t grace_ms, struct err *err)
{
	const struct {
		const char *command;
		int64_t wait_ms;
	} ways[] = {{"system_powerdown", grace_ms}, {"quit", QUIT_DEADLINE_MS}};
	CLEANUP(mem_freep) char *home = local_home(t);
	struct process_id id;
	struct err ignored;
	bool off = false;

	if (local_check_names(t, err) < 0 ||
	    wait_until_off(t, 0, &off, err) < 0)
		return -1;
	for (size_t i = grace_ms > 0 ? 0 : 1; !off && i < 2; i++) {
		int64_t now = clock_mono_ms();
		int sent = qmp_execute(home, LOCAL_QMP, ways[i].command,
				       now + QMP_DEADLINE_MS, NULL, &ignored);

		if (wait_until_off(t, sent < 0 ? now : now + ways[i].wait_ms,
				   &off, err) < 0)
			return -1;
	}
	if (!off && recorded_process(t, &id) == 0 &&
	    (process_kill_group(&id, QUIT_DEADLINE_MS, err) < 0 ||
	     wait_until_off(t, clock_mono_ms() + QUIT_DEADLINE_MS, &off, err) <
		 0))
		return -1;
	if (!off)
		return err_set(err, ERR_RETRY,
			       "vm '%s' does not stop: whoever holds '%s/%s' "
			       "runs it",
			       t->shape->name, home, LOCAL_LOCK);
	return 0;
}
