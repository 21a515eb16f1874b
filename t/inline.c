/* SPDX-License-Identifier: Apache-2.0 */
/* Steps and questions done by the program itself where palletjack has a child
 * do them (runner/step.h, runner/ask.h), for tests of thousands of runs: linked
 * in their place, with a clock of its own (t/clock.h).  All else is the real
 * one: the step's frame (runner/link.c), and the run's loop that hears it. */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ask.h"
#include "base/mem.h"
#include "io/stray.h"
#include "link.h"
#include "step.h"
#include "t/clock.h"

#define MESSAGES 64 /* a step says; notes beyond that are lost, as ever */

/* One at a time: the next begins when the last is done.  It does all at once,
 * and is heard afterwards, each word at the time when it was said. */
static struct {
	child_fn *fn;
	void *arg;
	int socket, pidfd; /* for the loop to wait for, of all steps */
	struct {
		char *text;
		size_t len;
		int64_t at_ms;
	} said[MESSAGES];
	size_t nsaid, nheard;
	int64_t now_ms;
} step = {.socket = -1, .pidfd = -1};

/* Steps may leak what would end with their process. */
int __lsan_is_turned_off(void);

int
__lsan_is_turned_off(void)
{
	return 1;
}

/* Its end of the socket (runner/link.c). */
ssize_t
send(int fd, const void *data, size_t len, int flags)
{
	if (fd < 0 || fd != step.socket)
		return sendto(fd, data, len, flags, NULL, 0);
	if (step.nsaid >= MESSAGES / 2 && (flags & MSG_DONTWAIT))
		return -1;
	if (step.nsaid == MESSAGES)
		abort();
	step.said[step.nsaid].text = mem_strndup(data, len);
	step.said[step.nsaid].len = len;
	step.said[step.nsaid++].at_ms = clock_virtual_ms();
	return (ssize_t)len;
}

/* Its records are confirmed before they are written: what does not get on disk
 * breaks the run behind it. */
ssize_t
recv(int fd, void *data, size_t len, int flags)
{
	if (fd < 0 || fd != step.socket)
		return recvfrom(fd, data, len, flags, NULL, NULL);
	memcpy(data, "ok", len < 2 ? len : 2);
	return len < 2 ? (ssize_t)len : 2;
}

int
child_start(const struct child_opts *opts, child_fn *fn, void *arg,
	    struct child *ret, struct err *err)
{
	(void)opts;
	if (step.socket < 0) {
		step.socket = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
		step.pidfd = eventfd(0, EFD_CLOEXEC);
	}
	if (step.socket < 0 || step.pidfd < 0)
		return err_sys(err, "cannot make an eventfd");
	*ret = (struct child){
	    .socket = step.socket, .pidfd = step.pidfd, .held = -1};
	ret->id.pid = 0x3fffffff; /* nobody's */
	step.fn = fn;
	step.arg = arg;
	step.nsaid = step.nheard = 0;
	return 0;
}

int
child_go(struct child *c, struct err *err)
{
	struct work_link link = {.socket = c->socket};
	json_t *facts = NULL;

	if (step.fn(step.arg, &link, &facts, err) < 0)
		link_send_error(&link, err);
	else
		link_send_result(&link, facts);
	step.now_ms = clock_virtual_ms();
	if (eventfd_write(c->socket, step.nsaid) < 0)
		return err_sys(err, "cannot tell of a step's words");
	return 0;
}

static void
keep_result(struct child *c, const json_t *message)
{
	json_t *error = json_object_get(message, "error");
	json_t *result = json_object_get(message, "result");
	const char *class = json_string_value(json_object_get(error, "class"));

	c->has_result = error || result;
	c->facts = json_incref(result);
	if (!error)
		return;
	c->error = mem_new(sizeof(*c->error));
	err_set(c->error, err_class_parse(class), "%s",
		json_string_value(json_object_get(error, "text")));
}

/* It has ended once all is heard. */
json_t *
child_receive(struct child *c)
{
	eventfd_t one;
	json_t *message;
	char *text;

	if (step.nheard == step.nsaid || eventfd_read(c->socket, &one) < 0)
		return NULL;
	text = step.said[step.nheard].text;
	message = json_loadb(text, step.said[step.nheard].len, 0, NULL);
	free(text);
	keep_result(c, message);
	if (json_object_get(message, "record"))
		clock_virtual_set(step.said[step.nheard].at_ms);
	if (++step.nheard == step.nsaid)
		(void)eventfd_write(c->pidfd, 1);
	return message;
}

/* The record is written. */
int
child_confirm(struct child *c, struct err *err)
{
	(void)c;
	(void)err;
	clock_virtual_set(step.now_ms);
	return 0;
}

void
child_ask_to_stop(const struct child *c)
{
	(void)c;
}

void
child_kill(const struct child *c)
{
	(void)c;
}

int
child_end(struct child *c, struct err *err)
{
	CLEANUP(mem_freep) struct err *said = steal(&c->error);
	eventfd_t one;

	(void)eventfd_read(c->pidfd, &one);
	if (!said)
		return 0;
	*err = *said;
	return -1;
}

int
child_call(const struct child_opts *opts, child_fn *fn, void *arg,
	   int deadline_ms, json_t **ret_facts, struct err *err)
{
	struct work_link link = {.socket = -1};

	(void)opts;
	(void)deadline_ms;
	return fn(arg, &link, ret_facts, err);
}

/* Nobody is left behind by who was never begun. */

void
stray_adopt(void)
{
}

int
stray_end(stray_keep_fn *keep, void *arg, int deadline_ms, struct err *err)
{
	(void)keep;
	(void)arg;
	(void)deadline_ms;
	(void)err;
	return 0;
}

bool
stray_is_of(pid_t pid, const struct process_id *leader)
{
	(void)pid;
	(void)leader;
	return false;
}

bool
stray_holds(pid_t pid, int lock)
{
	(void)pid;
	(void)lock;
	return false;
}

void
stray_kill_holders(int lock)
{
	(void)lock;
}

/* Questions. */

struct answer {
	const struct question *question;
	int rc;
	struct err *err;
};

void
answer_add(struct answer *to, json_t *piece)
{
	if (to->rc == 0 && to->question->take)
		to->rc = to->question->take(to->question->arg, piece, to->err);
	json_decref(piece);
}

int
ask(const struct question *q, struct err *err)
{
	/* nobody listens */
	struct work_link link = {.socket = -1};
	struct answer to = {q, 0, err};

	return q->ask(q->arg, &to, &link, err) < 0 ? -1 : to.rc;
}
