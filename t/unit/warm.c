/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of what is next for a vm that is copied while it runs. */
#include "runner/warm.h"

#include <stdlib.h>

#include "t/tap.h"

#define MINUTE INT64_C(60000)
#define NOW (1000 * MINUTE)

static struct run_policy policy;
static struct due due;
static struct warm_past past;
static struct warm_next next;
static int64_t stay;

static enum warm_move
move_at(int64_t now_ms)
{
	struct warm_run run = {NOW, stay, now_ms};

	warm_next_of(&policy, &past, &due, &run, &next);
	return next.move;
}

static void
begin(int64_t cutover_ms)
{
	policy.precopy.interval_ms = 60 * MINUTE;
	policy.precopy.max_generations = 0;
	due.cutover_ms = cutover_ms;
	past = (struct warm_past){.round = 2,
				  .whole = true,
				  .begun_ms = NOW - 30 * MINUTE,
				  .ended_ms = NOW - 20 * MINUTE};
}

static void
test_interval(void)
{
	begin(DUE_ON_REQUEST);
	is_int(move_at(NOW), WARM_REST, "before its time there is nothing");
	is_int(next.until_ms, NOW + 40 * MINUTE,
	       "an interval from the end of one to the next");
	is_int(move_at(NOW + 40 * MINUTE), WARM_COPY, "then it is due");
	policy.precopy.max_generations = 2;
	is_int(move_at(NOW + 40 * MINUTE), WARM_REST, "unless it is too many");
	is_int(next.until_ms, DUE_ON_REQUEST, "then the cutover is next");
	past.whole = false;
	is_int(move_at(NOW), WARM_COPY, "one that is cut short is finished");
}

static void
test_one_a_run(void)
{
	begin(DUE_ON_REQUEST);
	policy.precopy.interval_ms = 1;
	past.begun_ms = NOW;
	past.ended_ms = NOW + MINUTE;
	is_int(move_at(NOW + 2 * MINUTE), WARM_REST, "a run takes one");
	stay = NOW + 10 * MINUTE;
	is_int(move_at(NOW + 2 * MINUTE), WARM_COPY, "unless it stays");
	stay = 0;
	due.cutover_ms = NOW;
	is_int(move_at(NOW + 2 * MINUTE), WARM_CUT_OVER,
	       "its own is fresh, however short the interval");
}

static void
test_cutover(void)
{
	begin(NOW - MINUTE);
	is_int(move_at(NOW), WARM_COPY, "first what is copied while it runs");
	past.begun_ms = NOW - MINUTE;
	past.ended_ms = NOW;
	is_int(move_at(NOW), WARM_CUT_OVER, "then the source is stopped");
	is_int(move_at(NOW + 59 * MINUTE), WARM_CUT_OVER, "or soon after");
	past.begun_ms = NOW - 2;
	due.cutover_ms = NOW - 3;
	is_int(move_at(NOW + 60 * MINUTE), WARM_COPY,
	       "but not once the last one is old");
	policy.precopy.interval_ms = 1;
	past.ended_ms = NOW + 10 * MINUTE;
	is_int(move_at(NOW + 10 * MINUTE), WARM_CUT_OVER,
	       "one that takes longer than the interval is fresh, too");
	policy.precopy.interval_ms = 60 * MINUTE;
	policy.precopy.max_generations = 1;
	past.begun_ms = NOW - 30 * MINUTE;
	is_int(move_at(NOW), WARM_COPY, "the last one is over the number");
}

static void
test_times(void)
{
	begin(NOW + 10 * MINUTE);
	is_int(move_at(NOW), WARM_REST, "a cutover comes before the next");
	is_int(next.until_ms, NOW + 10 * MINUTE, "that is what is waited for");
	is_int(move_at(NOW + 10 * MINUTE), WARM_COPY,
	       "and when it comes, a last generation does first");
	begin(0);
	is_int(move_at(NOW), WARM_COPY, "at once: as of this run");
	past.begun_ms = NOW;
	past.ended_ms = NOW + MINUTE;
	is_int(move_at(NOW + MINUTE), WARM_CUT_OVER, "of which this one is");
	begin(DUE_NEVER);
	is_int(move_at(NOW + 40 * MINUTE), WARM_COPY,
	       "without a cutover generations go on");
}

/* Its opening is no moment that anything was asked for: whether another
 * generation fits into a window is for the prediction to say. */
static void
test_window(void)
{
	begin(NOW - MINUTE);
	due.window = (struct window_span){NOW - MINUTE, NOW + 9 * MINUTE};
	is_int(move_at(NOW), WARM_CUT_OVER,
	       "in its window a generation is fresh while its interval lasts");
	is_int(move_at(NOW + 40 * MINUTE), WARM_COPY, "and no longer");
	past.whole = false;
	is_int(move_at(NOW), WARM_COPY, "one that is cut short is finished");
	begin(NOW + 10 * MINUTE);
	due.window = (struct window_span){NOW + 10 * MINUTE, NOW + 20 * MINUTE};
	is_int(move_at(NOW), WARM_REST, "before it, it rests");
	is_int(next.until_ms, NOW + 10 * MINUTE, "until it opens");
	due.window = (struct window_span){0};
}

int
main(void)
{
	test_interval();
	test_one_a_run();
	test_cutover();
	test_times();
	test_window();
	return tap_done();
}
