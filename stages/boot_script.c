/* SPDX-License-Identifier: Apache-2.0 */
/* An operator's script looks at the vm that boots. */
#include "stages/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "lua/host.h"

#define STEP_MS 100

struct looking {
	struct boot *boot;
	size_t taken; /* of the console's text */
	int console;  /* the socket that it is typed on; -1 */
};

static void
log_from_script(void *arg, enum log_level level, const char *text)
{
	struct looking *l = arg;

	work_log(l->boot->work, level, "%s", text);
	work_doing(l->boot->work, "%s", text);
}

/* What the guest says comes by its file; here it is only in the way. */
static void
drain(const struct looking *l)
{
	char piece[4096];

	while (l->console >= 0 &&
	       recv(l->console, piece, sizeof(piece), MSG_DONTWAIT) > 0)
		;
}

static enum boot_state
look(struct looking *l, int64_t wait_ms)
{
	drain(l);
	return boot_look(l->boot, wait_ms);
}

static int
script_read(void *arg, int64_t wait_ms, const char **ret, size_t *ret_len)
{
	struct looking *l = arg;
	struct boot *b = l->boot;
	int64_t until = clock_mono_ms() + wait_ms;

	do {
		if (look(l, wait_ms < STEP_MS ? wait_ms : STEP_MS) != BOOTING)
			return -1;
	} while (b->text.len == l->taken && clock_mono_ms() < until);
	*ret = b->text.data ? b->text.data + l->taken : "";
	*ret_len = b->text.len - l->taken;
	l->taken = b->text.len;
	return 0;
}

static int
connect_console(const char *dir)
{
	CLEANUP(mem_closep)
	int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s",
		 at, BOOT_CONSOLE_SOCKET);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* As fast as the guest takes it, and no longer than it boots. */
static int
script_send(void *arg, const char *text, size_t len)
{
	struct looking *l = arg;

	if (l->console < 0)
		l->console = connect_console(l->boot->dir);
	while (len > 0) {
		ssize_t sent = l->console < 0
				   ? -1
				   : send(l->console, text, len,
					  MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent > 0) {
			text += sent;
			len -= (size_t)sent;
		} else if (look(l, STEP_MS) != BOOTING)
			return -1;
	}
	return look(l, 0) == BOOTING ? 0 : -1;
}

static bool
wait_for_agent(struct looking *l, int64_t until)
{
	struct boot *b = l->boot;

	while (!agent_is_there(&b->agent, b->dir, BOOT_AGENT_SOCKET) &&
	       clock_mono_ms() < until && look(l, STEP_MS) == BOOTING)
		;
	return b->agent.synced;
}

static int
script_agent(void *arg, const char *command, const json_t *arguments,
	     int64_t wait_ms, json_t **ret, struct err *err)
{
	struct looking *l = arg;
	struct boot *b = l->boot;
	int64_t until = clock_mono_ms() + wait_ms;
	int rc = 0;

	err_set(err, ERR_RETRY, "the guest's agent does not answer");
	if (wait_for_agent(l, until))
		rc = agent_send(&b->agent, command, arguments, err);
	while (b->agent.synced && rc == 0 && b->state == BOOTING &&
	       clock_mono_ms() < until) {
		rc = agent_take(&b->agent, ret, err);
		if (rc == 0)
			(void)look(l, STEP_MS);
	}
	/* an answer that comes now would be taken for the next one's */
	if (rc == 0 && b->agent.synced)
		agent_done(&b->agent);
	return b->state == BOOTING ? 0 : -1;
}

/* Which boot it is about, for who hands that on. */
static char *
key_of(const struct work *w)
{
	const struct view *v = w->view;

	return mem_printf("%s/%s/%s/%s", v->state_uuid, v->plan->o.name,
			  v->pvm->key, w->step);
}

static void
conclude(struct looking *l, const struct script *script, enum lua_said said,
	 const struct err *err, struct boot_verdict *ret)
{
	static const enum boot_result results[] = {
	    [LUA_SAID_YES] = BOOT_PASSED,
	    [LUA_SAID_NO] = BOOT_FAILED,
	    [LUA_SAID_NOTHING] = BOOT_INCONCLUSIVE};

	/* the boot ended below it: that is the verdict, not this */
	if (said != LUA_SAID_YES && l->boot->state != BOOTING)
		return;
	ret->result = results[said];
	ret->why = said == LUA_SAID_YES
		       ? mem_printf("script '%s/%s' ended well",
				    script->o.namespace, script->o.name)
		       : mem_strdup(err->text);
}

void
boot_script(struct boot *b, const struct script *script,
	    struct boot_verdict *ret)
{
	const struct view *v = b->work->view;
	struct looking l = {.boot = b, .console = -1};
	struct lua_probe probe = {script_read, script_send, script_agent, &l};
	CLEANUP(mem_freep) char *key = key_of(b->work);
	json_t *vm = inv_vm_to_json(v->vm);
	struct lua_hook_call call = {
	    .script = script,
	    .probe = &probe,
	    .step = b->work->stage->name,
	    .key = key,
	    .plan = v->plan->o.spec,
	    .vm = vm,
	    .notes = json_object_get(work_fact(b->work, stage_pre_hook.name),
				     "notes"),
	    .deadline_ms = b->until - clock_mono_ms(),
	    .log = log_from_script,
	    .arg = &l,
	};
	struct err err = {0};
	enum lua_said said;

	if (call.deadline_ms < 1)
		call.deadline_ms = 1;
	said = lua_ask(&call, &ret->notes, &err);
	conclude(&l, script, said, &err, ret);
	json_decref(vm);
	mem_closep(&l.console);
}
