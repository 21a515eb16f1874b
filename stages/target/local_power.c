/* SPDX-License-Identifier: Apache-2.0 */
/* Sees whether a local vm runs, and stops it.
 *
 * Who runs it holds the lock file, from the script's first moment to QEMU's
 * last; that is what power_state asks.  Then it asks QEMU's own locks on the
 * disks, for another may run them: off is only what nobody runs.  The recorded
 * process is only for the case that QEMU does not listen any more. */
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

#define QUIT_DEADLINE_MS 10000
#define QMP_DEADLINE_MS 5000
#define POLL_MS 50

static int
ask_lock(const struct target_vm *t, enum power_state *ret, struct err *err)
{
	CLEANUP(mem_freep) char *path = files_path(t, LOCAL_LOCK);
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

int
local_power_state(const struct target_vm *t, enum power_state *ret,
		  struct err *err)
{
	struct err ignored;

	if (ask_lock(t, ret, err) < 0)
		return -1;
	if (*ret == POWER_STATE_ON || files_no_disk_is_open(t, err) == 0)
		return 0;
	/* by the script, which was started this very moment? */
	return ask_lock(t, ret, &ignored) == 0 && *ret == POWER_STATE_ON ? 0
									 : -1;
}

int
local_may_stop(const struct target_vm *t, struct err *err)
{
	enum power_state ignored;

	return local_power_state(t, &ignored, err);
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

int
local_recorded_process(const struct target_vm *t, struct process_id *ret)
{
	CLEANUP(mem_freep) char *path = files_path(t, LOCAL_PROCESS);
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

/* Ask, insist, force: what one way does not do in its time the next does. */
int
local_stop(const struct target_vm *t, int64_t grace_ms, struct err *err)
{
	const struct {
		const char *command;
		int64_t wait_ms;
	} ways[] = {{"system_powerdown", grace_ms}, {"quit", QUIT_DEADLINE_MS}};
	CLEANUP(mem_freep) char *home = files_home(t);
	struct process_id id;
	struct err ignored;
	bool off = false;

	if (files_check_names(t, err) < 0 ||
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
	if (!off && local_recorded_process(t, &id) == 0 &&
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
