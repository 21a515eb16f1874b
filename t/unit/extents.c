/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of what changed: how they are read, and what they say and cost however
 * fragmented they are. */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fs.h"
#include "base/mem.h"
#include "stages/copy/extents.h"
#include "t/tap.h"

#define KIB 1024ull
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)

static struct err err;

static bool
is_dirty(const struct extents *x, uint64_t from, uint64_t to)
{
	struct copy_extent e;

	return extents_within(x, from, to, &e);
}

/* The first stretch there is this one. */
static bool
finds(const struct extents *x, uint64_t from, uint64_t to, uint64_t offset,
      uint64_t length)
{
	struct copy_extent e;

	if (!extents_within(x, from, to, &e))
		return false;
	if (e.offset == offset && e.length == length)
		return true;
	tap_diag("%llu bytes at %llu", (unsigned long long)e.length,
		 (unsigned long long)e.offset);
	return false;
}

static void
test_tidy(void)
{
	static const struct copy_extent v[] = {
	    {100000, 1},       {0, 10},		{8192, 4096},
	    {4096 * 20, 4096}, {1 << 20, 4096}, {5, 0}};
	struct extents x = {0};

	ok(!is_dirty(&x, 0, UINT64_MAX), "of none, none");
	extents_tidy(&x);
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		extents_add(&x, v[i].offset, v[i].length);
	extents_tidy(&x);
	is_int(x.exact.n, 3, "near ones are one");
	ok(finds(&x, 0, TIB, 0, 12288), "the first");
	ok(finds(&x, 12288, TIB, 81920, 102400 - 81920),
	   "the next is over a gap of 12 KiB");
	ok(finds(&x, 12287, TIB, 12287, 1), "found by its last byte");
	ok(finds(&x, 4096, 5000, 4096, 904), "cut off at both ends");
	ok(!is_dirty(&x, 12288, 81920), "nothing between them");
	ok(!is_dirty(&x, 4096, 4096), "nor where there is no place");
	ok(!is_dirty(&x, 2 << 20, TIB), "behind all");
	is_int(extents_bytes(&x), 12288 + 20480 + 4096, "so much is dirty");
	extents_done(&x);
}

/* --- fragmented lists --------------------------------------------------- */

/* `n` changes of `length` each `step` bytes, in no order. */
static void
scatter(struct extents *x, uint64_t n, uint64_t length, uint64_t step)
{
	for (uint64_t i = 0; i < n; i++)
		extents_add(x, (i * 1000003 % n) * step, length);
	extents_tidy(x);
}

static size_t
memory_used(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static void
test_exact_while_it_can_be(void)
{
	struct extents x = {0};

	scatter(&x, EXTENTS_EXACT, 4096, 128 * KIB);
	ok(x.grain == 0 && finds(&x, 1, TIB, 1, 4095) &&
	       !is_dirty(&x, 4096, 128 * KIB),
	   "a million changes of 4 KiB are kept as they are");
	is_int(extents_bytes(&x), EXTENTS_EXACT * 4096ll, "and no larger");
	extents_done(&x);
	for (int i = 0; i < 5; i++)
		scatter(&x, EXTENTS_EXACT / 2, 4096, 128 * KIB);
	is_int(x.exact.n, EXTENTS_EXACT / 2, "told again, it is no more");
	extents_done(&x);
}

static void
test_fragmented(void)
{
	size_t before = memory_used();
	struct extents x = {0};

	scatter(&x, 8 * MIB, 4096, 128 * KIB);
	ok(memory_used() - before < 3 * MIB || memory_used() == 0,
	   "eight million of them on a TiB take less than 3 MiB");
	tap_diag("%zu bytes", memory_used() - before);
	ok(finds(&x, 0, TIB, 0, 64 * KIB), "the first is a grain of 64 KiB");
	ok(finds(&x, 64 * KIB, TIB, 128 * KIB, 64 * KIB), "then the next");
	ok(finds(&x, TIB - 128 * KIB, TIB, TIB - 128 * KIB, 64 * KIB) &&
	       !is_dirty(&x, TIB - 64 * KIB, 2 * TIB),
	   "and the last");
	ok(finds(&x, 5, 9, 5, 4), "cut off at both ends");
	is_int(extents_bytes(&x), TIB / 2, "what a bitmap says, and no more");
	extents_add(&x, 100 * GIB, 100 * GIB);
	extents_add(&x, 3 * TIB + 5, 1);
	ok(finds(&x, 100 * GIB, TIB, 100 * GIB, 100 * GIB + 64 * KIB),
	   "a large one among them");
	ok(finds(&x, TIB, 4 * TIB, 3 * TIB, 64 * KIB), "and one far away");
	extents_done(&x);
}

/* More grains than there is memory for become larger ones. */
static void
test_larger_grains(void)
{
	size_t before = memory_used();
	struct extents x = {0};

	scatter(&x, 2 * EXTENTS_EXACT, 64 * KIB, 128 * KIB);
	is_int(extents_bytes(&x), EXTENTS_EXACT * 128 * KIB,
	       "two million grains");
	for (uint64_t i = 1; i < 64 * TIB / GIB; i++)
		extents_add(&x, i * GIB + 7, 1);
	ok(memory_used() - before < 34 * MIB || memory_used() == 0,
	   "a disk of 64 TiB with changes everywhere takes 32 MiB");
	tap_diag("%zu bytes, grains of %llu", memory_used() - before,
		 (unsigned long long)x.grain);
	ok(finds(&x, 63 * TIB, 64 * TIB, 63 * TIB, x.grain) &&
	       finds(&x, 63 * TIB + x.grain, 64 * TIB, 63 * TIB + GIB, x.grain),
	   "they are still told from one another");
	ok(!is_dirty(&x, 64 * TIB, UINT64_MAX), "up to the end");
	extents_add(&x, UINT64_MAX / 2, 1);
	ok(is_dirty(&x, UINT64_MAX / 2, UINT64_MAX / 2 + 1) &&
	       memory_used() - before < 34 * MIB,
	   "a place no disk has costs no memory");
	extents_done(&x);
}

/* --- chance ------------------------------------------------------------- */

#define NPARTS 4096 /* of 16 KiB; behind them a comb of a million changes */
#define PART (16 * KIB)

/* In grains or not, what was said is in it; and what is in it was said, or is
 * near. */
static void
test_chance(bool grains)
{
	unsigned seed = (unsigned)time(NULL), first = seed, wrong = 0;
	uint64_t near = grains ? 64 * KIB : EXTENTS_GAP;
	bool said[NPARTS] = {false};
	struct extents x = {0};

	if (grains)
		for (uint64_t i = 0; i < 2 * EXTENTS_EXACT; i++)
			extents_add(&x, GIB + i * 128 * KIB, 1);
	for (int i = 0; i < 200; i++) {
		unsigned at = (unsigned)rand_r(&seed) % NPARTS;
		unsigned n = 1 + (unsigned)rand_r(&seed) % (i % 9 ? 3 : 60);

		if (n > NPARTS - at)
			n = NPARTS - at;
		extents_add(&x, at * PART, n * PART);
		memset(said + at, 1, n);
	}
	extents_tidy(&x);
	for (unsigned i = 0; i < NPARTS; i++) {
		bool is_near = false;

		for (unsigned k = 0; k < NPARTS; k++)
			is_near =
			    is_near ||
			    (said[k] && k * PART < (i + 1) * PART + near &&
			     i * PART < (k + 1) * PART + near);
		if (said[i] &&
		    !finds(&x, i * PART, (i + 1) * PART, i * PART, PART))
			wrong++;
		if (!is_near && is_dirty(&x, i * PART, (i + 1) * PART))
			wrong++;
	}
	ok(wrong == 0 && (x.grain > 0) == grains, "by chance%s, seed %u",
	   grains ? ", in grains" : "", first);
	extents_done(&x);
}

/* --- files -------------------------------------------------------------- */

static int
reads(const char *text, size_t want_n, uint64_t want_at)
{
	CLEANUP(mem_freep) char *path = fs_path(tap_dir(), "list");
	struct extents x = {0};
	const struct copy_extent *v;
	size_t n;
	int rc;

	memset(&err, 0, sizeof(err));
	if (fs_write(path, text, strlen(text), 0600, &err) < 0)
		abort();
	rc = extents_read(path, 10 * MIB, &x, &err);
	v = x.exact.v;
	n = x.exact.n;
	if (rc == 0 && (n != want_n || (n && v[n - 1].offset != want_at))) {
		tap_diag("%zu extents", n);
		rc = 1;
	}
	extents_done(&x);
	return rc;
}

static void
test_lists(void)
{
	static const char *const wrong[] = {
	    "[{\"offset\": 1}]",
	    "[{\"offset\": -1, \"length\": 5}]",
	    "[{\"start\": 1, \"length\": 5}]",
	    "[3]",
	    "[",
	    ("[{\"offset\":0,\"length\":5,\"type\":0,"
	     "\"description\":\"data\"}]"),
	    "[{\"offset\":0,\"length\":5,\"type\":1}]",
	    "5",
	    "a 5",
	    "-1 5",
	    "1 5x",
	    "0 65536 0 data",
	    "0 65536 3",
	    "10485760 1",
	    "99999999999999999999999 1",
	    "[{\"offset\":0,\"length\":5} {\"offset\":9,\"length\":5}]",
	    "[{\"offset\":0,\"length\":5},]",
	    "[{\"offset\":0,\"length\":5}",
	    "[{\"offset\":0,\"length\":5}] 5",
	    "[,]",
	    "[[0, 5]]",
	};

	is_int(reads("", 0, 0), 0, "an empty file");
	is_int(reads("[]", 0, 0), 0, "an empty array");
	is_int(reads("# nothing\n\n", 0, 0), 0, "a remark");
	is_int(reads("65536 65536\n0x200000\t0x10000 # two\n", 2, 2 * MIB), 0,
	       "lines");
	is_int(reads("[{\"offset\":65536,\"length\":65536},"
		     "{\"offset\":0,\"length\":1}]",
		     2, 65536),
	       0, "an array");
	is_int(reads("0 65536 0 clean\n65536 65536 1 dirty\n", 1, 65536), 0,
	       "as nbdinfo has it");
	is_int(reads("[{\"offset\":0,\"length\":65536,\"type\":0,"
		     "\"description\":\"clean\"},{\"offset\":65536,"
		     "\"length\":65536,\"type\":1,\"description\":\"dirty\"}]",
		     1, 65536),
	       0, "the same in JSON");
	is_int(reads("10485759 18446744073709551615", 1, 10 * MIB - 4096), 0,
	       "one that reaches far is cut");
	is_int(reads(" \n [ ]\n", 0, 0), 0, "blanks around an array");
	is_int(reads("0 4096 # it may say\n# anything\n\n65536 5", 2, 65536), 0,
	       "and remarks, and no end of the last line");
	ok(reads("\n\n1 2\n5 x\n", 0, 0) < 0, "an error");
	like(err.text, "entry 4: an offset and a length", "names the line");
	ok(reads("[{\"offset\":0,\"length\":5},\n{\"offset\":x}]", 0, 0) < 0,
	   "in an array");
	like(err.text, "entry 1: ", "the number of the entry");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ok(reads(wrong[i], 0, 0) < 0 && err.class == ERR_USER,
		   "no list: %s", wrong[i]);
}

int
main(void)
{
	test_tidy();
	test_exact_while_it_can_be();
	test_fragmented();
	test_larger_grains();
	test_chance(false);
	test_chance(true);
	test_lists();
	return tap_done();
}
