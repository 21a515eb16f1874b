/* SPDX-License-Identifier: Apache-2.0 */
#include "stages/place.h"
/* What a helper may take inside a step that has a deadline. */

#include "base/clock.h"
#include "t/tap.h"

/* How long a helper may take in a step that has so long. */
static int64_t
left_to_helper(int64_t step_ms, int64_t limit_ms)
{
	int64_t now = clock_mono_ms();
	struct work w = {.mono_deadline_ms = step_ms ? now + step_ms : 0};

	return place_deadline(&w, limit_ms) - now;
}

int
main(void)
{
	int64_t ms = left_to_helper(600000, 0);

	ok(ms <= 600000 - PROCESS_GRACE_MS - 1000,
	   "a helper's end fits before the step's");
	ok(ms > 580000, "and takes little of its time");
	ms = left_to_helper(4000, 0);
	ok(ms > 0 && ms <= 2100, "a short step leaves its helper some time");
	ms = left_to_helper(600000, 5000);
	ok(ms >= 5000 && ms < 6000, "a limit of its own holds");
	ms = left_to_helper(0, 5000);
	ok(ms >= 5000 && ms < 6000, "also in a step without a deadline");
	return tap_done();
}
