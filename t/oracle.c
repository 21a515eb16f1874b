/* SPDX-License-Identifier: Apache-2.0 */
/* Downtimes by who knows the writer. */
#include "t/oracle.h"

#include <math.h>
#include <stdlib.h>

#include "t/dice.h"

#define MOMENTS 30
#define DRAWS 200

static double
middle(const struct fake_span *s)
{
	return sqrt(s->low * s->high);
}

static double
draw(const struct fake_span *s)
{
	return middle(s) * noise(log(s->high / s->low) / 3.29);
}

static double
draw_convert(const struct oracle_question *q)
{
	const struct fake_span *s = &q->writer->convert;

	return q->measured > 0 ? s->takes * noise(q->measured) : draw(s);
}

static double
reading(const struct oracle_question *q, double bytes)
{
	return q->verify ? fake_writer_reading(q->writer, bytes) : 0;
}

double
oracle_downtime(const struct oracle_question *q, double point, double now,
		const struct luck *luck)
{
	double bytes = fake_writer_changed(q->writer, point, now + luck->stop);

	return luck->stop + fake_writer_copying(q->writer, bytes) * luck->copy +
	       reading(q, bytes) * luck->verify + luck->convert + luck->start;
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
sure_at(const struct oracle_question *q, double point, double now)
{
	const struct fake_writer *fw = q->writer;
	double drawn[DRAWS];

	for (size_t i = 0; i < DRAWS; i++) {
		struct luck luck = {draw(&fw->stop), draw_convert(q),
				    draw(&fw->start), noise(fw->sigma),
				    noise(fw->sigma)};

		drawn[i] = oracle_downtime(q, point, now, &luck);
	}
	qsort(drawn, DRAWS, sizeof(*drawn), by_value);
	return drawn[DRAWS * 19 / 20];
}

/* The shortest downtime that was seen, and where. */
struct moment {
	double down, point, now;
};

static void
look(const struct oracle_question *q, double point, double now,
     const struct luck *luck, struct moment *best)
{
	double down = oracle_downtime(q, point, now, luck);

	if (down < best->down)
		*best = (struct moment){down, point, now};
}

static double
generation(const struct oracle_question *q, double bytes)
{
	return q->writer->point_s + fake_writer_copying(q->writer, bytes) +
	       reading(q, bytes);
}

struct path {
	double last, point, horizon;
	size_t most;
};

/* Takes generations back to back, and looks at each end of one. */
static void
follow(const struct oracle_question *q, struct path p, const struct luck *luck,
       struct moment *best)
{
	while (p.most-- > 0 && p.point < p.horizon) {
		double bytes = fake_writer_changed(q->writer, p.last, p.point);

		p.last = p.point;
		p.point += generation(q, bytes);
		look(q, p.last, p.point, luck, best);
	}
}

void
oracle_ask(const struct oracle_question *q, struct oracle *ret)
{
	const struct fake_writer *fw = q->writer;
	struct luck usual = {
	    middle(&fw->stop),
	    q->measured > 0 ? fw->convert.takes : middle(&fw->convert),
	    middle(&fw->start), 1, 1};
	struct moment hindsight = {.down = INFINITY};
	struct moment best = hindsight, next = hindsight;
	double least = generation(q, 0);

	dice = q->seed;
	for (size_t i = 0; i < MOMENTS; i++) {
		double at =
		    q->due + (q->horizon - q->due) * (double)i / MOMENTS;
		struct path p = {at - least, at, q->horizon, 5};

		follow(q, p, &q->real, &hindsight);
		follow(q, p, &usual, &best);
	}
	look(q, q->last, q->due, &usual, &next);
	follow(q, (struct path){q->last, q->due, q->horizon, 1000}, &usual,
	       &next);
	*ret = (struct oracle){.best = best.down,
			       .hindsight = hindsight.down,
			       .sure = sure_at(q, next.point, next.now)};
}
