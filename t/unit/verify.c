/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a target back: what is found, and what is not even compared. */
#include "stages/copy/copy.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
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
test_sealed(void)
{
	CLEANUP(mem_freep) char *source = path_of("sl.source");
	CLEANUP(mem_freep) char *ledger = path_of("sl.ledger");
	struct nbd_server server;
	struct ledger *l = open_ledger(ledger, MIB, LEDGER_SHA256, true);
	struct copy_opts opts;
	struct verify_result checked;

	disk_make(source, "a", MIB);
	server = disk_serve(source);
	opts = to_file(server.uri, source, l);
	(void)ledger_seal(l, &err);
	ok(fails(&opts, ERR_FAIL, "sealed"), "nothing is copied after a seal");
	ok(verify(&opts, &checked) < 0 && err.class == ERR_FAIL,
	   "nor compared");
	ledger_close(l);
	nbd_server_stop(&server);
}

static void
test_verify(void)
{
	CLEANUP(mem_freep) char *source = path_of("vf.source");
	CLEANUP(mem_freep) char *target = path_of("vf.target");
	CLEANUP(mem_freep) char *ledger = path_of("vf.ledger");
	CLEANUP(mem_freep) char *none = path_of("vf.none");
	struct nbd_server server;
	struct ledger *l = open_ledger(ledger, 5 * MIB, LEDGER_SHA256, true);
	struct verify_opts v;
	struct copy_opts opts;
	struct verify_result checked;
	int fd;

	disk_make(source, "a.c.e", 5 * MIB);
	disk_make_blank(target, 5 * MIB);
	server = disk_serve(source);
	opts = to_file(server.uri, target, l);
	ok(verify(&opts, &checked) < 0 && err.class == ERR_FAIL,
	   "nothing to verify before the copy");
	like(err.text, "not copied yet", "and says so");
	ok(copies(&opts), "copied");
	fd = open(target, O_RDWR | O_CLOEXEC);
	(void)fs_pwrite(fd, "x", 1, 3 * MIB + 77, &err);
	(void)fs_pwrite(fd, "x", 1, 5 * MIB - 1, &err);
	close(fd);
	ok(verify(&opts, &checked) < 0 && err.class == ERR_MISMATCH,
	   "two bytes bent behind our back");
	like(err.text, "2 of 5", "are counted");
	like(err.text, "block 3 at byte 3145728", "and found");
	is_int(checked.first_mismatch, 3, "also by number");
	v = (struct verify_opts){.target = opts.target,
				 .ledger = l,
				 .which = VERIFY_SINCE_GENERATION,
				 .generation = 2};
	ok(copy_verify(&v, &checked, &err) == 0 && checked.nchecked == 0,
	   "nothing is newer than generation 1");
	if (truncate(target, 4 * MIB) < 0)
		abort();
	ok(verify(&opts, &checked) < 0 && err.class == ERR_MISMATCH,
	   "a target cut short is a mismatch");
	ledger_close(l);
	l = open_ledger(none, 0, LEDGER_NO_DIGEST, true);
	opts.ledger = l;
	ok(verify(&opts, &checked) < 0 && err.class == ERR_FAIL,
	   "without digests there is no verification");
	like(err.text, "no proof was recorded", "and says so");
	ledger_close(l);
	nbd_server_stop(&server);
}

struct seen {
	uint64_t n, sum, last;
	bool in_order;
};

static void
see(void *arg, uint64_t block)
{
	struct seen *seen = arg;

	if (seen->n++ > 0 && block <= seen->last)
		seen->in_order = false;
	seen->last = block;
	seen->sum += block;
}

/* Several read at once; what they find is told of as if one had. */
static void
test_order(void)
{
	enum { N = 48 };
	CLEANUP(mem_freep) char *source = path_of("or.source");
	CLEANUP(mem_freep) char *target = path_of("or.target");
	CLEANUP(mem_freep) char *ledger = path_of("or.ledger");
	struct nbd_server server;
	struct ledger *l = open_ledger(ledger, N * MIB, LEDGER_XXH3, true);
	struct seen seen = {.in_order = true};
	struct verify_opts v = {.ledger = l, .differs = see, .arg = &seen};
	struct copy_opts opts;
	struct verify_result checked;
	int fd;

	disk_make(source, "abcdef", N * MIB);
	disk_make_blank(target, N * MIB);
	server = disk_serve(source);
	opts = to_file(server.uri, target, l);
	ok(copies(&opts), "48 blocks copied");
	fd = open(target, O_RDWR | O_CLOEXEC);
	for (uint64_t block = 1; block < N; block += 2)
		(void)fs_pwrite(fd, "!", 1, (off_t)(block * MIB + 5), &err);
	close(fd);
	v.target = opts.target;
	ok(copy_verify(&v, &checked, &err) < 0 && err.class == ERR_MISMATCH,
	   "every other one damaged");
	is_int(checked.nchecked, N, "all are checked, once");
	is_int(checked.nmismatched, N / 2, "half of them differ");
	is_int(checked.first_mismatch, 1, "the first by number, not by time");
	is_int(seen.n, N / 2, "each is told of");
	is_int(seen.sum, N / 2 * (N / 2), "and no other");
	ok(seen.in_order, "in ascending order");
	ledger_close(l);
	nbd_server_stop(&server);
}

/* To its second client the server's disk ends in the middle of a block. */
static void
test_fewer(void)
{
	enum { N = 16 };
	CLEANUP(mem_freep) char *disk = path_of("fe.disk");
	CLEANUP(mem_freep) char *target = path_of("fe.target");
	CLEANUP(mem_freep) char *ledger = path_of("fe.ledger");
	CLEANUP(mem_freep) char *seen = path_of("fe.seen");
	CLEANUP(mem_freep)
	char *open =
	    mem_printf("open=mkdir %s 2>/dev/null && echo 1 || echo 2", seen);
	CLEANUP(mem_freep)
	char *get = mem_printf("pread=dd if=%s skip=$4 count=$3 "
			       "iflag=count_bytes,skip_bytes status=none",
			       disk);
	const char *argv[] = {"nbdkit",
			      "-f",
			      "-U",
			      "@SOCKET@",
			      "eval",
			      open,
			      "get_size=echo $((16777216 - $2 / 2 * 524288))",
			      get,
			      "can_multi_conn=exit 0",
			      NULL};
	struct nbd_server server, fewer;
	struct ledger *l = open_ledger(ledger, N * MIB, LEDGER_XXH3, true);
	struct verify_opts v = {.ledger = l};
	struct copy_opts opts;
	struct verify_result checked;

	disk_make(disk, "abcdefghijklmnop", N * MIB);
	disk_make_blank(target, N * MIB);
	server = disk_serve(disk);
	opts = to_file(server.uri, target, l);
	ok(copies(&opts), "16 blocks copied");
	fewer = disk_serve_by(argv);
	v.target.uri = fewer.uri;
	for (int i = 0; i < 4; i++) {
		rmdir(seen);
		memset(&err, 0, sizeof(err));
		if (!ok(copy_verify(&v, &checked, &err) == 0,
			"read over the connection that shows all of it"))
			tap_diag("%s", err.text);
		is_int(checked.nchecked, N, "all of it");
	}
	ledger_close(l);
	nbd_server_stop(&server);
	nbd_server_stop(&fewer);
}

int
main(void)
{
	if (!process_in_path("nbdkit"))
		tap_skip_all("nbdkit is not installed");
	test_sealed();
	test_verify();
	test_order();
	test_fewer();
	return tap_done();
}
