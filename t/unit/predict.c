/* SPDX-License-Identifier: Apache-2.0 */
/* What the downtime predictor says of pasts made by hand. */
#include "runner/predict.h"

#include <math.h>

#include "t/tap.h"

#define MB 1000000u

/* A full copy of 30 GB and deltas, `apart_ms`, copied at 100 MB/s. */
static void
make_past(struct generation_seen *g, size_t n, uint64_t mb_changed,
	  int64_t apart_ms)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t moved = (i == 0 ? 30000 : mb_changed) * MB;

		g[i].point_ms = (int64_t)i * apart_ms + (i > 0) * 600000;
		g[i].copying_ms = (int64_t)(moved / 100000);
		g[i].ended_ms = g[i].point_ms + g[i].copying_ms + 1000;
		g[i].whole = i == 0;
		g[i].changed = i == 0 ? 0 : moved;
		g[i].moved = moved;
	}
}

static enum predict_verdict
says(const struct predict_input *in, const char *part)
{
	struct predict_decision d;
	struct buf why = {0};

	predict_decide(in, &d, &why);
	like(why.data, part, part);
	tap_diag("%s", why.data);
	buf_done(&why);
	return d.verdict;
}

static void
test_verdicts(void)
{
	struct generation_seen g[9] = {0};
	struct predict_input in = {.generations = g,
				   .size = 40000ull * MB,
				   .stop = {.low_ms = 5000, .high_ms = 20000},
				   .convert = {.seen_ms = {60000}, .nseen = 1},
				   .generations_left = UINT64_MAX};

	is_int(says(&in, "nothing is copied yet"), PREDICT_ANOTHER_GENERATION,
	       "the first");
	make_past(g, 9, 600, 60000);
	in.ngenerations = 1;
	in.now_ms = g[0].ended_ms;
	in.max_downtime_ms = 3600000;
	is_int(says(&in, "too little is known"), PREDICT_ANOTHER_GENERATION,
	       "a guest that nobody has seen writing");
	in.generations_left = 0;
	is_int(says(&in, "budget 1 h"), PREDICT_CUT_OVER,
	       "fits whatever it writes");
	in.generations_left = UINT64_MAX;
	in.ngenerations = 9;
	in.now_ms = g[8].ended_ms;
	in.max_downtime_ms = 180000;
	is_int(says(&in, "that fits"), PREDICT_CUT_OVER, "a budget that fits");
	in.window_end_ms = in.now_ms + 10000;
	is_int(says(&in, "the window ends"), PREDICT_WAIT, "not in its window");
	in.window_end_ms = 0;
	in.max_downtime_ms = 30000;
	is_int(says(&in, "do not help: best"), PREDICT_CANNOT,
	       "one that is less than the conversion takes");
	in.max_downtime_ms = 85000;
	is_int(says(&in, "too little is known"), PREDICT_ANOTHER_GENERATION,
	       "a near one, and nobody saw so short a time");
	make_past(g, 9, 600, 7000);
	in.now_ms = g[8].ended_ms;
	is_int(says(&in, "it may fit later: best"), PREDICT_WAIT,
	       "a near one when it was seen often");
	in.generations_left = 0;
	is_int(says(&in, "no generation is left"), PREDICT_WAIT,
	       "nor when no more may be taken");
	in.generations_left = UINT64_MAX;
	make_past(g, 9, 600, 60000);
	in.now_ms = g[8].ended_ms;
	in.now_ms += 3600000;
	in.max_downtime_ms = 120000;
	is_int(says(&in, "bring it nearer: best"), PREDICT_ANOTHER_GENERATION,
	       "when the last point is long ago");
	in.since_ms = g[6].point_ms;
	is_int(says(&in, "bring it nearer: best"), PREDICT_ANOTHER_GENERATION,
	       "though two of the run's own brought nothing");
	in.since_ms = g[5].point_ms;
	is_int(says(&in, "brought it no nearer"), PREDICT_WAIT,
	       "but not when three did");
	in.since_ms = 0;
	in.max_downtime_ms = 0;
	is_int(says(&in, "bring it nearer: best"), PREDICT_ANOTHER_GENERATION,
	       "also when there is no budget");
	in.since_ms = g[5].point_ms;
	is_int(says(&in, "that fits"), PREDICT_CUT_OVER,
	       "which is cut over when more brought nothing");
	in.since_ms = 0;
	in.generations_left = 0;
	is_int(says(&in, "that fits"), PREDICT_CUT_OVER, "if it may be taken");
	in.now_ms = g[8].ended_ms;
	in.generations_left = 9;
	is_int(says(&in, "that fits"), PREDICT_CUT_OVER,
	       "no budget, and nothing to gain");
}

/* What is converted and booted before the cutover makes the last point old: a
 * generation that is rehearsed, too, cannot better that. */
static void
test_rehearsed(void)
{
	struct generation_seen g[9] = {0};
	struct predict_input in = {.generations = g,
				   .ngenerations = 9,
				   .size = 40000ull * MB,
				   .convert = {.seen_ms = {60000}, .nseen = 1},
				   .boot = {.seen_ms = {30000}, .nseen = 1},
				   .generations_left = UINT64_MAX};
	struct prediction p, more;

	make_past(g, 9, 4000, 60000);
	in.now_ms = g[8].ended_ms + 90000;
	in.max_downtime_ms = 0;
	is_int(says(&in, "bring it nearer"), PREDICT_ANOTHER_GENERATION,
	       "a point that is old by chance");
	in.rehearse_before = true;
	is_int(says(&in, "that fits"), PREDICT_CUT_OVER,
	       "one that is as old as it is with every rehearsal");
	predict_downtime(&in, &p);
	in.boot = (struct predict_part){0};
	predict_downtime(&in, &more);
	ok(fabs(p.downtime.likely - more.downtime.likely - 30000) < 1000,
	   "the boot test is a part of the downtime");
	ok(fabs(p.cycle_ms - more.cycle_ms - 30000) < 1000,
	   "and of a generation that is rehearsed");
}

static void
test_parts(void)
{
	struct generation_seen g[3] = {0};
	struct predict_input in = {
	    .generations = g, .ngenerations = 3, .size = 40000ull * MB};
	struct prediction p, more;

	make_past(g, 3, 600, 60000);
	in.now_ms = g[2].point_ms + 60000;
	predict_downtime(&in, &p);
	ok(p.downtime.low < 6000 && p.downtime.high > 6000 &&
	       fabs(p.downtime.likely - 6000) < 1000,
	   "only the delta: as long as the last two");
	is_int((long long)p.downtime.high, (long long)p.delta.high,
	       "there is nothing else");
	in.reread = in.size;
	predict_downtime(&in, &more);
	ok(more.delta.likely > p.delta.likely * 0.8, "what is read whole");
	in.reread = 0;
	in.verify_behind = 20000ull * MB;
	predict_downtime(&in, &more);
	ok(more.verify.likely > 150000, "what is still to be read back");
	in.verify_behind = 0;
	in.convert = (struct predict_part){.low_ms = 10000, .high_ms = 90000};
	predict_downtime(&in, &p);
	in.convert.seen_ms[in.convert.nseen++] = 30000;
	predict_downtime(&in, &more);
	ok(more.convert.high - more.convert.low <
	       (p.convert.high - p.convert.low) / 2,
	   "measured once, a conversion is known better");
	predict_parts((const struct predict_part *[]){&in.convert, &in.stop}, 2,
		      &p.downtime);
	ok(p.downtime.low == more.convert.low &&
	       p.downtime.high == more.convert.high,
	   "parts alone: what does not happen adds nothing");
	g[1].changed = g[2].changed = 0;
	g[1].point_ms = g[2].point_ms;
	g[2].copying_ms = 0;
	predict_downtime(&in, &p);
	ok(isfinite(p.downtime.high) && p.downtime.low >= 0,
	   "nothing changed in no time");
}

/* When more was written than is thought, both of them take longer. */
static void
test_together(void)
{
	struct generation_seen g[2] = {0};
	struct predict_input in = {.generations = g,
				   .ngenerations = 2,
				   .size = 40000ull * MB,
				   .verify_delta = true};
	struct prediction p;

	make_past(g, 2, 6000, 3600000);
	in.now_ms = g[1].ended_ms;
	predict_downtime(&in, &p);
	ok(p.downtime.high - p.downtime.likely >
	       0.9 * (p.delta.high - p.delta.likely + p.verify.high -
		      p.verify.likely),
	   "what is unsure of the bytes counts for the copy and for its proof");
}

/* A guest that was busy, and became quiet a few generations ago. */
static void
test_memory(void)
{
	struct generation_seen g[9] = {0};
	struct predict_input in = {
	    .generations = g, .ngenerations = 6, .size = 40000ull * MB};
	struct prediction busy, quiet;

	make_past(g, 9, 6000, 60000);
	for (size_t i = 6; i < 9; i++)
		g[i].changed = g[i].moved = 600 * MB;
	in.now_ms = g[5].point_ms + 60000;
	predict_downtime(&in, &busy);
	in.ngenerations = 9;
	in.now_ms = g[8].point_ms + 60000;
	predict_downtime(&in, &quiet);
	ok(fabs(busy.bytes.likely / MB - 6000) < 600, "as it was of late");
	ok(quiet.bytes.likely / MB < 1500, "what was long ago counts less");
	ok(quiet.bytes.high / quiet.bytes.likely >
	       1.5 * busy.bytes.high / busy.bytes.likely,
	   "but makes one less sure");
}

int
main(void)
{
	test_verdicts();
	test_rehearsed();
	test_parts();
	test_together();
	test_memory();
	return tap_done();
}
