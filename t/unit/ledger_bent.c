/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a small ledger bent in turn (every eighth; every one of them
 * with
 * STRIDE=1, which takes minutes), and it cut short at many lengths:
 * it is refused, or it knows less; what is copied by it is right in the end,
 * and a disk that is not what was copied never passes for that. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "stages/copy/copy.h"
#include "t/tap.h"

#define SIZE ((size_t)5 * 512)
#define LEDGER_MAX ((size_t)64 * 1024)

static struct err err;
static unsigned seed;
static char dir[] = "/dev/shm/palletjack-t.XXXXXX";
static char *source, *target, *book;
static struct buf good; /* the ledger of a copy of `before` */
static uint8_t before[SIZE], now[SIZE];
static unsigned long nrefused, nlies, nunlike;

static void
put(const char *path, const void *data, size_t len)
{
	CLEANUP(mem_closep)
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || (len && fs_pwrite(fd, data, len, 0, &err) < 0))
		abort();
}

static bool
holds(const char *path, const uint8_t *want)
{
	CLEANUP(mem_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t has[SIZE];

	return fd >= 0 && fs_pread(fd, has, SIZE, 0, &err) == 0 &&
	       memcmp(has, want, SIZE) == 0;
}

static int
open_book(struct ledger **ret)
{
	struct ledger_identity id = {.vm = "vm",
				     .disk = "disk",
				     .target = "target",
				     .size_bytes = SIZE,
				     .digest = LEDGER_SHA256,
				     .target_is_blank = true};

	return ledger_open(book, &id, ret, &err);
}

static int
copy(struct ledger *l, enum copy_pass pass, uint32_t generation)
{
	struct copy_opts opts = {
	    .source_file = source,
	    .target = {.file = target, .reads_as_zero = true},
	    .ledger = l,
	    .pass = pass,
	    .generation = generation,
	};
	struct copy_progress ignored;

	return copy_run(&opts, &ignored, &err);
}

static bool
passes(const struct ledger *l)
{
	struct verify_opts v = {.target = {.file = target}, .ledger = l};
	struct verify_result ignored;

	return copy_verify(&v, &ignored, &err) == 0;
}

/* A target that is neither, and then a pass over what it should be. */
static void
try_ledger(const void *data, size_t len, const char *what, size_t at)
{
	struct ledger *l = NULL;
	uint8_t other[SIZE];

	memcpy(other, before, SIZE);
	other[(size_t)rand_r(&seed) % SIZE] ^= 1;
	put(book, data, len);
	put(target, other, SIZE);
	if (open_book(&l) < 0) {
		nrefused++;
		return;
	}
	if (passes(l)) {
		tap_diag("%s %zu: damage passed", what, at);
		nlies++;
	}
	put(target, before, SIZE);
	if (copy(l, COPY_COMPARE, 2) < 0 || !holds(target, now) || !passes(l)) {
		tap_diag("%s %zu: the copy is not right", what, at);
		nunlike++;
	}
	ledger_close(l);
}

static void
report(const char *what, size_t n)
{
	ok(nlies == 0 && nunlike == 0 && nrefused < n,
	   "%zu %s: none passed for more than it is, %lu were refused", n, what,
	   nrefused);
	nrefused = nlies = nunlike = 0;
}

static void
make_good(void)
{
	struct ledger *l = NULL;

	for (size_t i = 0; i < SIZE; i++) {
		before[i] = (uint8_t)rand_r(&seed);
		now[i] = (uint8_t)rand_r(&seed);
	}
	put(source, before, SIZE);
	put(target, now, 0);
	if (truncate(target, SIZE) < 0 || open_book(&l) < 0 ||
	    copy(l, COPY_ALL, 1) < 0 || ledger_set_applied(l, 1, &err) < 0) {
		tap_diag("%s", err.text);
		exit(1);
	}
	ledger_close(l);
	if (fs_read(book, LEDGER_MAX, false, &good, &err) < 0)
		abort();
	put(source, now, SIZE);
}

static void
test_bent(void)
{
	const char *given = getenv("STRIDE");
	size_t stride = given ? strtoul(given, NULL, 10) : 8, n = 0;

	if (stride == 0)
		stride = 1;
	for (size_t at = seed % stride; at < good.len; at += stride) {
		char was = good.data[at];

		good.data[at] ^= (char)(1 << (rand_r(&seed) % 8));
		try_ledger(good.data, good.len, "byte", at);
		good.data[at] = was;
		n++;
	}
	report("bytes bent", n);
}

static void
test_short(void)
{
	size_t n = 0;

	for (size_t len = good.len + 512; len > 0; len -= 512 - (len % 3)) {
		CLEANUP(mem_freep) char *data = mem_new(good.len + 512);

		memcpy(data, good.data, len < good.len ? len : good.len);
		try_ledger(data, len, "length", len);
		n++;
		if (len < 512)
			break;
	}
	report("lengths", n);
}

int
main(void)
{
	const char *given = getenv("SEED");

	seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)getpid();
	tap_diag("seed %u", seed);
	/* twenty thousand syncs are for memory, where there is some */
	source = fs_path(mkdtemp(dir) ? dir : tap_dir(), "source");
	target = fs_path(fs_exists(dir) ? dir : tap_dir(), "target");
	book = fs_path(fs_exists(dir) ? dir : tap_dir(), "ledger");
	make_good();
	test_bent();
	test_short();
	(void)unlink(source);
	(void)unlink(target);
	(void)unlink(book);
	(void)rmdir(dir);
	buf_done(&good);
	free(source);
	free(target);
	free(book);
	return tap_done();
}
