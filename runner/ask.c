/* SPDX-License-Identifier: Apache-2.0 */
/* Asking by a child, the answer in a file in memory. */
#include "ask.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "manifests/canonical.h"
#include "step.h"

#define ANSWER_MAX ((size_t)2048 * 1024 * 1024)
#define WRITE_FROM ((size_t)64 * 1024)
#define DEFAULT_DEADLINE_MS (30 * 60 * 1000)

struct answer {
	const struct question *question;
	int fd;
	struct buf text; /* not yet written */
	bool lost;	 /* it could not be, why is in err */
	struct err err;
};

static void
write_out(struct answer *a)
{
	a->lost |= fs_write_all(a->fd, a->text.data, a->text.len, &a->err) < 0;
	buf_reset(&a->text);
}

void
answer_add(struct answer *to, json_t *piece)
{
	canonical_add(&to->text, piece);
	json_decref(piece);
	if (to->text.len >= WRITE_FROM)
		write_out(to);
}

static int
answer(void *arg, struct work_link *link, json_t **ret_facts, struct err *err)
{
	struct answer *a = arg;

	(void)ret_facts;
	if (a->question->ask(a->question->arg, a, link, err) < 0)
		return -1;
	write_out(a);
	if (!a->lost)
		return 0;
	*err = a->err;
	return err_wrap(err, "the answer");
}

static int
take_answer(const struct question *q, int fd, struct err *err)
{
	CLEANUP(buf_done) struct buf text = {0};
	size_t at = 0;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(err, "cannot read the answer");
	if (buf_read_fd(&text, fd, ANSWER_MAX, err) < 0)
		return err_wrap(err, "the answer");
	while (at < text.len) {
		json_error_t where;
		CLEANUP(json_decrefp)
		json_t *piece = json_loadb(text.data + at, text.len - at,
					   JSON_DISABLE_EOF_CHECK, &where);

		if (!piece)
			return err_set(err, ERR_BUG,
				       "the answer is not JSON: %s",
				       where.text);
		if (q->take(q->arg, piece, err) < 0)
			return -1;
		at += (size_t)where.position;
	}
	return 0;
}

int
ask(const struct question *q, struct err *err)
{
	CLEANUP(mem_closep)
	int fd = memfd_create("palletjack-answer", MFD_CLOEXEC);
	struct child_opts opts = {.keep_fd = fd, .log_fd = STDERR_FILENO};
	int64_t deadline_ms = q->deadline_ms;
	struct answer a = {.question = q, .fd = fd};
	json_t *facts = NULL;

	if (fd < 0)
		return err_sys(err, "cannot make a file in memory");
	if (deadline_ms <= 0)
		deadline_ms = DEFAULT_DEADLINE_MS;
	if (deadline_ms > INT_MAX)
		deadline_ms = INT_MAX;
	if (child_call(&opts, answer, &a, (int)deadline_ms, &facts, err) < 0)
		return err_wrap(err, "%s", q->what);
	json_decref(facts);
	return q->take ? take_answer(q, fd, err) : 0;
}
