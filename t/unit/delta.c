/* SPDX-License-Identifier: Apache-2.0 */
/* Copies brought up to date: by lists of changes and by comparing.  What is
 * on the target in the end is compared byte by byte, its ledger by reading all
 * of it back. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "stages/copy/copy.h"
#include "stages/copy/extents.h"
#include "t/disk.h"
#include "t/tap.h"

#define MIB (1024 * 1024ull)
#define KIB 1024ull

static struct err err;
static struct extents changed;
static struct copy_progress stats;
static char *source, *target, *book;

static char *
path_of(const char *name)
{
	return fs_path(tap_dir(), name);
}

static const struct extents *
listed(const struct copy_extent *v, size_t n)
{
	extents_done(&changed);
	for (size_t i = 0; i < n; i++)
		extents_add(&changed, v[i].offset, v[i].length);
	extents_tidy(&changed);
	return &changed;
}

static struct ledger *
open_ledger(uint64_t size, enum ledger_digest digest)
{
	struct ledger_identity id = {.vm = "vm",
				     .disk = "disk",
				     .target = "target",
				     .size_bytes = size,
				     .digest = digest,
				     .target_is_blank = true};
	struct ledger *l = NULL;

	if (ledger_open(book, &id, &l, &err) < 0) {
		tap_diag("%s", err.text);
		exit(1);
	}
	return l;
}

static bool
copies(const struct copy_opts *opts)
{
	memset(&err, 0, sizeof(err));
	if (copy_run(opts, &stats, &err) < 0) {
		tap_diag("%s: %s", err_class_name(err.class), err.text);
		return false;
	}
	return !opts->ledger ||
	       ledger_set_applied(opts->ledger, opts->generation, &err) == 0;
}

static bool
verifies(const struct copy_target *t, const struct ledger *l)
{
	struct verify_opts v = {.target = *t, .ledger = l};
	struct verify_result checked;

	memset(&err, 0, sizeof(err));
	if (copy_verify(&v, &checked, &err) == 0)
		return true;
	tap_diag("%s", err.text);
	return false;
}

static void
write_at(const char *path, const void *data, size_t len, uint64_t at)
{
	CLEANUP(mem_closep) int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fs_pwrite(fd, data, len, (off_t)at, &err) < 0)
		abort();
}

static void
punch(const char *path, uint64_t at, uint64_t len)
{
	CLEANUP(mem_closep) int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at,
		      (off_t)len) < 0)
		abort();
}

/* A first copy of the map, and what brings it up to date. */
static struct copy_opts
begin(const char *map, uint64_t size, enum ledger_digest digest)
{
	struct copy_opts opts = {
	    .source_file = source,
	    .target = {.file = target, .reads_as_zero = true},
	    .generation = 1,
	};

	(void)unlink(book);
	disk_make(source, map, size);
	disk_make_blank(target, size);
	opts.ledger = open_ledger(size, digest);
	if (!copies(&opts))
		exit(1);
	opts.generation = 2;
	return opts;
}

static uint64_t
written_to(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		abort();
	return (uint64_t)st.st_mtim.tv_sec * 1000000000 +
	       (uint64_t)st.st_mtim.tv_nsec;
}

static void
test_nothing_changed(void)
{
	struct copy_opts opts =
	    begin("ab.c0.de", 7 * MIB + 700 * KIB, LEDGER_SHA256);
	uint64_t before = written_to(target);
	char root[65], again[65];

	(void)ledger_root(opts.ledger, root, &err);
	opts.pass = COPY_CHANGED;
	ok(copies(&opts), "an empty list");
	is_int(stats.read_bytes, 0, "costs no read");
	is_int(stats.reread_bytes, 0, "not at the target, either");
	is_int(stats.written_bytes + stats.zeroed_bytes, 0, "and no write");
	opts.pass = COPY_COMPARE;
	opts.generation = 3;
	ok(copies(&opts), "without a list");
	is_int(stats.read_bytes, (long long)(4 * MIB + 700 * KIB + MIB),
	       "one read of what is no hole");
	is_int(stats.written_bytes + stats.zeroed_bytes, 0, "and no write");
	ok(written_to(target) == before, "nobody touched the target");
	(void)ledger_root(opts.ledger, again, &err);
	is_str(again, root, "the proof is what it was");
	is_int((long long)ledger_applied(opts.ledger), 3, "of generation 3");
	ok(copies(&opts) && stats.read_bytes == 0,
	   "the same pass again has nothing to do");
	ledger_close(opts.ledger);
}

/* Of what is dirty only so much is read. */
static void
test_patching(enum ledger_digest digest)
{
	struct copy_opts opts = begin("abcdef", 6 * MIB, digest);
	struct copy_extent list[] = {
	    {MIB + 128 * KIB, 64 * KIB},      /* changed */
	    {3 * MIB, 64 * KIB},	      /* said to be, and is not */
	    {4 * MIB, 576 * KIB},	      /* more than half */
	    {5 * MIB + 512 * KIB, 512 * KIB}, /* zero now */
	};
	bool proves = digest != LEDGER_NO_DIGEST;

	write_at(source, "changed", 7, MIB + 130 * KIB);
	write_at(source, "changed", 7, 4 * MIB + 500 * KIB);
	punch(source, 5 * MIB + 512 * KIB, 512 * KIB);
	opts.pass = COPY_CHANGED;
	opts.changed = listed(list, 4);
	ok(copies(&opts), "patched");
	ok(disk_same(source, target, 6 * MIB), "the disks are the same");
	is_int(stats.read_bytes,
	       (long long)(proves ? 64 * KIB + 64 * KIB + MIB + 512 * KIB
				  : 4 * MIB),
	       "so much was read at the source");
	is_int(stats.reread_bytes, (long long)(proves ? 3 * MIB : 0),
	       "and at the target");
	if (proves) {
		is_int(stats.same_bytes, MIB, "one block was as it had been");
		is_int(stats.written_bytes, (long long)(64 * KIB + MIB),
		       "only what changed is written");
		is_int(stats.zeroed_bytes, 512 * KIB,
		       "what is zero now is zeroed");
		ok(verifies(&opts.target, opts.ledger), "and proved");
	}
	is_int(stats.mended_bytes, 0, "nothing was damaged");
	ledger_close(opts.ledger);
}

static void
test_damaged_target(void)
{
	struct copy_opts opts = begin("abc", 3 * MIB, LEDGER_SHA256);
	struct copy_extent list = {MIB, 64 * KIB};

	write_at(target, "bent", 4, 2 * MIB - 5);
	opts.pass = COPY_CHANGED;
	opts.changed = listed(&list, 1);
	ok(copies(&opts), "a block that was bent at the target is dirty");
	is_int(stats.mended_bytes, MIB, "it is not taken for what it was");
	is_int(stats.written_bytes, MIB,
	       "but copied whole, though it is as "
	       "it had been at the source");
	ok(disk_same(source, target, 3 * MIB), "the disks are the same");
	ledger_close(opts.ledger);
}

static void
test_interrupted_first_copy(void)
{
	struct copy_opts opts = begin("abcdefgh", 8 * MIB, LEDGER_SHA256);
	struct copy_extent list = {2 * MIB, 64 * KIB};

	/* two blocks an earlier pass gave up: one written, one not yet */
	ledger_pending(opts.ledger, 5, 2);
	ledger_pending(opts.ledger, 6, 2);
	(void)ledger_sync(opts.ledger, &err);
	write_at(target, "half", 4, 5 * MIB + 99);
	write_at(source, "new", 3, 2 * MIB + 7);
	opts.generation = 3;
	opts.pass = COPY_CHANGED;
	opts.changed = listed(&list, 1);
	ok(copies(&opts), "pending blocks are copied, listed or not");
	ok(disk_same(source, target, 8 * MIB), "the disks are the same");
	is_int(stats.read_bytes, (long long)(2 * MIB + 64 * KIB),
	       "and nothing else");
	ledger_close(opts.ledger);
}

static void
test_refusals(void)
{
	struct copy_opts opts = begin("ab", 2 * MIB, LEDGER_NO_DIGEST);

	opts.pass = COPY_COMPARE;
	ok(copy_run(&opts, &stats, &err) < 0 && err.class == ERR_FAIL,
	   "nothing to compare with");
	like(err.text, "no proof was recorded", "and says so");
	ledger_close(opts.ledger);
}

/* Chance. */

static unsigned seed;

static unsigned
chance(unsigned n)
{
	return n ? (unsigned)rand_r(&seed) % n : 0;
}

/* Changes something and says where, sometimes of more than it changed. */
static void
change_something(struct extents *c, uint64_t size)
{
	static uint8_t noise[256 * 1024];
	unsigned len = 1 + chance(chance(3) ? 5000 : sizeof(noise));
	uint64_t at = (uint64_t)chance((unsigned)(size / KIB)) * KIB;

	if (len > size - at)
		len = (unsigned)(size - at);
	switch (chance(5)) {
	case 0:
		punch(source, at, len);
		break;
	case 1:
		break;
	default:
		for (unsigned i = 0; i < len; i++)
			noise[i] = (uint8_t)chance(256);
		write_at(source, noise, len, at);
	}
	extents_add(c, at, len);
}

/* The pass in a process that is killed somewhere on its way; true if it was
 * done before. */
static bool
killed_on_its_way(struct copy_opts *opts)
{
	struct ledger_identity id = *ledger_identity(opts->ledger);
	bool done;
	pid_t pid;
	int status;

	ledger_close(opts->ledger);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		opts->ledger = open_ledger(id.size_bytes, id.digest);
		_exit(copy_run(opts, &stats, &err) < 0);
	}
	usleep(chance(12000));
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		abort();
	done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	opts->ledger = open_ledger(id.size_bytes, id.digest);
	return done;
}

/* Passes of all kinds, some of them killed; what the list of a pass says is
 * all since the last complete one. */
static void
test_chance(const char *what, struct copy_opts *opts, uint64_t size,
	    int npasses, bool kills)
{
	bool proves = ledger_identity(opts->ledger)->digest != LEDGER_NO_DIGEST;
	struct extents since = {0};
	unsigned wrong = 0, killed = 0, first_seed = seed;

	for (int i = 0; i < npasses; i++) {
		for (unsigned n = chance(6); n > 0; n--)
			change_something(&since, size);
		extents_tidy(&since);
		opts->generation++;
		opts->pass = chance(3) || !proves ? COPY_CHANGED : COPY_COMPARE;
		opts->changed = &since;
		if (kills && chance(2) && !killed_on_its_way(opts)) {
			killed++;
			continue;
		}
		if (!copies(opts) || !disk_same(source, target, size)) {
			tap_diag("pass %d", i);
			wrong++;
		}
		extents_done(&since);
	}
	extents_done(&since);
	ok(wrong == 0, "%s: %d passes, %u of them killed, seed %u", what,
	   npasses, killed, first_seed);
	opts->pass = proves ? COPY_COMPARE : COPY_ALL;
	opts->generation++;
	ok(copies(opts) && disk_same(source, target, size) &&
	       (!proves || verifies(&opts->target, opts->ledger)),
	   "%s: and proved", what);
}

static void
test_chances(void)
{
	const char *map = "ab.c0defg.hi";
	uint64_t size = 12 * MIB - 333 * 512;
	struct copy_opts opts;
	struct nbd_server from, to;

	opts = begin(map, size, LEDGER_SHA256);
	test_chance("files, sha256", &opts, size, 60, true);
	ledger_close(opts.ledger);
	opts = begin(map, size, LEDGER_XXH3);
	test_chance("files, xxh3", &opts, size, 60, true);
	ledger_close(opts.ledger);
	opts = begin(map, size, LEDGER_NO_DIGEST);
	test_chance("files, no proof", &opts, size, 30, true);
	ledger_close(opts.ledger);
	if (!process_in_path("nbdkit"))
		return;
	opts = begin(map, size, LEDGER_SHA256);
	from = disk_serve(source);
	to = disk_serve(target);
	opts.source_file = opts.target.file = NULL;
	opts.source_uri = from.uri;
	opts.target.uri = to.uri;
	test_chance("servers", &opts, size, 60, true);
	ledger_close(opts.ledger);
	nbd_server_stop(&from);
	nbd_server_stop(&to);
}

/* Servers that know only large blocks.  With this filter nbdkit itself may end
 * when a client is killed. */
static void
test_coarse_servers(void)
{
	uint64_t size = 4 * MIB;
	struct copy_opts opts = begin("abcd", size, LEDGER_SHA256);
	const char *const serve_from[] = {"nbdkit",
					  "-f",
					  "-U",
					  "@SOCKET@",
					  "--filter=blocksize-policy",
					  "file",
					  source,
					  "blocksize-minimum=65536",
					  "blocksize-preferred=65536",
					  "blocksize-maximum=131072",
					  "blocksize-error-policy=error",
					  NULL};
	const char *const serve_to[] = {"nbdkit",
					"-f",
					"-U",
					"@SOCKET@",
					"--filter=multi-conn",
					"--filter=blocksize-policy",
					"file",
					target,
					"blocksize-minimum=32768",
					"blocksize-preferred=65536",
					"blocksize-maximum=131072",
					"blocksize-error-policy=error",
					"multi-conn-mode=disable",
					NULL};
	struct nbd_server from = disk_serve_by(serve_from);
	struct nbd_server to = disk_serve_by(serve_to);

	opts.source_file = opts.target.file = NULL;
	opts.source_uri = from.uri;
	opts.target.uri = to.uri;
	test_chance("servers of coarse blocks", &opts, size, 40, false);
	ledger_close(opts.ledger);
	nbd_server_stop(&from);
	nbd_server_stop(&to);
}

int
main(void)
{
	const char *given = getenv("SEED");

	seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)getpid();
	source = path_of("source");
	target = path_of("target");
	book = path_of("ledger");
	test_nothing_changed();
	test_patching(LEDGER_SHA256);
	test_patching(LEDGER_XXH3);
	test_patching(LEDGER_NO_DIGEST);
	test_damaged_target();
	test_interrupted_first_copy();
	test_refusals();
	test_chances();
	if (process_in_path("nbdkit"))
		test_coarse_servers();
	free(source);
	free(target);
	free(book);
	return tap_done();
}
