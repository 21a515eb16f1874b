/* SPDX-License-Identifier: Apache-2.0 */
/* A library to preload: kills the process at a write to a file of that name.
 *
 *   FAULT_FILE=journal FAULT_AT=7 FAULT_WHEN=before|torn|after
 *   FAULT_FILE=journal FAULT_MATCH='"type":"result","step":"commit"' ...
 *
 * The write is the 7th, or the first that holds that text.  before: nothing of
 * it reaches the file; torn: half of it does; after: all of it, but nobody
 * hears of it. */
#include <dlfcn.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef ssize_t write_fn(int fd, const void *data, size_t len);

static int
is_the_file(int fd)
{
	const char *wanted = getenv("FAULT_FILE"), *name;
	char link[64], path[PATH_MAX];
	ssize_t len;

	if (!wanted)
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	if (len < 0)
		return 0;
	path[len] = '\0';
	name = strrchr(path, '/');
	return name && strcmp(name + 1, wanted) == 0;
}

static int
is_the_write(int fd, const void *data, size_t len)
{
	const char *at = getenv("FAULT_AT"), *match = getenv("FAULT_MATCH");
	static int nwrites;

	if ((!at && !match) || !is_the_file(fd))
		return 0;
	if (match)
		return memmem(data, len, match, strlen(match)) != NULL;
	return ++nwrites == strtol(at, NULL, 10);
}

ssize_t write(int fd, const void *data, size_t len);

ssize_t
write(int fd, const void *data, size_t len)
{
	const char *when = getenv("FAULT_WHEN");
	ssize_t put = (ssize_t)len;
	static write_fn *real;

	if (!real)
		real = (write_fn *)dlsym(RTLD_NEXT, "write");
	if (!when || !is_the_write(fd, data, len))
		return real(fd, data, len);
	if (strcmp(when, "torn") == 0)
		put = real(fd, data, len / 2);
	else if (strcmp(when, "after") == 0)
		put = real(fd, data, len);
	kill(getpid(), SIGKILL);
	return put;
}
