/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the NBD servers' socket directories: whose they are, and what their
 * paths may hold. */
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
	free(image);
	return tap_done();
}
