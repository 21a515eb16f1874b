/* SPDX-License-Identifier: Apache-2.0 */
/* The guest agent's protocol, without waiting for anything. */
#include "stages/boot_agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define ASK_AGAIN_MS 3000 /* at first; each time twice as long */
#define MOST_ASKED 16
#define ANSWER_MAX ((size_t)4 * 1024 * 1024)
#define DELIMITER '\xff'

void
agent_done(struct agent *a)
{
	if (a->fd > 0)
		close(a->fd);
	buf_done(&a->in);
	*a = (struct agent){0};
}

/* Of the directory only its descriptor goes into the address, which holds 108
 * bytes. */
static int
connect_agent(const char *dir, const char *name)
{
	CLEANUP(mem_closep)
	int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s",
		 at, name);
	if (at >= 0 && fd >= 0 &&
	    connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 &&
	    fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return 0;
}

/* A line that was cut short would spoil the next one: then it is gone, too. */
static bool
put(struct agent *a, const char *text)
{
	size_t len = strlen(text);

	return send(a->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT) ==
	       (ssize_t)len;
}

/* What is answered before that comes from an earlier conversation. */
static bool
ask(struct agent *a)
{
	CLEANUP(mem_freep) char *line = NULL;

	a->asked++;
	a->ask_again_ms = clock_mono_ms() + (ASK_AGAIN_MS << (a->asked - 1));
	line = mem_printf("%c{\"execute\": \"guest-sync-delimited\", "
			  "\"arguments\": {\"id\": %d}}\n",
			  DELIMITER, a->asked);
	return put(a, line);
}

/* False when the other end is gone. */
static bool
fill(struct agent *a)
{
	char piece[4096];
	ssize_t got;

	while ((got = recv(a->fd, piece, sizeof(piece), MSG_DONTWAIT)) > 0 &&
	       a->in.len < ANSWER_MAX)
		buf_add(&a->in, piece, (size_t)got);
	return got < 0 && (errno == EAGAIN || errno == EINTR);
}

/* The next whole line as JSON, or NULL; new reference. */
static json_t *
next_line(struct agent *a)
{
	char *end;

	while (a->in.len && (end = memchr(a->in.data, '\n', a->in.len))) {
		size_t len = (size_t)(end - a->in.data);
		char *from = memrchr(a->in.data, DELIMITER, len);
		size_t skip = from ? (size_t)(from - a->in.data) + 1 : 0;
		json_t *object =
		    json_loadb(a->in.data + skip, len - skip, 0, NULL);

		buf_cut(&a->in, len + 1);
		if (json_is_object(object))
			return object;
		json_decref(object);
	}
	return NULL;
}

/* False when the other end is gone. */
static bool
look(struct agent *a)
{
	json_t *line;

	if (a->asked < MOST_ASKED && clock_mono_ms() >= a->ask_again_ms &&
	    !ask(a))
		return false;
	if (!fill(a))
		return false;
	while (!a->synced && (line = next_line(a))) {
		/* several are out when the guest takes its time */
		a->synced = json_integer_value(
				json_object_get(line, "return")) == a->asked;
		json_decref(line);
	}
	return true;
}

bool
agent_is_there(struct agent *a, const char *dir, const char *socket)
{
	if (a->synced)
		return true;
	if (a->fd == 0)
		a->fd = connect_agent(dir, socket);
	if (a->fd > 0 && !look(a))
		agent_done(a);
	return a->synced;
}

int
agent_send(struct agent *a, const char *command, const json_t *arguments,
	   struct err *err)
{
	json_t *object = json_pack("{s:s}", "execute", command);
	CLEANUP(mem_freep) char *text = NULL, *line = NULL;

	if (!object)
		return err_set(err, ERR_FAIL, "'%s' is no name of a command",
			       command);
	if (arguments)
		json_object_set(object, "arguments", (json_t *)arguments);
	text = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(object);
	if (!text)
		return err_set(err, ERR_FAIL, "its arguments are no JSON");
	line = mem_printf("%s\n", text);
	if (!put(a, line))
		return err_set(err, ERR_FAIL,
			       "the guest's agent takes nothing");
	return 0;
}

int
agent_take(struct agent *a, json_t **ret, struct err *err)
{
	bool alive = fill(a);
	json_t *line;

	while ((line = next_line(a))) {
		json_t *value = json_object_get(line, "return");
		json_t *error = json_object_get(line, "error");
		const char *why =
		    json_string_value(json_object_get(error, "desc"));

		if (value)
			*ret = json_incref(value);
		if (error)
			err_set(err, ERR_FAIL, "%s",
				why ? why : "the guest's agent refuses");
		json_decref(line);
		if (value)
			return 1;
		if (error)
			return -1;
	}
	return alive ? 0
		     : err_set(err, ERR_FAIL,
			       "the guest's agent closed the connection");
}
