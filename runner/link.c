/* SPDX-License-Identifier: Apache-2.0 */
/* The child's end: work_*() of stages/stage.h, and the step's own frame. */
#include "link.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/redact.h"
#include "base/utf8.h"
#include "stages/stage.h"
#include "step.h"

static volatile sig_atomic_t stop_asked;

void
link_enlarge(int socket)
{
	int size = (int)LINK_MESSAGE_MAX;

	/* beyond the system's limit it stays smaller, and large results say
	 * so when they are sent */
	setsockopt(socket, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

int
link_wait(struct work_link *l)
{
	char word[2];
	ssize_t got;

	do
		got = recv(l->socket, word, sizeof(word), 0);
	while (got < 0 && errno == EINTR);
	return got == 2 ? 0 : -1;
}

/* Fit to be shown and to be sent; caller frees. */
static char *
clean_text(const char *text)
{
	char *clean = redact_text(text);

	utf8_plain(clean);
	return clean;
}

static int
link_send(struct work_link *l, json_t *message, int flags)
{
	char *text = json_dumps(message, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0;
	ssize_t put;

	if (!text) {
		json_decref(message);
		errno = EILSEQ;
		return -1;
	}
	do
		put = send(l->socket, text, len, flags | MSG_NOSIGNAL);
	while (put < 0 && errno == EINTR);
	free(text);
	json_decref(message);
	return put == (ssize_t)len ? 0 : -1;
}

void
link_note(struct work_link *l, json_t *message)
{
	(void)link_send(l, message, MSG_DONTWAIT);
}

int
link_record(struct work_link *l, json_t *message, struct err *err)
{
	if (!message)
		return err_set(err, ERR_BUG, "a record that is no JSON");
	if (link_send(l, message, 0) < 0 || link_wait(l) < 0)
		return err_set(err, ERR_RETRY,
			       "the run went away before it confirmed a "
			       "record");
	return 0;
}

void
link_send_error(struct work_link *l, const struct err *e)
{
	CLEANUP(mem_freep) char *text = clean_text(e->text);

	(void)link_send(
	    l,
	    json_pack("{s:{s:s, s:s%}}", "error", "class",
		      err_class_name(e->class), "text", text, strlen(text)),
	    0);
}

void
link_send_result(struct work_link *l, json_t *facts)
{
	struct err err;

	if (!facts)
		facts = json_object();
	if (link_send(l, json_pack("{s:o}", "result", facts), 0) == 0)
		return;
	err_set(&err, ERR_BUG, "the result could not be told: %s",
		strerror(errno));
	link_send_error(l, &err);
}

void
work_progress(struct work *w, uint64_t done, uint64_t total)
{
	link_note(w->link, json_pack("{s:[I, I]}", "progress", (json_int_t)done,
				     (json_int_t)total));
}

void
work_moved(struct work *w, const struct moved *m)
{
	link_note(
	    w->link,
	    json_pack("{s:[I, I], s:{s:I, s:I, s:I, s:I, s:I}}", "progress",
		      (json_int_t)m->done, (json_int_t)m->total, "moved",
		      "read", (json_int_t)m->read, "written",
		      (json_int_t)m->written, "zero", (json_int_t)m->zero,
		      "skipped", (json_int_t)m->skipped, "heldMs",
		      (json_int_t)m->held_ms));
}

void
work_doing(struct work *w, const char *fmt, ...)
{
	CLEANUP(mem_freep) char *text = NULL, *clean = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = mem_vprintf(fmt, ap);
	va_end(ap);
	clean = clean_text(text);
	link_note(w->link, json_pack("{s:s}", "doing", clean));
}

/* With the descriptor beside the words; lost, it only is not kept. */
void
work_hold(struct work *w, int fd)
{
	static const char text[] = "{\"hold\":true}";
	char room[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec words = {(void *)text, sizeof(text) - 1};
	struct msghdr m = {.msg_iov = &words,
			   .msg_iovlen = 1,
			   .msg_control = room,
			   .msg_controllen = sizeof(room)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	while (sendmsg(w->link->socket, &m, MSG_NOSIGNAL) < 0 && errno == EINTR)
		;
}

void
work_log(struct work *w, enum log_level level, const char *fmt, ...)
{
	CLEANUP(mem_freep) char *text = NULL;
	CLEANUP(mem_freep)
	char *where = mem_printf("%s/%s", w->view->pvm->key, w->step);
	va_list ap;

	va_start(ap, fmt);
	text = mem_vprintf(fmt, ap);
	va_end(ap);
	log_line(level, where, "%s", text);
}

int
work_record(struct work *w, const char *key, json_t *value, struct err *err)
{
	/* what we recorded ourselves is as good as what was there before */
	json_object_set((json_t *)w->recorded, key, value);
	return link_record(
	    w->link,
	    json_pack("{s:{s:s, s:o}}", "record", "key", key, "value", value),
	    err);
}

const json_t *
work_recorded(const struct work *w, const char *key)
{
	return json_object_get(w->recorded, key);
}

const json_t *
work_fact(const struct work *w, const char *step)
{
	return json_object_get(w->facts, step);
}

int
work_helper_started(void *arg, const struct process_id *id, struct err *err)
{
	return work_record(arg, "helper", process_id_to_json(id), err);
}

int
work_target_started(void *arg, const struct process_id *id, struct err *err)
{
	return work_record(
	    arg, WORK_TARGET,
	    json_pack("{s:o}", "process", process_id_to_json(id)), err);
}

static void
note_stop(int sig)
{
	(void)sig;
	stop_asked = 1;
}

void
work_catch_stop(struct work *w)
{
	struct sigaction action = {.sa_handler = note_stop};

	(void)w;
	sigaction(SIGTERM, &action, NULL);
}

bool
work_stopping(const struct work *w)
{
	(void)w;
	return stop_asked;
}

char *
work_log_path(const struct work *w, const char *name)
{
	return mem_printf("%s/log/%s", w->view->state_dir, name);
}

static int
do_it(struct work *w, json_t **ret_facts, struct err *err)
{
	bool done = false;

	if (stages_before(w, err) < 0)
		return -1;
	if (w->unsettled && w->stage->probe) {
		work_doing(w, "looking what the last attempt left");
		if (w->stage->probe(w, &done, ret_facts, err) < 0)
			return -1;
		if (done)
			return 0;
	}
	return w->stage->run(w, ret_facts, err);
}

#define MODEST_NICE 10
#define MODEST_IOPRIO (2 << 13 | 7) /* best effort, the last of it */
#define IOPRIO_THIS_PROCESS 1

/* Its helpers inherit it.  Where it is not possible (some sandboxes), there is
 * nothing to be done about it. */
static void
be_modest(struct work *w)
{
	if (w->view->plan->policy->limits.priority != PRIORITY_LOW ||
	    w->stage->pool != POOL_DISKS)
		return;
	if (setpriority(PRIO_PROCESS, 0, MODEST_NICE) < 0 ||
	    syscall(SYS_ioprio_set, IOPRIO_THIS_PROCESS, 0, MODEST_IOPRIO) < 0)
		work_log(w, LOG_LEVEL_WARNING,
			 "limits.priority: low is not possible here: %s",
			 strerror(errno));
}

int
step_do(void *arg, struct work_link *link, json_t **ret_facts, struct err *err)
{
	struct work *w = arg;

	w->link = link;
	be_modest(w);
	work_log(w, LOG_LEVEL_INFO, "attempt %d begins", w->attempt);
	if (do_it(w, ret_facts, err) < 0) {
		work_log(w, LOG_LEVEL_ERROR, "%s", err->text);
		return -1;
	}
	work_log(w, LOG_LEVEL_INFO, "done");
	return 0;
}
