/* SPDX-License-Identifier: Apache-2.0 */
/* Simulated guests that write: what changed on their disks between two moments
 * of a virtual clock. */
#ifndef T_WRITERS_H
#define T_WRITERS_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "t/dice.h"

#define MIB 1048576.0
#define GIB (1024 * MIB)
#define HOURS 60
#define BIN_S 20.0
#define BINS (HOURS * 180)

enum kind { CONSTANT, BURST, HOT_SET, GROWING, MIXTURE, NKINDS };

static const char *const kinds[] = {"constant", "burst", "hot set", "growing",
				    "mixture"};

/* Seconds and bytes. */
struct writer {
	double hot, hot_rate; /* a working set, and writes to it */
	double growth;	      /* of both, an hour */
	double size;
};

/* Written until each bin, to blocks that were not written before. */
static double steady[BINS + 1];

/* Writes that never meet a block again: a log, an upload, a backup. */
static void
write_along(double rate, double burst_rate, double idle_s, double burst_s)
{
	double at = 0, left = 0; /* until when this state lasts */
	bool busy =
	    burst_rate > 0 && uniform(0, 1) < burst_s / (idle_s + burst_s);

	for (size_t i = 0; i < BINS; i++) {
		double sum = rate * BIN_S * uniform(0.5, 1.5), end = at + BIN_S;

		while (burst_rate > 0 && at < end) {
			double step;

			if (left <= at) {
				busy = !busy;
				left = at - (busy ? burst_s : idle_s) *
						log(uniform(1e-9, 1));
			}
			step = fmin(left, end) - at;
			sum += busy ? burst_rate * step : 0;
			at += step;
		}
		at = end;
		steady[i + 1] += sum;
	}
}

static void
make_writer(enum kind kind, double copy_rate, double size, struct writer *ret)
{
	double rate = copy_rate * any_size(0.001, 1.2);

	*ret = (struct writer){.size = size};
	memset(steady, 0, sizeof(steady));
	if (kind == CONSTANT || (kind == MIXTURE && uniform(0, 1) < 0.7))
		write_along(rate, 0, 0, 0);
	if (kind == BURST || (kind == MIXTURE && uniform(0, 1) < 0.5))
		write_along(copy_rate * any_size(0.0005, 0.05),
			    copy_rate * any_size(0.05, 3), any_size(60, 3600),
			    any_size(10, 600));
	if (kind == HOT_SET || kind == GROWING || kind == MIXTURE) {
		ret->hot = size * any_size(0.001, 0.2);
		ret->hot_rate = copy_rate * any_size(0.01, 2);
		write_along(copy_rate * any_size(0.0001, 0.01), 0, 0, 0);
	}
	if (kind == GROWING || (kind == MIXTURE && uniform(0, 1) < 0.3))
		ret->growth = any_size(0.05, 1);
	for (size_t i = 0; i < BINS; i++)
		steady[i + 1] += steady[i];
}

static double
written_until(double t)
{
	double at = fmin(fmax(t, 0) / BIN_S, BINS - 1);
	size_t i = (size_t)at;

	return steady[i] + (steady[i + 1] - steady[i]) * (at - (double)i);
}

/* Bytes of the blocks written between two moments, each once. */
static double
changed(const struct writer *w, double from, double to)
{
	double grown = 1 + w->growth * (from + to) / 7200;
	double hot = w->hot * grown, writes = w->hot_rate * grown * (to - from);
	double sum = written_until(to) - written_until(from);

	if (hot > 0)
		sum += hot * (1 - exp(-writes / hot));
	return fmin(floor(sum / 65536) * 65536, w->size);
}

#endif
