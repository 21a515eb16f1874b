/* SPDX-License-Identifier: Apache-2.0 */
/* The event stream: bounded, and it never waits. */
#include "events.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

#define CLOSE_DEADLINE_MS 2000

struct events {
	char *where;
	int fd;
	bool gone; /* nothing can be written any more */
	char why[128];
	struct buf waiting;
	size_t dropped, dropped_now; /* in all, and since the last taken */
};

/* Not to wait is a property of what is open, which standard output shares with
 * others: it is opened again where that is possible. */
static int
open_stdout(void)
{
	struct stat st;
	int fd = -1;

	if (fstat(STDOUT_FILENO, &st) == 0 &&
	    (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)))
		fd = open("/proc/self/fd/1",
			  O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd >= 0 ? fd : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
}

/* A named pipe without a reader would not open for writing alone. */
static int
open_named(const char *path)
{
	struct stat st;
	bool is_pipe = stat(path, &st) == 0 && S_ISFIFO(st.st_mode);

	return open(path,
		    (is_pipe ? O_RDWR : O_WRONLY | O_CREAT | O_APPEND) |
			O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
		    0600);
}

int
events_open(const char *where, struct events **ret, struct err *err)
{
	bool is_stdout = strcmp(where, "-") == 0;
	int fd = is_stdout ? open_stdout() : open_named(where);
	struct events *e;

	if (fd < 0) {
		err_sys(err, "cannot open '%s'", where);
		err->class = ERR_USER;
		return -1;
	}
	e = mem_new(sizeof(*e));
	e->where = mem_strdup(is_stdout ? "standard output" : where);
	e->fd = fd;
	*ret = e;
	return 0;
}

/* What is taken without waiting, of at most PIPE_BUF bytes: a pipe that has
 * room has that much. */
static ssize_t
put(struct events *e)
{
	size_t len = e->waiting.len < PIPE_BUF ? e->waiting.len : PIPE_BUF;
	ssize_t n =
	    send(e->fd, e->waiting.data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	return n < 0 && errno == ENOTSOCK ? write(e->fd, e->waiting.data, len)
					  : n;
}

static void
give_up(struct events *e)
{
	snprintf(e->why, sizeof(e->why), "%s", strerror(errno));
	e->gone = true;
}

static void
flush(struct events *e, int64_t until)
{
	while (e->waiting.len > 0 && !e->gone) {
		struct pollfd p = {.fd = e->fd, .events = POLLOUT};
		int64_t left = until - clock_mono_ms();
		ssize_t n;

		if (poll(&p, 1, left > 0 ? (int)left : 0) <= 0)
			return;
		n = put(e);
		if (n > 0)
			buf_cut(&e->waiting, (size_t)n);
		else if (n < 0 && errno == EAGAIN && left <= 0)
			return;
		else if (n < 0 && errno != EAGAIN && errno != EINTR)
			give_up(e);
	}
}

void
events_flush(struct events *e)
{
	flush(e, 0);
}

static void
drop(struct events *e)
{
	e->dropped++;
	e->dropped_now++;
}

void
events_add(struct events *e, const char *vm, const char *line, size_t len)
{
	json_t *json = json_string(vm);
	char *name = json_dumps(json, JSON_ENCODE_ANY);

	events_flush(e);
	if (e->gone || e->waiting.len + len > EVENTS_KEPT)
		drop(e);
	else {
		if (e->dropped_now)
			buf_printf(&e->waiting,
				   "{\"type\":\"dropped\",\"events\":%zu}\n",
				   e->dropped_now);
		e->dropped_now = 0;
		buf_printf(&e->waiting, "{\"vm\":%s,", name);
		buf_add(&e->waiting, line + 1, len - 1);
		buf_adds(&e->waiting, "\n");
		events_flush(e);
	}
	free(name);
	json_decref(json);
}

void
events_close(struct events *e)
{
	if (!e)
		return;
	flush(e, clock_mono_ms() + CLOSE_DEADLINE_MS);
	for (const char *at = e->waiting.data; at && *at; at++)
		e->dropped += *at == '\n';
	if (e->dropped)
		fprintf(stderr,
			"%s: %zu events were not taken (%s); the journals "
			"have them all\n",
			e->where, e->dropped,
			e->gone ? e->why : "its reader does not read");
	mem_closep(&e->fd);
	buf_done(&e->waiting);
	free(e->where);
	free(e);
}
