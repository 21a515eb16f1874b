/* SPDX-License-Identifier: Apache-2.0 */
/* The copy engine and servers that fail, once or for good. */
#include "stages/copy/copy.h"

#include <stdlib.h>
#include <string.h>
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

/* What fails now and then is asked for again; a block that cannot be read for
 * good ends the copy, but not what the others came to. */
static void
test_source_errors(void)
{
	CLEANUP(mem_freep) char *source = path_of("se.source");
	CLEANUP(mem_freep) char *target = path_of("se.target");
	CLEANUP(mem_freep) char *ledger = path_of("se.ledger");
	CLEANUP(mem_freep) char *good = path_of("se.good");
	const char *argv[] = {"nbdkit",
			      "-f",
			      "-U",
			      "@SOCKET@",
			      "eval",
			      "get_size=stat -L -c %s $FILE",
			      "pread=if [ $4 = 20971520 ] && [ ! -e $GOOD ]; "
			      "then echo EIO bad sector >&2; exit 1; fi; "
			      "dd if=$FILE skip=$4 count=$3 "
			      "iflag=count_bytes,skip_bytes status=none",
			      NULL};
	struct nbd_server server;
	struct ledger *l;
	struct copy_opts opts;
	uint64_t before;

	disk_make(source, "abcdefghijklmnopqrstuvwxyz", 26 * MIB);
	disk_make_blank(target, 26 * MIB);
	setenv("FILE", source, 1);
	setenv("GOOD", good, 1);
	server = disk_serve_by(argv);
	l = open_ledger(ledger, 26 * MIB, LEDGER_SHA256, true);
	opts = to_file(server.uri, target, l);
	ok(fails(&opts, ERR_RETRY,
		 "cannot read 1048576 bytes at byte 20971520 of the source"),
	   "a source that cannot be read may work later");
	like(err.text, "Input/output error", "and says why");
	before = ledger_count_durable(l) * MIB;
	ok(before > 0, "what could be read is in the ledger");
	is_int(stats.done_bytes, before, "as far as it was written");
	if (fs_write(good, "", 0, 0600, &err) < 0)
		abort();
	ok(copies(&opts), "then it goes on");
	is_int(stats.skipped_bytes, before, "with what is missing");
	ok(disk_same(source, target, 26 * MIB), "target equals source");
	ledger_close(l);
	nbd_server_stop(&server);
}

static void
test_passing_errors(void)
{
	CLEANUP(mem_freep) char *source = path_of("pe.source");
	CLEANUP(mem_freep) char *target = path_of("pe.target");
	const char *argv[] = {"nbdkit",
			      "-f",
			      "-U",
			      "@SOCKET@",
			      "--filter=error",
			      "file",
			      source,
			      "error-pread-rate=5%",
			      "error-pwrite-rate=5%",
			      "error-zero-rate=5%",
			      "error=EIO",
			      NULL};
	struct nbd_server from, to;
	struct copy_opts opts;

	disk_make(source, "ab.cd0ef", 8 * MIB);
	disk_make(target, "zzzzzzzz", 8 * MIB);
	from = disk_serve_by(argv);
	argv[6] = target;
	to = disk_serve_by(argv);
	opts = to_file(from.uri, NULL, NULL);
	opts.target.uri = to.uri;
	opts.target.reads_as_zero = false;
	ok(copies(&opts), "errors that pass are only a delay");
	ok(disk_same(source, target, 8 * MIB), "target equals source");
	nbd_server_stop(&to);
	nbd_server_stop(&from);
}

static void
test_no_flush(void)
{
	CLEANUP(mem_freep) char *source = path_of("nf.source");
	CLEANUP(mem_freep) char *target = path_of("nf.target");
	CLEANUP(mem_freep) char *ledger = path_of("nf.ledger");
	const char *argv[] = {"nbdkit",
			      "-f",
			      "-U",
			      "@SOCKET@",
			      "eval",
			      "get_size=stat -L -c %s $FILE",
			      "pread=dd if=$FILE skip=$4 count=$3 "
			      "iflag=count_bytes,skip_bytes",
			      "can_write=exit 0",
			      "can_flush=exit 3",
			      "pwrite=dd of=$FILE seek=$4 conv=notrunc "
			      "oflag=seek_bytes status=none",
			      NULL};
	struct nbd_server from, to;
	struct ledger *l;
	struct copy_opts opts;

	disk_make(source, "ab.c", 4 * MIB);
	disk_make(target, "zzzz", 4 * MIB);
	setenv("FILE", target, 1);
	from = disk_serve(source);
	to = disk_serve_by(argv);
	l = open_ledger(ledger, 4 * MIB, LEDGER_SHA256, false);
	opts = to_file(from.uri, NULL, l);
	opts.target.uri = to.uri;
	opts.target.reads_as_zero = false;
	ok(fails(&opts, ERR_FAIL, "offers no flush"),
	   "a target without flush gives no ledger");
	opts.ledger = NULL;
	ok(copies(&opts), "but can be copied to without one");
	ok(disk_same(source, target, 4 * MIB),
	   "zeroes are written where the server cannot zero");
	ledger_close(l);
	nbd_server_stop(&to);
	nbd_server_stop(&from);
}

/* A flush that fails once makes everything before it doubtful for good. */
static void
test_failed_flush(void)
{
	CLEANUP(mem_freep) char *source = path_of("ff.source");
	CLEANUP(mem_freep) char *ledger = path_of("ff.ledger");
	CLEANUP(mem_freep) char *mark = path_of("ff.mark");
	const char *argv[] = {"nbdkit",
			      "-f",
			      "-U",
			      "@SOCKET@",
			      "eval",
			      "get_size=echo 8M",
			      "pread=head -c $3 /dev/zero",
			      "can_write=exit 0",
			      "can_flush=exit 0",
			      "flush=[ -e $MARK ] && exit 0; touch $MARK; "
			      "echo EIO >&2; exit 1",
			      "pwrite=cat >/dev/null",
			      NULL};
	struct nbd_server from, to;
	struct ledger *l;
	struct copy_opts opts;

	setenv("MARK", mark, 1);
	disk_make(source, "abcdefgh", 8 * MIB);
	from = disk_serve(source);
	to = disk_serve_by(argv);
	l = open_ledger(ledger, 8 * MIB, LEDGER_SHA256, true);
	opts = to_file(from.uri, NULL, l);
	opts.target.uri = to.uri;
	opts.checkpoint_bytes = MIB;
	ok(fails(&opts, ERR_RETRY, "cannot flush the target"),
	   "a flush that fails ends the copy");
	is_int(ledger_count_durable(l), 0,
	       "and a later one that would succeed proves nothing");
	ok(copies(&opts), "the next run copies");
	is_int(stats.written_bytes, 8 * MIB, "all of it");
	ledger_close(l);
	nbd_server_stop(&to);
	nbd_server_stop(&from);
}

static void
test_full_target(void)
{
	CLEANUP(mem_freep) char *gone = NULL;
	CLEANUP(mem_freep) char *source = path_of("ft.source");
	const char *argv[] = {"nbdkit", "-f", "-U", "@SOCKET@",
			      "full",	"4M", NULL};
	struct nbd_server from, to;
	struct copy_opts opts;

	disk_make(source, "abcd", 4 * MIB);
	from = disk_serve(source);
	to = disk_serve_by(argv);
	opts = to_file(from.uri, NULL, NULL);
	opts.target.uri = to.uri;
	ok(fails(&opts, ERR_RETRY, "No space left"),
	   "a full target may work later");
	nbd_server_stop(&to);
	gone = mem_strdup(from.uri);
	nbd_server_stop(&from);
	opts.source_uri = gone;
	ok(fails(&opts, ERR_RETRY, "cannot connect to the source"),
	   "so may a source that is not there");
}

int
main(void)
{
	if (!process_in_path("nbdkit"))
		tap_skip_all("nbdkit is not installed");
	test_source_errors();
	test_passing_errors();
	test_no_flush();
	test_failed_flush();
	test_full_target();
	return tap_done();
}
