/* SPDX-License-Identifier: Apache-2.0 */
/* Rates and times left, on a clock of the test's own. */
#include "meter.h"

#include "t/tap.h"

#define MIB (1024 * 1024ull)

int
main(void)
{
	struct meter m = {0};
	struct buf text = {0};
	int64_t now = 1000;

	meter_tell(&m, 0, 0, now);
	is_int(meter_left_ms(&m, 100 * MIB), -1, "at first nobody knows");
	meter_text(&m, 100 * MIB, &text);
	is_str(text.data, "  0 %  0 B of 100 MiB", "nor says");
	for (int i = 1; i <= 40; i++)
		meter_tell(&m, (uint64_t)i * MIB, (uint64_t)i * MIB / 2,
			   now += 250);
	is_int((long long)meter_rate(&m), 2 * MIB, "what moves steadily");
	is_int(meter_left_ms(&m, 100 * MIB), 15000, "and how long it takes");
	buf_done(&text);
	meter_text(&m, 100 * MIB, &text);
	is_str(text.data, " 40 %  40 MiB of 100 MiB  2.0 MiB/s  15.0 s left",
	       "in words");
	meter_tell(&m, 41 * MIB, 21 * MIB, now + 10);
	is_int((long long)meter_rate(&m), 2 * MIB, "too soon to count");
	for (int i = 1; i <= 400; i++)
		meter_tell(&m, 40 * MIB, 20 * MIB, now += 250);
	ok(meter_rate(&m) < MIB / 100, "what stands still");
	is_int(meter_left_ms(&m, 100 * MIB), -1, "will not be there for long");
	is_int(meter_left_ms(&m, 40 * MIB), 0, "what is done is done");
	meter_tell(&m, 0, 0, now + 1000);
	is_int((long long)meter_rate(&m), 0, "begun anew it knows nothing");
	meter_text(&m, 0, &text);
	ok(true, "nothing of nothing is no trouble");
	buf_done(&text);
	return tap_done();
}
