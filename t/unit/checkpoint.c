/* SPDX-License-Identifier: Apache-2.0 */
/* How much is done again: a checkpoint is begun when its policy says so, and
 * none is ever so far behind that a kill costs more than two of them. */
#include "stages/copy/copy.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "t/disk.h"
#include "t/tap.h"

#define MIB (1024 * 1024ull)
#define NBLOCKS 96
#define SIZE (NBLOCKS * MIB)
#define BYTES (4 * MIB)

static struct err err;
static char *source, *ledger_path, *hang, *writes, *flushes;

/* Forgets what it is told, but not how often; no flush ends while HANG is
 * there. */
static struct nbd_server
serve_target(void)
{
	CLEANUP(mem_freep)
	char *put = mem_printf("pwrite=cat >/dev/null; echo >>%s", writes);
	CLEANUP(mem_freep)
	char *flush = mem_printf("flush=echo >>%s; while [ -e %s ]; do "
				 "sleep 0.05; done",
				 flushes, hang);
	CLEANUP(mem_freep)
	char *size = mem_printf("get_size=echo %llu", SIZE);
	const char *argv[] = {"nbdkit",
			      "-f",
			      "-U",
			      "@SOCKET@",
			      "eval",
			      size,
			      put,
			      flush,
			      "pread=head -c $3 /dev/zero",
			      "can_write=exit 0",
			      "can_flush=exit 0",
			      "can_multi_conn=exit 0",
			      "thread_model=echo parallel",
			      "can_zero=exit 3",
			      NULL};

	return disk_serve_by(argv);
}

/* Each was a line. */
static uint64_t
count(const char *path)
{
	long size = 0;
	FILE *f = fopen(path, "r");

	if (f && fseek(f, 0, SEEK_END) == 0)
		size = ftell(f);
	if (f)
		fclose(f);
	return size > 0 ? (uint64_t)size : 0;
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

	if (ledger_open(ledger_path, &id, &l, &err) < 0) {
		tap_diag("%s", err.text);
		exit(1);
	}
	return l;
}

static struct ledger *
begin(void)
{
	unlink(ledger_path);
	unlink(writes);
	unlink(flushes);
	return open_ledger();
}

static struct copy_opts
to(const struct nbd_server *target, struct ledger *l)
{
	return (struct copy_opts){
	    .source_file = source,
	    .target = {.uri = target->uri, .reads_as_zero = true},
	    .ledger = l,
	    .generation = 1,
	    .checkpoint_ms = 3600000,
	};
}

static bool
copies(const struct copy_opts *opts)
{
	struct copy_progress ignored;

	if (copy_run(opts, &ignored, &err) == 0)
		return true;
	tap_diag("%s", err.text);
	return false;
}

static void
test_begun(void)
{
	struct nbd_server target = serve_target();
	struct ledger *l = begin();
	struct copy_opts opts = to(&target, l);

	ok(copies(&opts), "within the policy's time and bytes");
	is_int((long long)count(flushes), 1, "one flush is enough");
	ledger_close(l);
	l = begin();
	opts.ledger = l;
	opts.checkpoint_bytes = BYTES;
	ok(copies(&opts), "with a checkpoint every so many bytes");
	ok(count(flushes) >= SIZE / (2 * BYTES) &&
	       count(flushes) <= SIZE / BYTES + 1,
	   "there are as many: %d", (int)count(flushes));
	ledger_close(l);
	l = begin();
	opts.ledger = l;
	opts.checkpoint_bytes = 0;
	opts.checkpoint_ms = 1;
	ok(copies(&opts), "with a checkpoint every millisecond");
	ok(count(flushes) > 2, "it has several: %d", (int)count(flushes));
	ledger_close(l);
	nbd_server_stop(&target);
}

/* Lets the flush end once nothing has been written for a while. */
static int
end_flush_at_rest(void *arg, const struct copy_progress *progress)
{
	static uint64_t before;
	static int nsame;
	uint64_t *most = arg;

	nsame = progress->written_bytes == before ? nsame + 1 : 0;
	before = progress->written_bytes;
	if (before > 0 && nsame == 6 && *most == 0) {
		*most = before;
		unlink(hang);
	}
	return 0;
}

static void
test_slow_flush(void)
{
	struct nbd_server target = serve_target();
	struct ledger *l = begin();
	struct copy_opts opts = to(&target, l);
	uint64_t most = 0;

	if (fs_write(hang, "", 0, 0600, &err) < 0)
		abort();
	opts.checkpoint_bytes = BYTES;
	opts.progress = end_flush_at_rest;
	opts.arg = &most;
	ok(copies(&opts), "a flush that takes its time");
	if (!ok(most > BYTES && most <= 2 * BYTES,
		"what is written meanwhile is one more checkpoint's work: %d",
		(int)(most / MIB)))
		tap_diag("%llu bytes", (unsigned long long)most);
	is_int((long long)ledger_count_durable(l), NBLOCKS, "then it goes on");
	ledger_close(l);
	nbd_server_stop(&target);
}

/* Killed at some write. */
static void
test_kill(uint64_t at)
{
	struct nbd_server target = serve_target();
	struct ledger *l = begin();
	struct copy_opts opts = to(&target, l);
	uint64_t done;
	pid_t pid;

	opts.checkpoint_bytes = BYTES;
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(copies(&opts) ? 0 : 1);
	while (count(writes) < at && waitpid(pid, NULL, WNOHANG) == 0)
		usleep(1000);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ok(count(writes) >= at, "it came as far as write %d", (int)at);
	ledger_close(l);
	nbd_server_stop(&target);
	l = open_ledger();
	done = ledger_count_durable(l) * MIB;
	if (!ok(count(writes) * MIB <= done + 2 * BYTES,
		"killed at a write: at most two checkpoints' work is lost"))
		tap_diag("%llu writes, %llu bytes durable",
			 (unsigned long long)count(writes),
			 (unsigned long long)done);
	ledger_close(l);
}

int
main(void)
{
	char map[NBLOCKS + 1] = "";

	if (!process_in_path("nbdkit"))
		tap_skip_all("nbdkit is not installed");
	source = fs_path(tap_dir(), "source");
	ledger_path = fs_path(tap_dir(), "ledger");
	hang = fs_path(tap_dir(), "hang");
	writes = fs_path(tap_dir(), "writes");
	flushes = fs_path(tap_dir(), "flushes");
	memset(map, 'a', NBLOCKS);
	disk_make(source, map, SIZE);
	test_begun();
	test_slow_flush();
	test_kill(NBLOCKS / 2);
	test_kill(NBLOCKS - 10);
	free(source);
	free(ledger_path);
	free(hang);
	free(writes);
	free(flushes);
	return tap_done();
}
