/* SPDX-License-Identifier: Apache-2.0 */
/* Servers that say nothing any more: every wait of the copy engine ends. */
#include "stages/copy/copy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "stages/copy/extents.h"
#include "t/disk.h"
#include "t/tap.h"

#define MIB (1024 * 1024ull)
#define SIZE (12 * MIB)

static struct err err;
static struct copy_progress stats;
static char *source, *target, *ledger_path, *hang;

/* A server for FILE that answers no such request (get_size, pread, ...) at
 * byte AT and beyond while HANG is there. */
static struct nbd_server
serve_hanging(const char *file, const char *request, uint64_t at)
{
	CLEANUP(mem_freep)
	char *test = mem_printf("while [ -e %s ] && "
				"[ \"${4:-0}\" -ge %llu ]; "
				"do sleep 0.05; done; ",
				hang, (unsigned long long)at);
	CLEANUP(mem_freep)
	char *size = mem_printf("get_size=stat -L -c %%s %s", file);
	CLEANUP(mem_freep)
	char *get = mem_printf("pread=%sdd if=%s skip=$4 count=$3 "
			       "iflag=count_bytes,skip_bytes status=none",
			       strcmp(request, "pread") ? "" : test, file);
	CLEANUP(mem_freep)
	char *put = mem_printf("pwrite=%sdd of=%s seek=$4 conv=notrunc "
			       "oflag=seek_bytes status=none",
			       strcmp(request, "pwrite") ? "" : test, file);
	CLEANUP(mem_freep)
	char *flush =
	    mem_printf("flush=%sexit 0", strcmp(request, "flush") ? "" : test);
	const char *argv[] = {"nbdkit",
			      "-f",
			      "-U",
			      "@SOCKET@",
			      "eval",
			      size,
			      get,
			      put,
			      flush,
			      "can_write=exit 0",
			      "can_flush=exit 0",
			      NULL};

	return disk_serve_by(argv);
}

static struct ledger *
open_ledger(void)
{
	struct ledger_identity id = {.vm = "vm",
				     .disk = "disk",
				     .target = "target",
				     .size_bytes = SIZE,
				     .digest = LEDGER_XXH3,
				     .target_is_blank = true};
	struct ledger *l = NULL;

	unlink(ledger_path);
	if (ledger_open(ledger_path, &id, &l, &err) < 0) {
		tap_diag("%s", err.text);
		exit(1);
	}
	return l;
}

static bool
fails(const struct copy_opts *opts, enum err_class class, const char *text)
{
	memset(&err, 0, sizeof(err));
	return copy_run(opts, &stats, &err) < 0 &&
	       is_str(err_class_name(err.class), err_class_name(class),
		      "the class") &&
	       like(err.text, text, text);
}

static void
set_hanging(bool on)
{
	if (on ? fs_write(hang, "", 0, 0600, &err) < 0 : unlink(hang) < 0)
		abort();
}

static void
test_source(void)
{
	struct nbd_server server = serve_hanging(source, "pread", 5 * MIB);
	struct ledger *l = open_ledger();
	struct copy_opts opts = {
	    .source_uri = server.uri,
	    .target = {.file = target, .reads_as_zero = true},
	    .ledger = l,
	    .generation = 1,
	    .wait_ms = 1000,
	};

	disk_make_blank(target, SIZE);
	set_hanging(true);
	ok(fails(&opts, ERR_RETRY,
		 "does not answer: waited 1.0 s for it to read at byte "),
	   "a source that falls silent");
	like(err.text, server.uri, "by its name");
	ok(ledger_count_durable(l) > 0, "what came before is durable");
	set_hanging(false);
	ok(copy_run(&opts, &stats, &err) == 0, "once it speaks it goes on");
	ok(stats.skipped_bytes > 0, "from where it was");
	ok(disk_same(source, target, SIZE), "target equals source");
	ledger_close(l);
	nbd_server_stop(&server);
}

static void
test_target(const char *request)
{
	struct nbd_server from = disk_serve(source);
	struct nbd_server to = serve_hanging(target, request, 0);
	struct ledger *l = open_ledger();
	struct copy_opts opts = {
	    .source_uri = from.uri,
	    .target = {.uri = to.uri, .reads_as_zero = true},
	    .ledger = l,
	    .generation = 1,
	    .wait_ms = 1000,
	};

	disk_make_blank(target, SIZE);
	set_hanging(true);
	ok(fails(&opts, ERR_RETRY, "does not answer: waited 1.0 s"),
	   "a target that does not answer to a %s", request);
	like(err.text, to.uri, "by its name");
	is_int(ledger_count_durable(l), 0, "nothing is claimed");
	set_hanging(false);
	ok(copy_run(&opts, &stats, &err) == 0 &&
	       disk_same(source, target, SIZE),
	   "then all is copied");
	ledger_close(l);
	nbd_server_stop(&to);
	nbd_server_stop(&from);
}

/* A kernel that takes the connection for a program that never does. */
static void
test_connect(void)
{
	CLEANUP(mem_freep) char *path = fs_path(tap_dir(), "silent");
	CLEANUP(mem_freep)
	char *uri = mem_printf("nbd+unix:///?socket=%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct copy_opts opts = {
	    .source_uri = uri, .target.file = target, .wait_ms = 700};

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(fd, 5) < 0)
		abort();
	ok(fails(&opts, ERR_RETRY, "waited 700 ms for its answer"),
	   "a server that never says hello");
	like(err.text, uri, "by its name");
	close(fd);
}

static int
stop_when_begun(void *arg, const struct copy_progress *progress)
{
	(void)arg;
	return progress->read_bytes > 0;
}

/* Asked to stop, nobody waits for a silent source, and for a silent target no
 * longer than the grace. */
static void
test_stop(const char *request)
{
	bool is_source = strcmp(request, "pread") == 0;
	struct nbd_server from = is_source
				     ? serve_hanging(source, request, 5 * MIB)
				     : disk_serve(source);
	struct nbd_server to =
	    is_source ? disk_serve(target) : serve_hanging(target, request, 0);
	struct ledger *l = open_ledger();
	struct copy_opts opts = {
	    .source_uri = from.uri,
	    .target = {.uri = to.uri, .reads_as_zero = true},
	    .ledger = l,
	    .generation = 1,
	    .grace_ms = 1000,
	    .progress = stop_when_begun,
	};

	disk_make_blank(target, SIZE);
	set_hanging(true);
	ok(fails(&opts, ERR_CANCELLED, "asked to stop"),
	   "asked to stop while a %s is not answered", request);
	ok((ledger_count_durable(l) > 0) == is_source,
	   "what the target has flushed is durable, and nothing else");
	set_hanging(false);
	opts.progress = NULL;
	ok(copy_run(&opts, &stats, &err) == 0 &&
	       disk_same(source, target, SIZE),
	   "it goes on");
	ledger_close(l);
	nbd_server_stop(&to);
	nbd_server_stop(&from);
}

/* More than the ones it says it takes are left waiting. */
static void
test_one_client(void)
{
	const char *argv[] = {
	    "qemu-nbd", "--persistent", "--socket", "@SOCKET@", "--shared",
	    "2",	"-f",		"raw",	    target,	NULL};
	struct nbd_server from = disk_serve(source);
	struct nbd_server to;
	struct copy_opts opts = {.source_uri = from.uri};

	disk_make_blank(target, SIZE);
	to = disk_serve_by(argv);
	opts.target.uri = to.uri;
	memset(&err, 0, sizeof(err));
	ok(copy_run(&opts, &stats, &err) == 0 &&
	       disk_same(source, target, SIZE),
	   "a server that takes fewer clients than we would like");
	tap_diag("%s", err.text);
	nbd_server_stop(&to);
	nbd_server_stop(&from);
}

/* What is dirty is a question of its own; here what is a hole stands for it. */
static void
test_extents(void)
{
	CLEANUP(mem_freep)
	char *size = mem_printf("get_size=stat -L -c %%s %s", source);
	CLEANUP(mem_freep)
	char *extents = mem_printf("extents=while [ -e %s ]; do sleep 0.05; "
				   "done; echo 0 %llu; echo 1048576 1048576 "
				   "hole; echo 2097152 %llu",
				   hang, MIB, SIZE - 2 * MIB);
	const char *argv[] = {"nbdkit",
			      "-f",
			      "-U",
			      "@SOCKET@",
			      "eval",
			      size,
			      "can_extents=exit 0",
			      extents,
			      "pread=exit 1",
			      NULL};
	struct nbd_server server = disk_serve_by(argv);
	struct extents x = {0};
	int64_t began_ms = clock_mono_ms();

	set_hanging(true);
	memset(&err, 0, sizeof(err));
	ok(extents_of_context(server.uri, "base:allocation", 1000, &x, &err) <
		   0 &&
	       err.class == ERR_RETRY && extents_bytes(&x) == 0,
	   "a server that does not say what is dirty");
	like(err.text, "waited 1.0 s for it to say what is dirty at byte 0",
	     "is not waited for without end");
	ok(clock_mono_ms() - began_ms >= 1000, "but as long as was said");
	set_hanging(false);
	if (!ok(extents_of_context(server.uri, "base:allocation", 0, &x,
				   &err) == 0 &&
		    x.exact.n == 1 && x.exact.v[0].offset == MIB &&
		    extents_bytes(&x) == MIB,
		"once it speaks it is heard"))
		tap_diag("%s; %zu extents", err.text, x.exact.n);
	extents_done(&x);
	nbd_server_stop(&server);
}

int
main(void)
{
	if (!process_in_path("nbdkit") || !process_in_path("qemu-nbd"))
		tap_skip_all("nbdkit and qemu-nbd are not both installed");
	source = fs_path(tap_dir(), "source");
	target = fs_path(tap_dir(), "target");
	ledger_path = fs_path(tap_dir(), "ledger");
	hang = fs_path(tap_dir(), "hang");
	disk_make(source, "abcd.fghijkl", SIZE);
	disk_make_blank(target, SIZE);
	test_connect();
	test_source();
	test_target("pwrite");
	test_target("flush");
	test_stop("pread");
	test_stop("pwrite");
	test_stop("flush");
	test_one_client();
	test_extents();
	free(source);
	free(target);
	free(ledger_path);
	free(hang);
	return tap_done();
}
