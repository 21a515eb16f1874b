/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the NBD servers: their sockets' directories, whose they are and what
 * their paths may hold, and what is read from the disk itself. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "io/nbd.h"
#include "t/tap.h"

#define SIZE (1024 * 1024)

static char *image;
static struct err err;

static _Noreturn void
give_up(const char *why)
{
	tap_diag("%s", why);
	exit(1);
}

static int
serve(struct nbd_server *ret)
{
	struct nbd_serve_opts opts = {.filename = image, .format = "raw"};

	return nbd_serve_image(&opts, ret, &err);
}

static void
set_runtime_dir(const char *name)
{
	CLEANUP(mem_freep) char *dir = fs_path(tap_dir(), name);

	(void)mkdir(dir, 0700);
	setenv("XDG_RUNTIME_DIR", dir, 1);
}

static void
test_paths(void)
{
	static const char *const names[] = {"a b", "a&b=%41#?", "\303\244;+",
					    "plain"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct nbd_server s = {0};
		uint64_t size = 0;

		set_runtime_dir(names[i]);
		if (!ok(serve(&s) == 0 && nbd_size(s.uri, &size, &err) == 0,
			"a socket below '%s'", names[i]))
			tap_diag("%s", err.text);
		is_int((long long)size, SIZE, "the disk is there");
		nbd_server_stop(&s);
	}
}

/* Another's server, as in another PID namespace: nothing but the lock says
 * that it lives. */
static void
test_sweep(void)
{
	struct nbd_server s = {0};
	char path[200] = "";
	int told[2], status;
	pid_t other;

	set_runtime_dir("sweep");
	if (pipe(told) < 0)
		give_up("pipe");
	other = fork();
	if (other == 0) {
		if (serve(&s) < 0 ||
		    write(told[1], s.dir, strlen(s.dir) + 1) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	if (read(told[0], path, sizeof(path) - 1) <= 0)
		give_up("no server");
	is_int(serve(&s), 0, "a second server");
	ok(fs_exists(path), "the first one's directory stays while it lives");
	nbd_server_stop(&s);
	ok(!s.dir, "it is gone");
	kill(other, SIGKILL);
	(void)waitpid(other, &status, 0);
	ok(fs_exists(path), "what a killed one leaves");
	is_int(serve(&s), 0, "a third server");
	ok(!fs_exists(path), "is swept by the next");
	nbd_server_stop(&s);
}

/* How many descriptors a process has open for `path`, and of them past the
 * page cache. */
static void
count_open(pid_t pid, const char *path, int *ret_all, int *ret_direct)
{
	CLEANUP(mem_freep) char *fds = mem_printf("/proc/%d/fd", (int)pid);
	DIR *dir = opendir(fds);
	struct dirent *entry;

	*ret_all = *ret_direct = 0;
	while (dir && (entry = readdir(dir))) {
		CLEANUP(mem_freep) char *link = fs_path(fds, entry->d_name);
		CLEANUP(mem_freep)
		char *about =
		    mem_printf("/proc/%d/fdinfo/%s", (int)pid, entry->d_name);
		CLEANUP(buf_done) struct buf text = {0};
		char target[4096] = "";
		const char *flags;

		if (readlink(link, target, sizeof(target) - 1) < 0 ||
		    strcmp(target, path) != 0 ||
		    fs_read(about, 4096, false, &text, &err) < 0)
			continue;
		flags = strstr(text.data, "flags:");
		*ret_all += 1;
		*ret_direct += flags && strtoul(flags + 6, NULL, 8) & O_DIRECT;
	}
	if (dir)
		closedir(dir);
}

static bool
can_direct(const char *path)
{
	CLEANUP(mem_closep)
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);

	return fd >= 0;
}

/* An image on another: both, or what the image says would come from the disk
 * and what it leaves to the other from the page cache. */
static void
test_direct(void)
{
	CLEANUP(mem_freep) char *top = fs_path(tap_dir(), "top");
	const char *const make[] = {"qemu-img", "create", "-q",	 "-f",
				    "qcow2",	"-b",	  image, "-F",
				    "raw",	top,	  NULL};
	const struct nbd_layer below = {.filename = image, .format = "raw"};
	struct nbd_serve_opts opts = {.filename = top, .format = "qcow2"};

	if (!can_direct(image)) {
		tap_diag("no O_DIRECT here");
		return;
	}
	if (process_run(make, 60000, NULL, &err) < 0)
		give_up(err.text);
	for (int i = 0; i < 4; i++) {
		struct nbd_server s = {0};
		int all[2], direct[2];
		uint64_t size;

		opts.direct = i & 1;
		opts.below = &below;
		opts.nbelow = i < 2;
		/* it opens them after it began to answer */
		if (!ok(nbd_serve_image(&opts, &s, &err) == 0 &&
			    nbd_size(s.uri, &size, &err) == 0,
			"it is served"))
			tap_diag("%s", err.text);
		count_open(s.process.id.pid, top, &all[0], &direct[0]);
		count_open(s.process.id.pid, image, &all[1], &direct[1]);
		ok(all[0] > 0 && all[1] > 0, "both are open");
		ok(direct[0] == (opts.direct ? all[0] : 0) &&
		       direct[1] == (opts.direct ? all[1] : 0),
		   "%s, what it stands on being %s",
		   opts.direct ? "from the disk" : "through the page cache",
		   opts.nbelow ? "told" : "what it says itself");
		nbd_server_stop(&s);
	}
}

int
main(void)
{
	int fd;

	if (!process_in_path("qemu-nbd"))
		tap_skip_all("qemu-nbd is not installed");
	image = fs_path(tap_dir(), "disk");
	fd = open(image, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, SIZE) < 0)
		give_up("no image");
	close(fd);
	test_paths();
	test_sweep();
	test_direct();
	free(image);
	return tap_done();
}
