/* SPDX-License-Identifier: Apache-2.0 */
/* Rates of late count more than those of long ago. */
#include "meter.h"

#include "base/clock.h"
#include "base/units.h"

#define LEAST_MS 200	      /* between two looks */
#define MEMORY_MS 5000.0      /* after so long, half of it is forgotten */
#define LONGEST_LEFT_S 864000 /* ten days: then nobody knows */

void
meter_tell(struct meter *m, uint64_t done, uint64_t moved, int64_t now_ms)
{
	double ms = (double)(now_ms - m->at_ms), keep;

	if (m->at_ms == 0 || done < m->done || moved < m->moved) {
		*m = (struct meter){
		    .at_ms = now_ms, .done = done, .moved = moved};
		return;
	}
	if (ms < LEAST_MS)
		return;
	keep = MEMORY_MS / (MEMORY_MS + ms);
	m->done_rate = m->done_rate * keep +
		       (double)(done - m->done) * 1000 / ms * (1 - keep);
	m->moved_rate = m->moved_rate * keep +
			(double)(moved - m->moved) * 1000 / ms * (1 - keep);
	m->weight = m->weight * keep + (1 - keep);
	m->at_ms = now_ms;
	m->done = done;
	m->moved = moved;
}

uint64_t
meter_rate(const struct meter *m)
{
	return m->weight > 0 ? (uint64_t)(m->moved_rate / m->weight) : 0;
}

int64_t
meter_left_ms(const struct meter *m, uint64_t total)
{
	double rate = m->weight > 0 ? m->done_rate / m->weight : 0;
	double left = total > m->done ? (double)(total - m->done) : 0;

	if (left <= 0)
		return 0;
	if (rate <= 0 || left / rate > LONGEST_LEFT_S)
		return -1;
	return (int64_t)(left * 1000 / rate);
}

void
meter_text(const struct meter *m, uint64_t total, struct buf *ret)
{
	char done[UNITS_TEXT_SIZE], all[UNITS_TEXT_SIZE];
	char rate[UNITS_TEXT_SIZE], left[CLOCK_TEXT_SIZE];
	int64_t left_ms = meter_left_ms(m, total);

	buf_printf(ret, "%3d %%  %s of %s",
		   total ? (int)((double)m->done * 100 / (double)total) : 0,
		   units_format_bytes(m->done, done),
		   units_format_bytes(total, all));
	if (m->weight > 0)
		buf_printf(ret, "  %s/s",
			   units_format_bytes(meter_rate(m), rate));
	if (m->weight > 0 && left_ms > 0)
		buf_printf(ret, "  %s left",
			   clock_format_duration(left_ms, left));
}
