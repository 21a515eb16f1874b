/* SPDX-License-Identifier: Apache-2.0 */
/* A session's daemon that was started by a client ends by itself some time
 * after the last domain, and nobody starts it again for us: once the cutover
 * has stopped the source, who is to say that it is off, or to start it? */
#include "stages/source/libvirt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"

#define LONG_ENOUGH_S 1800 /* for what nobody asks it behind the stop */
#define CMDLINE_MAX ((size_t)65536)

/* Who listens there; 0: nobody, or not to be told. */
static pid_t
listener(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	CLEANUP(mem_closep)
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct ucred who = {0};
	socklen_t len = sizeof(who);

	if (fd < 0 || strlen(path) >= sizeof(a.sun_path))
		return 0;
	memcpy(a.sun_path, path, strlen(path) + 1);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
		return 0;
	return who.pid;
}

static pid_t
daemon_of_session(void)
{
	static const char *const names[] = {"libvirt-sock", "virtqemud-sock"};
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	pid_t pid = 0;

	for (size_t i = 0; runtime && !pid && i < 2; i++) {
		CLEANUP(mem_freep)
		char *path = mem_printf("%s/libvirt/%s", runtime, names[i]);

		pid = listener(path);
	}
	return pid;
}

/* "--timeout=120", "--timeout" and "120", "-t120", "-t" and "120": so many
 * seconds; 0: it stays. */
static long
timeout_in(const char *args, size_t len)
{
	static const char *const forms[] = {"--timeout=", "--timeout", "-t"};

	for (size_t at = 0; at < len; at += strlen(args + at) + 1)
		for (size_t i = 0; i < 3; i++) {
			const char *arg = args + at, *value;
			size_t n = strlen(forms[i]);

			if (strncmp(arg, forms[i], n) != 0)
				continue;
			value = arg[n] ? arg + n : arg + n + 1;
			return value < args + len ? strtol(value, NULL, 10) : 0;
		}
	return 0;
}

void
libvirt_idle_concern(const struct virtual_host *h, struct findings *f)
{
	CLEANUP(buf_done) struct buf args = {0};
	CLEANUP(mem_freep) char *path = NULL;
	struct err ignored;
	long seconds;
	pid_t pid;

	if (!h->is_here || !strstr(h->ep->url, "/session"))
		return;
	pid = daemon_of_session();
	path = mem_printf("/proc/%d/cmdline", (int)pid);
	if (pid <= 0 || fs_read(path, CMDLINE_MAX, true, &args, &ignored) < 0 ||
	    !args.data)
		return;
	buf_adds(&args, "");
	seconds = timeout_in(args.data, args.len);
	if (seconds > 0 && seconds < LONG_ENOUGH_S)
		findings_add(f, FINDING_WARN, "SessionDaemonEnds",
			     "the session's daemon (process %d) ends by itself "
			     "%ld s after its last domain: once the source is "
			     "off nobody may be there to tell so, or to start "
			     "it again; start one that stays: 'libvirtd "
			     "--daemon' without --timeout",
			     (int)pid, seconds);
}
