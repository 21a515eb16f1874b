/* SPDX-License-Identifier: Apache-2.0 */
/* Guests that write, drawn from a seed. */
#include "stages/fake_writer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define BIN_S 20.0
#define BINS 10800 /* 60 hours, which then begin again */

struct dice {
	uint64_t state;
};

static double
uniform(struct dice *d, double low, double high)
{
	uint64_t z = d->state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return low + (high - low) * (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

/* Every size of it equally likely: 1 to 10 as often as 10 to 100. */
static double
any_size(struct dice *d, double low, double high)
{
	return exp(uniform(d, log(low), log(high)));
}

static double
normal(struct dice *d)
{
	double radius = sqrt(-2 * log(uniform(d, 1e-12, 1)));

	return radius * cos(uniform(d, 0, 2 * M_PI));
}

/* What it takes lies around the middle of what is believed. */
static struct fake_span
make_span(struct dice *d, double low, double widest)
{
	struct fake_span s = {low, low * any_size(d, 1.5, widest), 0};

	s.takes =
	    sqrt(s.low * s.high) * exp(log(s.high / s.low) / 3.29 * normal(d));
	return s;
}

/* Writes that come one after the other, and never meet a block again: a log,
 * an upload, a backup. */
struct stream {
	double rate;
	double burst_rate, idle_s, burst_s; /* on top of it, now and then */
};

/* Adds what is written in each bin. */
static void
write_along(struct dice *d, const struct stream *s, double *steady)
{
	double at = 0, left = 0; /* until when this state lasts */
	bool bursts = s->burst_rate > 0;
	bool busy =
	    bursts && uniform(d, 0, 1) < s->burst_s / (s->idle_s + s->burst_s);

	for (size_t i = 0; i < BINS; i++) {
		double sum = s->rate * BIN_S * uniform(d, 0.5, 1.5);
		double end = at + BIN_S;

		while (bursts && at < end) {
			double step;

			if (left <= at) {
				busy = !busy;
				left = at - (busy ? s->burst_s : s->idle_s) *
						log(uniform(d, 1e-9, 1));
			}
			step = fmin(left, end) - at;
			sum += busy ? s->burst_rate * step : 0;
			at += step;
		}
		at = end;
		steady[i + 1] += sum;
	}
}

static void
write_bursts(struct dice *d, struct fake_writer *fw)
{
	struct stream s = {.rate = fw->delta_rate * any_size(d, 0.0005, 0.05),
			   .burst_rate = fw->delta_rate * any_size(d, 0.05, 3),
			   .idle_s = any_size(d, 60, 3600),
			   .burst_s = any_size(d, 10, 600)};

	write_along(d, &s, fw->steady);
}

/* A working set, and a log beside it. */
static void
write_set(struct dice *d, struct fake_writer *fw)
{
	struct stream s = {.rate = fw->delta_rate * any_size(d, 0.0001, 0.01)};

	fw->hot = fw->size * any_size(d, 0.001, 0.2);
	fw->hot_rate = fw->delta_rate * any_size(d, 0.01, 2);
	write_along(d, &s, fw->steady);
}

static void
write_constant(struct dice *d, struct fake_writer *fw)
{
	struct stream s = {.rate = fw->delta_rate * any_size(d, 0.001, 1.2)};

	write_along(d, &s, fw->steady);
}

static void
write_growing(struct dice *d, struct fake_writer *fw)
{
	write_set(d, fw);
	fw->growth = any_size(d, 0.05, 1);
}

static void
write_mixed(struct dice *d, struct fake_writer *fw)
{
	if (uniform(d, 0, 1) < 0.7)
		write_constant(d, fw);
	if (uniform(d, 0, 1) < 0.5)
		write_bursts(d, fw);
	write_set(d, fw);
	if (uniform(d, 0, 1) < 0.3)
		fw->growth = any_size(d, 0.05, 1);
}

static const struct kind {
	const char *name;
	void (*draw)(struct dice *d, struct fake_writer *fw);
} kinds[] = {{"constant", write_constant},
	     {"burst", write_bursts},
	     {"hot-set", write_set},
	     {"growing", write_growing},
	     {"mixed", write_mixed}};

static const struct kind *
kind_of(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return NULL;
}

bool
fake_writer_is_kind(const char *kind)
{
	return kind_of(kind) != NULL;
}

void
fake_writer_draw(const char *kind, uint64_t seed, double size,
		 struct fake_writer *ret)
{
	struct dice d = {seed * 0x10000001u};

	*ret = (struct fake_writer){.seed = seed, .size = size};
	ret->steady = mem_new((BINS + 1) * sizeof(*ret->steady));
	ret->used = size * uniform(&d, 0.1, 0.9);
	ret->full_rate = size / any_size(&d, 100, 2000);
	ret->delta_rate = ret->full_rate * uniform(&d, 0.4, 1);
	ret->read_rate = ret->full_rate * any_size(&d, 0.7, 4);
	ret->sigma = uniform(&d, 0.03, 0.25);
	ret->begin_s = any_size(&d, 0.2, 3);
	ret->point_s = any_size(&d, 0.5, 5);
	ret->stop = make_span(&d, any_size(&d, 2, 20), 5);
	ret->convert = make_span(&d, any_size(&d, 15, 60), 6);
	ret->start = make_span(&d, any_size(&d, 1, 10), 4);
	kind_of(kind)->draw(&d, ret);
	for (size_t i = 0; i < BINS; i++)
		ret->steady[i + 1] += ret->steady[i];
}

void
fake_writer_done(struct fake_writer *fw)
{
	free(steal(&fw->steady));
}

static double
written_until(const struct fake_writer *fw, double t)
{
	double bins = fmax(t, 0) / BIN_S, rounds = floor(bins / BINS);
	double at = bins - rounds * BINS;
	size_t i = (size_t)at;

	if (i >= BINS)
		i = BINS - 1;
	return rounds * fw->steady[BINS] + fw->steady[i] +
	       (fw->steady[i + 1] - fw->steady[i]) * (at - (double)i);
}

double
fake_writer_changed(const struct fake_writer *fw, double from, double to)
{
	double grown = 1 + fw->growth * (from + to) / 7200;
	double hot = fw->hot * grown;
	double writes = fw->hot_rate * grown * (to - from);
	double sum = written_until(fw, to) - written_until(fw, from);

	if (hot > 0)
		sum += hot * (1 - exp(-writes / hot));
	return fmin(floor(sum / 65536) * 65536, fw->size);
}

double
fake_writer_copying(const struct fake_writer *fw, double bytes)
{
	return fw->begin_s + bytes / fw->delta_rate;
}

double
fake_writer_reading(const struct fake_writer *fw, double bytes)
{
	return fw->begin_s / 4 + bytes / fw->read_rate;
}

double
fake_writer_luck(const struct fake_writer *fw, const char *step, unsigned round)
{
	uint64_t hash = 14695981039346656037u ^ fw->seed;
	struct dice d;

	for (; *step; step++)
		hash = (hash ^ (uint8_t)*step) * 1099511628211u;
	d.state = (hash ^ round) * 1099511628211u;
	return exp(fw->sigma * normal(&d));
}
