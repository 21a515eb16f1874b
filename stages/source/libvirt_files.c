/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of files beside a domain's disks, on the machine that has
 * them. */
#include "stages/source/libvirt.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"

/* --- sockets ------------------------------------------------------------ */

static bool
is_served_here(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool gone;

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	gone = fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 &&
	       (errno == ENOENT || errno == ECONNREFUSED);
	if (fd >= 0)
		close(fd);
	return !gone;
}

static const char is_served_there[] =
    "test -S \"$1\" && qemu-nbd --list --socket=\"$1\" >/dev/null 2>&1 "
    "&& echo yes; true\n";

int
libvirt_is_served(const struct virtual_host *h, const char *path, bool *ret,
		  struct err *err)
{
	CLEANUP(buf_done) struct buf said = {0};

	if (!h->at) {
		*ret = is_served_here(path);
		return 0;
	}
	if (libvirt_ask(h, is_served_there, path, NULL, NULL, &said, err) < 0)
		return -1;
	*ret = said.len > 0;
	return 0;
}

/* --- files -------------------------------------------------------------- */

int
libvirt_exists(const struct virtual_host *h, const char *path, bool *ret,
	       struct err *err)
{
	CLEANUP(buf_done) struct buf said = {0};

	if (!h->at) {
		*ret = fs_exists(path);
		return 0;
	}
	if (libvirt_ask(h, "test -e \"$1\" && echo yes; true", path, NULL, NULL,
			&said, err) < 0)
		return -1;
	*ret = said.len > 0;
	return 0;
}

void
libvirt_unlink(const struct virtual_host *h, const char *path)
{
	struct err ignored;

	if (!h->at)
		(void)unlink(path);
	else
		(void)libvirt_ask(h, "rm -f -- \"$1\"", path, NULL, NULL, NULL,
				  &ignored);
}

/* "POINT" and then `suffix`, of a point of the same state directory. */
static bool
is_our_file(const char *name, const char *like, const char *suffix)
{
	const char *dash = strrchr(like, '-');
	const char *dot = strchr(name, '.');

	return dash && dot && libvirt_is_of_same(like, name) &&
	       strspn(name + (dash - like) + 1, "0123456789") ==
		   (size_t)(dot - name) - (size_t)(dash - like) - 1 &&
	       strcmp(dot, suffix) == 0;
}

static void
remove_here(const char *dir, const char *like, const char *suffix)
{
	DIR *d = opendir(dir);
	const struct dirent *e;

	while (d && (e = readdir(d)))
		if (is_our_file(e->d_name, like, suffix))
			(void)unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
}

/* The same: of "$1/$2NUMBER$3" the number is told by what is not one. */
static const char remove_there[] =
    "for f in \"$1/$2\"*\"$3\"; do\n"
    "	n=${f#\"$1/$2\"}; n=${n%\"$3\"}\n"
    "	case $n in '' | *[!0-9]*) ;; *) rm -f -- \"$f\" ;; esac\n"
    "done; true\n";

void
libvirt_remove_files(const struct virtual_host *h, const char *dir,
		     const char *like, const char *suffix)
{
	const char *dash = strrchr(like, '-');
	CLEANUP(mem_freep) char *prefix = NULL;
	struct err ignored;

	if (!h->at) {
		remove_here(dir, like, suffix);
	} else if (dash) {
		prefix = mem_strndup(like, (size_t)(dash - like) + 1);
		(void)libvirt_ask(h, remove_there, dir, prefix, suffix, NULL,
				  &ignored);
	}
}
