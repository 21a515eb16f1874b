/* SPDX-License-Identifier: Apache-2.0 */
/* Faults behind the copy's back: each is found, by its block, no
 * other block is named, and what is found is mended.  Whether it is is for
 * memcmp to say, not for the ledger.  A thousand, with LONG=1 ten thousand. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/vec.h"
#include "stages/copy/copy.h"
#include "t/disk.h"
#include "t/tap.h"

#define BLOCK ((size_t)LEDGER_BLOCK_SIZE)
#define NBLOCKS 40
#define SIZE (BLOCK * NBLOCKS - 3 * 512)
#define SECTOR 512

enum fault { FLIP, ZERO_SECTOR, SWAP, STALE, NFAULT_KINDS };
static const char *const fault_names[] = {"bit flips", "zeroed sectors",
					  "swapped blocks", "stale blocks"};

static struct err err;
static unsigned seed;

static unsigned
chance(unsigned n)
{
	return (unsigned)rand_r(&seed) % n;
}

struct bench {
	char *source, *book;
	char target[64]; /* in memory where there is room: it is no proof of
	                    disks */
	int fd;
	uint8_t *now, *before; /* what the target should hold; what it held */
	uint8_t *block;
	struct ledger *ledger;
	struct copy_opts opts;
	bool is_bad[NBLOCKS]; /* of the batch */
	VEC(uint64_t) found;
	unsigned long nfaults, kinds[NFAULT_KINDS], nwrong;
};

static size_t
len_of(uint64_t block)
{
	return block + 1 < NBLOCKS ? BLOCK : SIZE - block * BLOCK;
}

static void
put(struct bench *b, uint64_t block, const uint8_t *data)
{
	if (fs_pwrite(b->fd, data, len_of(block), (off_t)(block * BLOCK),
		      &err) < 0)
		abort();
}

static void
open_target(struct bench *b)
{
	CLEANUP(mem_freep) char *here = fs_path(tap_dir(), "target");
	char name[] = "/dev/shm/palletjack-t.XXXXXX";

	b->fd = mkostemp(name, O_CLOEXEC);
	if (b->fd >= 0)
		(void)unlink(name);
	else
		b->fd = open(here, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (b->fd < 0 || ftruncate(b->fd, (off_t)SIZE) < 0)
		abort();
	snprintf(b->target, sizeof(b->target), "/proc/self/fd/%d", b->fd);
}

/* Some blocks are zero, some were, some always were the same. */
static void
make_source(struct bench *b, uint8_t *ret)
{
	CLEANUP(mem_closep)
	int fd = open(b->source, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	for (size_t i = 0; i < SIZE; i += sizeof(int)) {
		int r = rand_r(&seed);

		memcpy(ret + i, &r,
		       SIZE - i < sizeof(r) ? SIZE - i : sizeof(r));
	}
	for (int i = 0; i < 4; i++)
		memset(ret + chance(NBLOCKS) * BLOCK, 0, 4096);
	memset(ret + (size_t)chance(NBLOCKS - 1) * BLOCK, 0, BLOCK);
	if (fs_pwrite(fd, ret, SIZE, 0, &err) < 0)
		abort();
}

static void
copy(struct bench *b, uint32_t generation)
{
	struct copy_progress ignored;

	b->opts = (struct copy_opts){
	    .source_file = b->source,
	    .target = {.file = b->target, .reads_as_zero = true},
	    .ledger = b->ledger,
	    .generation = generation,
	};
	if (copy_run(&b->opts, &ignored, &err) < 0 ||
	    ledger_set_applied(b->ledger, generation, &err) < 0) {
		tap_diag("%s", err.text);
		exit(1);
	}
}

static void
bench_open(struct bench *b, enum ledger_digest digest)
{
	struct ledger_identity id = {.size_bytes = SIZE, .digest = digest};

	*b = (struct bench){.source = fs_path(tap_dir(), "source"),
			    .book = fs_path(tap_dir(), "ledger"),
			    .now = mem_new(SIZE),
			    .before = mem_new(SIZE),
			    .block = mem_new(BLOCK)};
	(void)unlink(b->book);
	open_target(b);
	if (ledger_open(b->book, &id, &b->ledger, &err) < 0)
		abort();
	make_source(b, b->before);
	copy(b, 1);
	make_source(b, b->now);
	copy(b, 2);
}

static void
bench_done(struct bench *b)
{
	ledger_close(b->ledger);
	close(b->fd);
	free(b->source);
	free(b->book);
	free(b->now);
	free(b->before);
	free(b->block);
	vec_done(&b->found);
}

/* --- doing damage --- */

static bool
differ(const struct bench *b, uint64_t block, const uint8_t *data)
{
	return memcmp(b->now + block * BLOCK, data, len_of(block)) != 0;
}

/* False: that would have been none. */
static bool
bend(struct bench *b, uint64_t block, enum fault fault)
{
	size_t len = len_of(block), at;

	memcpy(b->block, b->now + block * BLOCK, len);
	if (fault == FLIP) {
		/* at the ends, too */
		at = chance(8) ? chance((unsigned)len) : chance(2) * (len - 1);
		b->block[at] ^= (uint8_t)(1 << chance(8));
	} else if (fault == ZERO_SECTOR)
		memset(b->block + chance((unsigned)(len / SECTOR)) * SECTOR, 0,
		       SECTOR);
	else
		memcpy(b->block, b->before + block * BLOCK, len);
	if (!differ(b, block, b->block))
		return false;
	put(b, block, b->block);
	b->is_bad[block] = true;
	return true;
}

static bool
swap(struct bench *b, uint64_t one, uint64_t two)
{
	const uint8_t *a = b->now + one * BLOCK, *z = b->now + two * BLOCK;

	if (one == two || b->is_bad[two] || len_of(one) != len_of(two) ||
	    !differ(b, one, z))
		return false;
	put(b, one, z);
	put(b, two, a);
	b->is_bad[one] = b->is_bad[two] = true;
	return true;
}

static void
damage(struct bench *b)
{
	unsigned percent = 1 + chance(99);

	memset(b->is_bad, 0, sizeof(b->is_bad));
	for (uint64_t block = 0; block < NBLOCKS; block++) {
		enum fault fault = (enum fault)chance(NFAULT_KINDS);
		bool did;

		if (b->is_bad[block] || chance(100) >= percent)
			continue;
		did = fault == SWAP ? swap(b, block, chance(NBLOCKS))
				    : bend(b, block, fault);
		b->kinds[fault] += did;
		b->nfaults += did;
	}
}

/* --- finding it --- */

static void
note(void *arg, uint64_t block)
{
	struct bench *b = arg;

	*vec_push(&b->found) = block;
}

static bool
finds_all(struct bench *b)
{
	struct verify_opts v = {.target = b->opts.target,
				.ledger = b->ledger,
				.differs = note,
				.arg = b};
	struct verify_result r;
	size_t nbad = 0;
	int rc;

	b->found.n = 0;
	err = (struct err){0};
	rc = copy_verify(&v, &r, &err);
	for (uint64_t block = 0; block < NBLOCKS; block++) {
		if (!b->is_bad[block])
			continue;
		if (nbad == b->found.n || b->found.v[nbad] != block)
			return false;
		nbad++;
	}
	if (nbad == 0)
		return rc == 0 && b->found.n == 0;
	return rc < 0 && err.class == ERR_MISMATCH && nbad == b->found.n &&
	       nbad == r.nmismatched && r.first_mismatch == b->found.v[0];
}

static bool
is_whole(struct bench *b)
{
	for (uint64_t block = 0; block < NBLOCKS; block++)
		if (fs_pread(b->fd, b->block, len_of(block),
			     (off_t)(block * BLOCK), &err) < 0 ||
		    differ(b, block, b->block))
			return false;
	return true;
}

static bool
mend(struct bench *b)
{
	struct copy_progress done;

	return copy_repair(&b->opts, b->found.v, b->found.n, &done, &err) ==
		   0 &&
	       is_whole(b);
}

static void
test_faults(enum ledger_digest digest, unsigned long nfaults)
{
	unsigned first_seed = seed, nbatches = 0;
	struct bench b;

	bench_open(&b, digest);
	while (b.nfaults < nfaults) {
		damage(&b);
		b.nwrong += !finds_all(&b);
		b.nwrong += !mend(&b);
		nbatches++;
	}
	ok(b.nwrong == 0 && is_whole(&b),
	   "%lu faults in %u batches: all found, each by its block, and no "
	   "other, and mended; seed %u",
	   b.nfaults, nbatches, first_seed);
	for (int i = 0; i < NFAULT_KINDS; i++)
		ok(b.kinds[i] > nfaults / 10, "%s: %lu", fault_names[i],
		   b.kinds[i]);
	memset(b.is_bad, 0, sizeof(b.is_bad));
	ok(finds_all(&b), "and nothing is found when nothing is wrong");
	bench_done(&b);
}

/* --- repairs that cannot be --- */

static void
test_other_source(void)
{
	static const uint64_t blocks[] = {3, 7};
	struct copy_progress done;
	struct ledger_entry entry;
	struct bench b;

	bench_open(&b, LEDGER_SHA256);
	ok(bend(&b, 3, FLIP) && bend(&b, 7, FLIP), "two blocks are bent");
	{
		CLEANUP(mem_closep)
		int fd = open(b.source, O_RDWR | O_CLOEXEC);

		(void)fs_pwrite(fd, "written since", 13, (off_t)(7 * BLOCK + 5),
				&err);
	}
	ok(copy_repair(&b.opts, blocks, 2, &done, &err) < 0 &&
	       err.class == ERR_MISMATCH,
	   "a source that has other data is no source for a repair");
	like(err.text, "nothing was repaired", "and says so");
	ledger_get(b.ledger, 3, &entry);
	ok(entry.state == LEDGER_DURABLE && finds_all(&b),
	   "nothing was touched, and what was wrong is found still");
	(void)ledger_seal(b.ledger, &err);
	ok(copy_repair(&b.opts, blocks, 1, &done, &err) < 0 &&
	       err.class == ERR_FAIL,
	   "behind a seal there is no repair");
	bench_done(&b);
}

/* Between the look at it and the copy. */
static uint64_t
write_to_source(const void *arg, int64_t wall_ms)
{
	const struct bench *b = arg;
	struct ledger_entry entry;

	(void)wall_ms;
	ledger_get(b->ledger, 5, &entry);
	if (entry.state == LEDGER_PENDING) {
		CLEANUP(mem_closep)
		int fd = open(b->source, O_RDWR | O_CLOEXEC);
		struct err ignored;

		(void)fs_pwrite(fd, "written since", 13, (off_t)(5 * BLOCK),
				&ignored);
	}
	return 0;
}

static void
test_source_changes(void)
{
	static const uint64_t blocks[] = {5, 7};
	struct throttle_bucket bucket = {0};
	struct throttle throttle = {0};
	struct copy_progress done;
	struct ledger_entry entry[2];
	struct bench b;

	bench_open(&b, LEDGER_SHA256);
	throttle_add(&throttle, &bucket, write_to_source, &b);
	b.opts.throttle = &throttle;
	ok(bend(&b, 5, FLIP) && bend(&b, 7, FLIP), "two blocks are bent");
	ok(copy_repair(&b.opts, blocks, 2, &done, &err) < 0 &&
	       err.class == ERR_MISMATCH,
	   "a source that changes while it is copied from repairs nothing");
	like(err.text, "block 5 at byte 5242880", "and the block is named");
	ledger_get(b.ledger, 5, &entry[0]);
	ledger_get(b.ledger, 7, &entry[1]);
	ok(entry[0].state == LEDGER_PENDING && entry[1].state == LEDGER_DURABLE,
	   "it does not count as copied, what did not change does");
	bench_done(&b);
}

/* Killed between the promise and the copy: whoever copies next copies them. */
static void
test_given_up(void)
{
	struct copy_progress done;
	struct bench b;

	bench_open(&b, LEDGER_SHA256);
	(void)bend(&b, 5, FLIP);
	ledger_pending(b.ledger, 5, 2);
	ok(ledger_sync(b.ledger, &err) == 0 &&
	       copy_run(&b.opts, &done, &err) == 0 &&
	       done.read_bytes == BLOCK && is_whole(&b),
	   "a repair that was cut short is ended by the next copy");
	bench_done(&b);
}

int
main(void)
{
	const char *given = getenv("SEED");
	unsigned long nfaults = getenv("LONG") ? 10000 : 1000;

	seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)getpid();
	test_faults(LEDGER_SHA256, nfaults / 2);
	test_faults(LEDGER_XXH3, nfaults / 2);
	test_other_source();
	test_source_changes();
	test_given_up();
	return tap_done();
}
