/* SPDX-License-Identifier: Apache-2.0 */
/* The event stream: whoever reads it slowly, or not at all, holds up nothing.
 */
#include "events.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "t/tap.h"

#define RECORD 1000 /* bytes, about */

static struct err err;
static char *path;

static void
add(struct events *e, int number)
{
	CLEANUP(mem_freep)
	char *line =
	    mem_printf("{\"seq\":%d,\"pad\":\"%*s\"}", number, RECORD, "x");

	events_add(e, "web \"1\"", line, strlen(line));
}

/* Reads what is there, which is whole lines; how many, and what their last
 * "seq" and all their "events" are. */
static int
read_lines(int fd, json_int_t *ret_seq, json_int_t *ret_dropped, bool *ret_good)
{
	static struct buf text; /* what is half a line waits for the rest */
	char piece[65536], *line, *end;
	ssize_t n;
	int lines = 0;

	while ((n = read(fd, piece, sizeof(piece))) > 0)
		buf_add(&text, piece, (size_t)n);
	buf_adds(&text, "");
	for (line = text.data; (end = strchr(line, '\n')); line = end + 1) {
		json_t *json = json_loadb(line, (size_t)(end - line), 0, NULL);
		json_t *seq = json_object_get(json, "seq");

		*ret_good &= json != NULL;
		if (seq)
			*ret_seq = json_integer_value(seq);
		*ret_dropped +=
		    json_integer_value(json_object_get(json, "events"));
		lines++;
		json_decref(json);
	}
	buf_cut(&text, (size_t)(line - text.data));
	return lines;
}

static void
test_slow_reader(void)
{
	json_int_t seq = 0, dropped = 0;
	struct events *e = NULL;
	bool good = true;
	int fd, lines = 0;

	if (mkfifo(path, 0600) < 0)
		tap_diag("no pipe");
	is_int(events_open(path, &e, &err), 0, "a pipe nobody reads opens");
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	for (int i = 1; i <= 1000; i++)
		add(e, i);
	ok(true, "a reader that does not read is not waited for");
	/* 64 KiB in the pipe at a time */
	for (int i = 0; i < 10; i++) {
		lines += read_lines(fd, &seq, &dropped, &good);
		events_flush(e);
	}
	ok(seq > 200 && seq < 400, "it finds what was kept for it");
	is_int(lines, seq, "all of the first");
	is_int(dropped, 0, "and nothing yet about the rest");
	add(e, 1001);
	lines += read_lines(fd, &seq, &dropped, &good);
	is_int(seq, 1001, "then it is told of what comes");
	is_int(lines + dropped, 1002, "and of how many were dropped");
	ok(good, "in whole lines");
	events_close(e);
	close(fd);
	unlink(path);
}

static void
test_file(void)
{
	json_int_t seq = 0, dropped = 0;
	struct events *e = NULL;
	bool good = true;
	int fd;

	for (int i = 0; i < 2; i++) {
		is_int(events_open(path, &e, &err), 0, "a file");
		for (int k = 1; k <= 1000; k++)
			add(e, k);
		events_close(e);
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	is_int(read_lines(fd, &seq, &dropped, &good), 2000,
	       "has all and is added to");
	ok(good && !dropped, "in whole lines");
	close(fd);
	is_int(events_open("/no/such/file", &e, &err), -1, "one that is not");
	is_int(err.class, ERR_USER, "is the user's");
}

int
main(void)
{
	path = fs_path(tap_dir(), "events");
	test_slow_reader();
	test_file();
	free(path);
	return tap_done();
}
