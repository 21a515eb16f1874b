/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU's monitor over its unix socket: JSON lines. */
#include "stages/target/qmp.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"

#define REPLY_MAX ((size_t)1024 * 1024)

struct qmp {
	int fd;
	struct buf in;
	int64_t until;
};

/* A socket's address holds 108 bytes, a directory's path any number: the
 * descriptor of the directory makes it short. */
static int
connect_monitor(const char *dir, const char *name, struct err *err)
{
	CLEANUP(mem_closep)
	int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s",
		 at, name);
	if (at >= 0 && fd >= 0 &&
	    connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	err_set(err, ERR_RETRY, "no monitor answers at '%s/%s': %s", dir, name,
		strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static int
read_more(struct qmp *q, struct err *err)
{
	struct pollfd pfd = {.fd = q->fd, .events = POLLIN};
	int64_t left = q->until - clock_mono_ms();
	char piece[4096];
	ssize_t got;

	if (left <= 0 || poll(&pfd, 1, (int)left) == 0)
		return err_set(err, ERR_RETRY,
			       "waiting for QEMU's monitor to answer took "
			       "longer than its deadline");
	got = read(q->fd, piece, sizeof(piece));
	if (got < 0 && errno == EINTR)
		return 0;
	if (got <= 0 || q->in.len > REPLY_MAX)
		return err_set(err, ERR_RETRY,
			       "QEMU's monitor closed the connection");
	buf_add(&q->in, piece, (size_t)got);
	return 0;
}

/* The next object; new reference. */
static json_t *
next_object(struct qmp *q, struct err *err)
{
	json_t *object;
	char *end;

	while (!q->in.data || !(end = memchr(q->in.data, '\n', q->in.len)))
		if (read_more(q, err) < 0)
			return NULL;
	object = json_loadb(q->in.data, (size_t)(end - q->in.data), 0, NULL);
	buf_cut(&q->in, (size_t)(end - q->in.data) + 1);
	if (!json_is_object(object))
		err_set(err, ERR_FAIL, "QEMU's monitor does not speak JSON");
	return object;
}

/* Events that come in between are nobody's here. */
static int
execute(struct qmp *q, const char *command, json_t *arguments, json_t **ret,
	struct err *err)
{
	json_t *object = json_pack("{s:s, s:O*}", "execute", command,
				   "arguments", arguments);
	CLEANUP(mem_freep) char *text = json_dumps(object, JSON_COMPACT);
	CLEANUP(mem_freep) char *line = mem_printf("%s\n", text ? text : "");
	json_t *reply, *value;

	json_decref(object);
	if (fs_write_all(q->fd, line, strlen(line), err) < 0)
		return err_wrap(err, "QEMU's monitor");
	while ((reply = next_object(q, err))) {
		value = json_object_get(reply, "return");
		if (value && ret)
			*ret = json_incref(value);
		if (!value && json_object_get(reply, "error"))
			err_set(err, ERR_FAIL, "QEMU refuses '%s': %s", command,
				json_string_value(json_object_get(
				    json_object_get(reply, "error"), "desc")));
		else if (!value) {
			json_decref(reply);
			continue;
		}
		json_decref(reply);
		return value ? 0 : -1;
	}
	return -1;
}

int
qmp_execute(const char *dir, const char *name, const char *command,
	    int64_t mono_deadline_ms, json_t **ret, struct err *err)
{
	return qmp_execute_with(dir, name, command, NULL, mono_deadline_ms, ret,
				err);
}

int
qmp_execute_with(const char *dir, const char *name, const char *command,
		 json_t *arguments, int64_t mono_deadline_ms, json_t **ret,
		 struct err *err)
{
	struct qmp q = {.until = mono_deadline_ms};
	json_t *greeting;
	int rc = -1;

	q.fd = connect_monitor(dir, name, err);
	if (q.fd < 0)
		return -1;
	greeting = next_object(&q, err);
	if (greeting && execute(&q, "qmp_capabilities", NULL, NULL, err) == 0)
		rc = execute(&q, command, arguments, ret, err);
	json_decref(greeting);
	close(q.fd);
	buf_done(&q.in);
	return rc;
}

pid_t
qmp_peer(const char *dir, const char *name)
{
	struct err ignored;
	CLEANUP(mem_closep) int fd = connect_monitor(dir, name, &ignored);
	struct ucred who = {0};
	socklen_t len = sizeof(who);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
		return 0;
	return who.pid;
}
