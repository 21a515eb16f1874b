/* SPDX-License-Identifier: Apache-2.0 */
/* Asking by a child, the answer in a file in memory. */
#include "ask.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "step.h"

#define ANSWER_MAX ((size_t)2048 * 1024 * 1024)
#define DEFAULT_DEADLINE_MS (30 * 60 * 1000)

struct question {
	ask_fn *fn;
	void *arg;
	int answer;
};

/* jansson hands out every comma by itself. */
static int
write_buffered(const json_t *json, int fd)
{
	int copy = dup(fd), rc;
	FILE *f = copy < 0 ? NULL : fdopen(copy, "w");

	if (!f)
		return -1;
	rc = json_dumpf(json, f, JSON_COMPACT);
	return fclose(f) == 0 ? rc : -1;
}

static int
answer(void *arg, struct work_link *link, json_t **ret_facts, struct err *err)
{
	struct question *q = arg;
	json_t *json = NULL;

	(void)ret_facts;
	if (q->fn(q->arg, link, &json, err) < 0)
		return -1;
	if (write_buffered(json, q->answer) < 0)
		return err_sys(err, "cannot write the answer");
	return 0;
}

static int
read_answer(int fd, json_t **ret, struct err *err)
{
	CLEANUP(buf_done) struct buf text = {0};
	json_error_t where;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(err, "cannot read the answer");
	if (buf_read_fd(&text, fd, ANSWER_MAX, err) < 0)
		return err_wrap(err, "the answer");
	*ret = json_loadb(text.data, text.len, 0, &where);
	if (!*ret)
		return err_set(err, ERR_BUG, "the answer is not JSON: %s",
			       where.text);
	return 0;
}

int
ask(ask_fn *fn, void *arg, const char *what, int64_t deadline_ms,
    json_t **ret_answer, struct err *err)
{
	CLEANUP(mem_closep)
	int fd = memfd_create("palletjack-answer", MFD_CLOEXEC);
	struct question q = {.fn = fn, .arg = arg, .answer = fd};
	struct child_opts opts = {.keep_fd = fd, .log_fd = STDERR_FILENO};
	json_t *facts = NULL;

	if (fd < 0)
		return err_sys(err, "cannot make a file in memory");
	if (deadline_ms <= 0)
		deadline_ms = DEFAULT_DEADLINE_MS;
	if (deadline_ms > INT_MAX)
		deadline_ms = INT_MAX;
	if (child_call(&opts, answer, &q, (int)deadline_ms, &facts, err) < 0)
		return err_wrap(err, "%s", what);
	json_decref(facts);
	return read_answer(fd, ret_answer, err);
}
