/* SPDX-License-Identifier: Apache-2.0 */
/* The parent's side of a child: start it, hear it, end it. */
#include "step.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/interrupt.h"
#include "io/stray.h"
#include "link.h"

#define STRAYS_DEADLINE_MS 5000

static void
read_nothing(void)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null >= 0)
		dup2(null, STDIN_FILENO);
}

static _Noreturn void
child_main(const struct child_opts *opts, int socket, pid_t parent,
	   child_fn *fn, void *arg)
{
	static const struct rlimit no_core = {0, 0};
	int keep[4 + CHILD_SLOTS] = {socket, opts->keep_fd, opts->log_fd};
	size_t nkeep = 3;
	struct work_link link = {.socket = socket};
	json_t *facts = NULL;
	struct err err;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	stray_adopt();
	prctl(PR_SET_DUMPABLE, 0);
	setrlimit(RLIMIT_CORE, &no_core);
	process_reset_signals();
	signal(SIGPIPE, SIG_IGN);
	read_nothing();
	for (size_t i = 0; i < opts->nslots; i++) {
		keep[nkeep++] = opts->slots[i];
		process_inherit(opts->slots[i]);
	}
	if (opts->held_fd > 0) {
		keep[nkeep++] = opts->held_fd;
		process_inherit(opts->held_fd);
	}
	process_close_others(keep, nkeep);
	if (opts->keep_fd >= 0)
		process_inherit(opts->keep_fd);
	log_redirect(opts->log_fd);
	if (link_wait(&link) < 0)
		_exit(1);
	if (fn(arg, &link, &facts, &err) < 0)
		link_send_error(&link, &err);
	else
		link_send_result(&link, facts);
	_exit(0);
}

int
child_start(const struct child_opts *opts, child_fn *fn, void *arg,
	    struct child *ret, struct err *err)
{
	pid_t pid, parent = getpid();
	struct child c = {.pidfd = -1, .held = -1};
	int pair[2];

	/* in parent and child: while the child lives, what its helpers leave
	 * behind is the child's, then ours */
	stray_adopt();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, "cannot make a socket pair");
	link_enlarge(pair[0]);
	link_enlarge(pair[1]);
	pid = fork();
	if (pid == 0)
		child_main(opts, pair[1], parent, fn, arg);
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return err_sys(err, "cannot fork");
	}
	setpgid(pid, pid);
	c.socket = pair[0];
	c.pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (c.pidfd < 0 || process_identify(pid, &c.id) < 0) {
		err_sys(err, "cannot watch a child");
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		close(c.socket);
		mem_closep(&c.pidfd);
		return -1;
	}
	*ret = c;
	return 0;
}

int
child_go(struct child *c, struct err *err)
{
	if (send(c->socket, "go", 2, MSG_NOSIGNAL) != 2)
		return err_sys(err, "cannot start a child");
	return 0;
}

int
child_confirm(struct child *c, struct err *err)
{
	/* a child that died meanwhile is noticed at its end */
	if (send(c->socket, "ok", 2, MSG_NOSIGNAL) != 2 && errno != EPIPE &&
	    errno != ECONNRESET)
		return err_sys(err, "cannot answer a child");
	return 0;
}

static void
keep_error(struct child *c, const json_t *error)
{
	const char *text = json_string_value(json_object_get(error, "text"));
	const char *class = json_string_value(json_object_get(error, "class"));

	if (!c->error)
		c->error = mem_new(sizeof(*c->error));
	err_set(c->error, err_class_parse(class ? class : ""), "%s",
		text ? text : "");
}

/* What came beside the words: the latest is as good as those before. */
static void
keep_held(struct child *c, struct msghdr *m)
{
	struct cmsghdr *head = CMSG_FIRSTHDR(m);

	if (!head || head->cmsg_level != SOL_SOCKET ||
	    head->cmsg_type != SCM_RIGHTS ||
	    head->cmsg_len != CMSG_LEN(sizeof(int)))
		return;
	mem_closep(&c->held);
	memcpy(&c->held, CMSG_DATA(head), sizeof(int));
}

static ssize_t
receive(struct child *c, char *text, size_t size)
{
	char room[CMSG_SPACE(sizeof(int))];
	struct iovec words = {text, size};
	struct msghdr m = {.msg_iov = &words,
			   .msg_iovlen = 1,
			   .msg_control = room,
			   .msg_controllen = sizeof(room)};
	ssize_t got = recvmsg(c->socket, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (got >= 0)
		keep_held(c, &m);
	return got;
}

json_t *
child_receive(struct child *c)
{
	CLEANUP(mem_freep) char *text = NULL;
	json_t *message, *error;
	ssize_t got;

	if (c->garbled)
		return NULL;
	got = recv(c->socket, NULL, 0, MSG_DONTWAIT | MSG_PEEK | MSG_TRUNC);
	if (got > 0 && (size_t)got <= LINK_MESSAGE_MAX) {
		text = mem_new((size_t)got);
		got = receive(c, text, (size_t)got);
	}
	c->closed |= got == 0 || (got < 0 && errno == ECONNRESET);
	if (got <= 0)
		return NULL;
	message = json_loadb(text, (size_t)got, 0, NULL);
	c->garbled = !json_is_object(message);
	if (c->garbled) {
		json_decref(message);
		return NULL;
	}
	error = json_object_get(message, "error");
	if (error)
		keep_error(c, error);
	else if (json_object_get(message, "result"))
		c->facts = json_incref(json_object_get(message, "result"));
	if (error || json_object_get(message, "result"))
		c->has_result = true;
	return message;
}

void
child_ask_to_stop(const struct child *c)
{
	kill(c->id.pid, SIGTERM);
}

void
child_kill(const struct child *c)
{
	kill(-c->id.pid, SIGKILL);
	kill(c->id.pid, SIGKILL);
}

/* It ended without a word. */
static int
describe_death(int status, struct err *err)
{
	CLEANUP(mem_freep) char *how = process_status_text(status);
	bool told = WIFSIGNALED(status) &&
		    (WTERMSIG(status) == SIGKILL ||
		     WTERMSIG(status) == SIGTERM || WTERMSIG(status) == SIGINT);

	if (told)
		return err_set(err, ERR_RETRY, "the step's process %s", how);
	return err_set(err, ERR_BUG,
		       "the step's process %s; this is a defect, please "
		       "report it with the vm's log",
		       how);
}

int
child_end(struct child *c, struct err *err)
{
	CLEANUP(mem_freep) struct err *said = NULL;
	struct err ignored;
	json_t *message;
	int status = 0;

	while ((message = child_receive(c)))
		json_decref(message);
	said = steal(&c->error);
	while (waitpid(c->id.pid, &status, 0) < 0 && errno == EINTR)
		;
	(void)process_kill_group(&c->id, 5000, &ignored);
	mem_closep(&c->socket);
	mem_closep(&c->pidfd);
	mem_closep(&c->held);
	c->socket = c->pidfd = c->held = -1;
	if (c->garbled)
		return err_set(err, ERR_BUG,
			       "the step's process said what is no message; "
			       "this is a defect, please report it with the "
			       "vm's log");
	if (!c->has_result && c->was_mute)
		return err_set(err, ERR_BUG,
			       "the step's process closed its socket and "
			       "lived on; this is a defect, please report it "
			       "with the vm's log");
	if (!c->has_result)
		return describe_death(status, err);
	if (!said)
		return 0;
	*err = *said;
	return -1;
}

/* Process 1 of a container is given everybody's orphans. */
static bool
is_not_ours(void *arg, pid_t pid)
{
	(void)arg;
	(void)pid;
	return getpid() == 1;
}

/* Ends the child's processes, whatever came of it. */
static int
call_end(struct child *c, struct err *err)
{
	struct err still_there;
	int rc = child_end(c, err);

	if (stray_end(is_not_ours, NULL, STRAYS_DEADLINE_MS, &still_there) ==
		0 ||
	    rc < 0)
		return rc;
	*err = still_there;
	return -1;
}

/* Unless it is on disk the child does not live to do what comes after it. */
static int
call_record(const struct child_opts *opts, struct child *c,
	    const json_t *record, struct err *err)
{
	if (opts->keep_record &&
	    opts->keep_record(opts->arg, record, err) < 0) {
		child_kill(c);
		return -1;
	}
	(void)child_confirm(c, err);
	return 0;
}

int
child_call(const struct child_opts *opts, child_fn *fn, void *arg,
	   int deadline_ms, json_t **ret_facts, struct err *err)
{
	int64_t until = clock_mono_ms() + deadline_ms;
	int signals = interrupt_hold(err), sig = 0, rc;
	struct err lost;
	bool kept = true;
	struct child c;
	json_t *message, *record;

	if (signals < 0)
		return -1;
	if (child_start(opts, fn, arg, &c, err) < 0) {
		interrupt_release(&signals);
		return -1;
	}
	if (child_go(&c, err) < 0)
		child_kill(&c);
	for (;;) {
		struct pollfd p[3] = {
		    {.fd = c.closed ? -1 : c.socket, .events = POLLIN},
		    {.fd = c.pidfd, .events = POLLIN},
		    {.fd = signals, .events = POLLIN}};
		int64_t left = until - clock_mono_ms();

		if (left <= 0 || (poll(p, 3, (int)left) < 0 && errno != EINTR))
			child_kill(&c);
		while ((message = child_receive(&c))) {
			record = json_object_get(message, "record");
			if (record && kept)
				kept =
				    call_record(opts, &c, record, &lost) == 0;
			if (json_object_get(message, "progress"))
				until = clock_mono_ms() + deadline_ms;
			json_decref(message);
		}
		if (p[2].revents)
			sig = interrupt_read(signals);
		if (c.garbled || sig)
			child_kill(&c);
		if (p[1].revents || left <= 0 || c.garbled || sig)
			break;
	}
	rc = call_end(&c, err);
	if (sig)
		interrupt_end(sig);
	interrupt_release(&signals);
	if (rc == 0 && kept) {
		*ret_facts = c.facts;
		return 0;
	}
	json_decref(c.facts);
	if (!kept)
		*err = lost;
	else if (clock_mono_ms() >= until)
		return err_set(err, ERR_RETRY, "no answer within %d s",
			       deadline_ms / 1000);
	return -1;
}
