/* SPDX-License-Identifier: Apache-2.0 */
/* The copy engine and verification against real NBD servers. */
#include "stages/copy/copy.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "io/nbd.h"
#include "t/disk.h"
#include "t/tap.h"

#define MIB (1024 * 1024ull)

static struct err err;
static struct copy_progress stats;

static char *
path_of(const char *name)
{
	return fs_path(tap_dir(), name);
}

static struct nbd_server
serve_qcow2(const char *path)
{
	struct nbd_serve_opts opts = {
	    .filename = path, .format = "qcow2", .writable = true};
	struct nbd_server server = {0};

	if (nbd_serve_image(&opts, &server, &err) < 0) {
		tap_diag("%s", err.text);
		exit(1);
	}
	return server;
}

static struct ledger *
open_ledger(const char *path, uint64_t size, enum ledger_digest digest,
	    bool blank)
{
	struct ledger_identity id = {.vm = "vm",
				     .disk = "disk",
				     .target = "target",
				     .size_bytes = size,
				     .digest = digest,
				     .target_is_blank = blank};
	struct ledger *l = NULL;

	if (ledger_open(path, &id, &l, &err) < 0) {
		tap_diag("%s", err.text);
		exit(1);
	}
	return l;
}

static struct copy_opts
to_file(const char *uri, const char *file, struct ledger *l)
{
	struct copy_opts opts = {
	    .source_uri = uri,
	    .target = {.file = file, .reads_as_zero = true},
	    .ledger = l,
	    .generation = 1,
	};

	return opts;
}

static bool
copies(const struct copy_opts *opts)
{
	memset(&err, 0, sizeof(err));
	if (copy_run(opts, &stats, &err) == 0)
		return true;
	tap_diag("%s: %s", err_class_name(err.class), err.text);
	return false;
}

static bool
fails(const struct copy_opts *opts, enum err_class class, const char *text)
{
	memset(&err, 0, sizeof(err));
	return copy_run(opts, &stats, &err) < 0 && err.class == class &&
	       like(err.text, text, text);
}

static int
verify(const struct copy_opts *opts, struct verify_result *ret)
{
	struct verify_opts v = {.target = opts->target, .ledger = opts->ledger};

	memset(&err, 0, sizeof(err));
	return copy_verify(&v, ret, &err);
}

static void
round_trip(const char *map, uint64_t size, enum ledger_digest digest)
{
	CLEANUP(mem_freep) char *source = path_of("rt.source");
	CLEANUP(mem_freep) char *target = path_of("rt.target");
	CLEANUP(mem_freep) char *ledger = path_of("rt.ledger");
	struct nbd_server server;
	struct ledger *l;
	struct copy_opts opts;
	struct verify_result checked;

	disk_make(source, map, size);
	disk_make_blank(target, size);
	server = disk_serve(source);
	l = open_ledger(ledger, size, digest, true);
	opts = to_file(server.uri, target, l);
	ok(copies(&opts), "copies '%s', %llu bytes", map,
	   (unsigned long long)size);
	ok(disk_same(source, target, size), "target equals source");
	is_int(stats.done_bytes, size, "all is settled");
	is_int(ledger_count_durable(l), ledger_nblocks(l), "and durable");
	if (digest != LEDGER_NO_DIGEST) {
		ok(verify(&opts, &checked) == 0, "verifies");
		is_int(checked.nchecked, ledger_nblocks(l), "every block");
	}
	ok(copies(&opts), "copies again");
	is_int(stats.skipped_bytes, size, "which is nothing to do");
	is_int(stats.read_bytes, 0, "and reads nothing");
	ledger_close(l);
	nbd_server_stop(&server);
	unlink(ledger);
}

static void
test_round_trips(void)
{
	round_trip("a.b0c", 5 * MIB, LEDGER_SHA256);
	round_trip("a.b0c", 5 * MIB, LEDGER_XXH3);
	round_trip("a.b0c", 5 * MIB, LEDGER_NO_DIGEST);
	round_trip("ab", MIB + 12345, LEDGER_SHA256);
	round_trip("a.", MIB + 513, LEDGER_SHA256);
	round_trip("a", 1, LEDGER_SHA256);
	round_trip(".", 1, LEDGER_SHA256);
	round_trip("", 0, LEDGER_SHA256);
	round_trip("aabbccddeeff....gghh0000iijjkkllmmnnooppqqrrsstt", 48 * MIB,
		   LEDGER_SHA256);
}

static void
test_stats(void)
{
	CLEANUP(mem_freep) char *source = path_of("st.source");
	CLEANUP(mem_freep) char *target = path_of("st.target");
	struct nbd_server server;
	struct copy_opts opts;

	disk_make(source, "a..0b", 5 * MIB);
	disk_make_blank(target, 6 * MIB);
	server = disk_serve(source);
	opts = to_file(server.uri, target, NULL);
	ok(copies(&opts), "copies without a ledger to a larger target");
	ok(disk_same(source, target, 5 * MIB), "target equals source");
	is_int(stats.total_bytes, 5 * MIB, "total");
	is_int(stats.read_bytes, 3 * MIB, "holes are not read");
	is_int(stats.written_bytes, 2 * MIB, "zeroes are not written");
	is_int(stats.zero_bytes, 3 * MIB, "but counted");
	nbd_server_stop(&server);
}

/* A target full of junk: holes and zeroes must be made there. */
static void
test_dirty_target(void)
{
	CLEANUP(mem_freep) char *source = path_of("dt.source");
	CLEANUP(mem_freep) char *target = path_of("dt.target");
	CLEANUP(mem_freep) char *ledger = path_of("dt.ledger");
	struct nbd_server server;
	struct ledger *l;
	struct copy_opts opts;

	disk_make(source, "a..0b.", 5 * MIB + 700);
	disk_make(target, "zzzzzz", 5 * MIB + 700);
	server = disk_serve(source);
	opts = to_file(server.uri, target, NULL);
	opts.target.reads_as_zero = false;
	ok(copies(&opts), "copies over junk");
	ok(disk_same(source, target, 5 * MIB + 700), "target equals source");

	disk_make(target, "zzzzzz", 5 * MIB + 700);
	l = open_ledger(ledger, 5 * MIB + 700, LEDGER_SHA256, false);
	opts = to_file(server.uri, target, l);
	ok(copies(&opts), "a ledger made for a target that is not blank");
	ok(disk_same(source, target, 5 * MIB + 700),
	   "overrules the word of the caller");
	ledger_close(l);
	nbd_server_stop(&server);
}

/* Blocks that data of an older generation reached become zero. */
static void
test_generations(void)
{
	CLEANUP(mem_freep) char *source = path_of("gn.source");
	CLEANUP(mem_freep) char *target = path_of("gn.target");
	CLEANUP(mem_freep) char *ledger = path_of("gn.ledger");
	struct nbd_server server;
	struct ledger *l;
	struct copy_opts opts;
	struct verify_result checked;

	disk_make(source, "abc.d", 5 * MIB);
	disk_make_blank(target, 5 * MIB);
	server = disk_serve(source);
	l = open_ledger(ledger, 5 * MIB, LEDGER_SHA256, true);
	opts = to_file(server.uri, target, l);
	ok(copies(&opts) && ledger_set_applied(l, 1, &err) == 0,
	   "generation 1");
	nbd_server_stop(&server);
	disk_make(source, "a0.xe", 5 * MIB);
	server = disk_serve(source);
	opts.source_uri = server.uri;
	opts.generation = 2;
	ok(copies(&opts), "generation 2 over it");
	ok(disk_same(source, target, 5 * MIB), "target equals the new source");
	ok(verify(&opts, &checked) == 0, "and verifies");
	ledger_close(l);
	nbd_server_stop(&server);
}

static void
test_resume(void)
{
	CLEANUP(mem_freep) char *source = path_of("rs.source");
	CLEANUP(mem_freep) char *target = path_of("rs.target");
	CLEANUP(mem_freep) char *ledger = path_of("rs.ledger");
	struct nbd_server server;
	struct ledger *l;
	struct copy_opts opts;
	uint8_t digest[LEDGER_DIGEST_SIZE] = {0};

	disk_make(source, "abcdefgh", 8 * MIB);
	disk_make(target, "ab......", 8 * MIB);
	server = disk_serve(source);
	l = open_ledger(ledger, 8 * MIB, LEDGER_SHA256, true);
	(void)ledger_begin(l, 1, &err);
	ledger_durable(l, 0, 1, digest);
	ledger_durable(l, 1, 1, digest);
	ledger_pending(l, 2, 1);
	(void)ledger_sync(l, &err);
	opts = to_file(server.uri, target, l);
	ok(copies(&opts), "a copy that was cut short goes on");
	is_int(stats.skipped_bytes, 2 * MIB, "what is durable is skipped");
	is_int(stats.read_bytes, 6 * MIB, "the rest is read");
	ok(disk_same(source, target, 8 * MIB), "target equals source");
	ledger_close(l);
	nbd_server_stop(&server);
}

static void
test_sizes(void)
{
	CLEANUP(mem_freep) char *source = path_of("sz.source");
	CLEANUP(mem_freep) char *target = path_of("sz.target");
	CLEANUP(mem_freep) char *larger = path_of("sz.larger");
	CLEANUP(mem_freep) char *smaller = path_of("sz.smaller");
	struct nbd_server server;
	struct ledger *l;
	struct copy_opts opts;

	disk_make(source, "ab", 2 * MIB);
	disk_make_blank(target, MIB + 5);
	server = disk_serve(source);
	opts = to_file(server.uri, target, NULL);
	ok(fails(&opts, ERR_FAIL, "only 1048581 bytes, the source has 2097152"),
	   "a target that is too small");
	l = open_ledger(larger, 3 * MIB, LEDGER_SHA256, true);
	opts.ledger = l;
	ok(fails(&opts, ERR_FAIL, "shrunk"), "a source that shrank");
	ledger_close(l);
	l = open_ledger(smaller, MIB, LEDGER_SHA256, true);
	opts.ledger = l;
	ok(fails(&opts, ERR_FAIL, "grown"), "a source that grew");
	ledger_close(l);
	nbd_server_stop(&server);
}

static int
stop_at_once(void *arg, const struct copy_progress *progress)
{
	(void)progress;
	++*(int *)arg;
	return 1;
}

static void
test_cancel(void)
{
	CLEANUP(mem_freep) char *source = path_of("cc.source");
	CLEANUP(mem_freep) char *target = path_of("cc.target");
	CLEANUP(mem_freep) char *ledger = path_of("cc.ledger");
	const char *argv[] = {"nbdkit",
			      "-f",
			      "-U",
			      "@SOCKET@",
			      "--filter=delay",
			      "file",
			      source,
			      "delay-read=50ms",
			      NULL};
	struct nbd_server server;
	struct ledger *l;
	struct copy_opts opts;
	int called = 0;

	disk_make(source, "abcdefghijklmnopqrstuvwxyz", 26 * MIB);
	disk_make_blank(target, 26 * MIB);
	server = disk_serve_by(argv);
	l = open_ledger(ledger, 26 * MIB, LEDGER_SHA256, true);
	opts = to_file(server.uri, target, l);
	opts.progress = stop_at_once;
	opts.arg = &called;
	ok(fails(&opts, ERR_CANCELLED, "asked to stop"),
	   "a copy can be stopped");
	ok(called > 0, "by its progress");
	ok(ledger_count_durable(l) > 0 && ledger_count_durable(l) < 26,
	   "what was done is in the ledger");
	ledger_close(l);
	nbd_server_stop(&server);
}

static void
test_qcow2(void)
{
	CLEANUP(mem_freep) char *source = path_of("qc.source");
	CLEANUP(mem_freep) char *target = path_of("qc.target");
	CLEANUP(mem_freep) char *raw = path_of("qc.raw");
	CLEANUP(mem_freep) char *ledger = path_of("qc.ledger");
	const char *create[] = {"qemu-img", "create", "-q", "-f",
				"qcow2",    target,   "7M", NULL};
	const char *convert[] = {"qemu-img", "convert", "-f", "qcow2", "-O",
				 "raw",	     target,	raw,  NULL};
	struct buf out = {0};
	struct nbd_server from, to;
	struct ledger *l;
	struct copy_opts opts;
	struct verify_result checked;

	/* 100 bytes into the last MiB: the target must be padded */
	disk_make(source, "a..0bcd", 6 * MIB + 100);
	ok(process_run(create, 10000, &out, &err) == 0, "a qcow2 image");
	from = disk_serve(source);
	to = serve_qcow2(target);
	l = open_ledger(ledger, 6 * MIB + 100, LEDGER_SHA256, true);
	opts = to_file(from.uri, NULL, l);
	opts.target.uri = to.uri;
	ok(copies(&opts), "copies to qcow2 through qemu-nbd");
	ok(verify(&opts, &checked) == 0, "verifies through it");
	opts.generation = 2;
	ok(copies(&opts), "copies a second generation over it");
	nbd_server_stop(&to);
	ok(process_run(convert, 10000, &out, &err) == 0, "reads as raw");
	ok(disk_same(source, raw, 6 * MIB + 100),
	   "the target equals the source");
	buf_done(&out);
	ledger_close(l);
	nbd_server_stop(&from);
}

/* Servers that insist on their block sizes, and say so. */
static void
test_block_sizes(void)
{
	CLEANUP(mem_freep) char *source = path_of("bs.source");
	CLEANUP(mem_freep) char *target = path_of("bs.target");
	CLEANUP(mem_freep) char *ledger = path_of("bs.ledger");
	const char *argv[] = {"nbdkit",
			      "-f",
			      "-U",
			      "@SOCKET@",
			      "--filter=blocksize-policy",
			      "file",
			      source,
			      "blocksize-minimum=4096",
			      "blocksize-preferred=4096",
			      "blocksize-maximum=262144",
			      "blocksize-error-policy=error",
			      NULL};
	const uint64_t whole = 2 * MIB + 12288, size = whole - 100;
	struct nbd_server from, to;
	struct ledger *l;
	struct copy_opts opts;

	disk_make(source, "a.b", whole);
	disk_make(target, "zzz", whole);
	from = disk_serve_by(argv);
	argv[6] = target;
	to = disk_serve_by(argv);
	/* the disk ends within a block that the servers have whole */
	l = open_ledger(ledger, size, LEDGER_SHA256, false);
	opts = to_file(from.uri, NULL, l);
	opts.target.uri = to.uri;
	ok(copies(&opts), "requests are cut and padded as servers want");
	ok(disk_same(source, target, size), "target equals source");
	ledger_close(l);
	nbd_server_stop(&to);
	nbd_server_stop(&from);
}

int
main(void)
{
	if (!process_in_path("nbdkit") || !process_in_path("qemu-nbd"))
		tap_skip_all("nbdkit and qemu-nbd are not both installed");
	test_round_trips();
	test_stats();
	test_dirty_target();
	test_generations();
	test_resume();
	test_sizes();
	test_cancel();
	test_qcow2();
	test_block_sizes();
	return tap_done();
}
