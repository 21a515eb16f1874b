/* SPDX-License-Identifier: Apache-2.0 */
/* Signals that ask to stop. */
#include "io/interrupt.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/mem.h"

static const int known[] = {SIGTERM, SIGINT, SIGHUP};

#define NKNOWN (sizeof(known) / sizeof(known[0]))

/* Async-signal-safe, all of it. */
_Noreturn void
interrupt_end(int sig)
{
	static const char term[] = "palletjack: stopped by SIGTERM\n";
	static const char intr[] = "palletjack: stopped by SIGINT\n";
	static const char hup[] = "palletjack: stopped by SIGHUP\n";
	const char *text = sig == SIGTERM ? term : sig == SIGINT ? intr : hup;

	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		_exit(128 + sig);
	_exit(128 + sig);
}

static void
come(int sig)
{
	interrupt_end(sig);
}

static bool
is_ignored(int sig)
{
	struct sigaction action;

	return sigaction(sig, NULL, &action) == 0 &&
	       action.sa_handler == SIG_IGN;
}

static void
set_of(sigset_t *ret)
{
	sigemptyset(ret);
	/* a blocked one would be kept for us, ignored or not */
	for (size_t i = 0; i < NKNOWN; i++)
		if (!is_ignored(known[i]))
			sigaddset(ret, known[i]);
}

void
interrupt_begin(void)
{
	struct sigaction action = {.sa_handler = come};
	sigset_t set;

	for (size_t i = 0; i < NKNOWN; i++)
		if (!is_ignored(known[i]))
			sigaction(known[i], &action, NULL);
	/* whoever started us may have blocked them */
	set_of(&set);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

int
interrupt_hold(struct err *err)
{
	sigset_t set;
	int fd;

	set_of(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd >= 0)
		return fd;
	err_sys(err, "cannot watch signals");
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	return -1;
}

int
interrupt_read(int fd)
{
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	return (int)info.ssi_signo;
}

void
interrupt_release(int *fd)
{
	sigset_t set;

	if (*fd < 0)
		return;
	mem_closep(fd);
	*fd = -1;
	set_of(&set);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}
