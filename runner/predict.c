/* SPDX-License-Identifier: Apache-2.0 */
/* Straight lines between logarithms, and how far off they are. */
#include "predict.h"

#include <math.h>

#include "base/clock.h"
#include "base/units.h"

#define Z 1.645		    /* of a normal distribution, 5 % lie beyond */
#define MEMORY 0.65	    /* what a generation counts, to the one after it */
#define LEAST_BYTES 65536.0 /* nothing at all has no logarithm */
#define GIB 1073741824.0
#define MOST_MS 1e15 /* that can be told */
#define STEPS 8	     /* generations that are thought ahead */
#define WORTH 0.95   /* of the downtime that is left after them */
#define ENOUGH 1.5   /* sights of about that age */
#define PATIENCE 3   /* generations of a run that bring it no nearer */

/* A straight line is y = a + slope * x, in logarithms. */
struct sight {
	double x, y, weight;
};

struct sights {
	struct sight all[PREDICT_GENERATIONS];
	size_t n;
};

/* What is assumed before anything is seen. */
struct belief {
	double slope, slope_off; /* and how far it may be off */
	double steepest;	 /* it can be; at least it is 0 */
	double off, dof; /* sights lie so far from the line; said by `dof` */
	double quiet;	 /* and so far below it */
	double width;	 /* a sight so far from what is asked counts half */
};

/* Bytes by time: from the same blocks again and again (0) to bursts, which a
 * short time mostly has nothing of, and a long one a few (over 1).  A guest
 * that pauses writes less by far than one that hurries writes more. */
static const struct belief dirtying = {0.75, 0.4, 2, 0.3, 3, 0.8, 1};
/* Time by bytes: nearly as many times more, less what beginning takes. */
static const struct belief moving = {0.95, 0.05, 1, 0.12, 4, 0.12, 1.5};
/* The same each time. */
static const struct belief alike = {0, 0.001, 1, 0.1, 4, 0.1, 1};

static void
add_sight(struct sights *s, double x, double y, double weight)
{
	s->all[s->n++] = (struct sight){log(x), log(y), weight};
}

/* Student's t: 5 % lie beyond. */
static double
t_quantile(double dof)
{
	return Z + 1.524 / dof + 1.42 / (dof * dof) + 1.4 / pow(dof, 3);
}

/* What a sight counts where `x0` is asked: less, the farther it lies. */
static double
weight_at(const struct sight *s, const struct belief *b, double x0)
{
	return s->weight / (1 + pow((s->x - x0) / b->width, 2));
}

/* How many sights there are of about `at`. */
static double
sights_near(const struct sights *s, const struct belief *b, double at)
{
	double n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += weight_at(&s->all[i], b, log(at));
	return n;
}

/* Weighted least squares around `at`, the slope pulled towards what is believed
 * of it.  The range: how far sights lie from the line (Student's t), and where
 * `at` would lie on the least and on the steepest line that can be. */
static struct predict_range
look_at(const struct sights *s, const struct belief *b, double at)
{
	double s0 = 0, s1 = 0, s2 = 0, t0 = 0, t1 = 0, seen = 0, squares, pull;
	double x0 = log(at), slope, off, here, least, most, above, below;

	for (size_t i = 0; i < s->n; i++) {
		double x = s->all[i].x - x0, y = s->all[i].y;
		double w = weight_at(&s->all[i], b, x0);

		s0 += w;
		s1 += w * x;
		s2 += w * x * x;
		t0 += w * y;
		t1 += w * x * y;
	}
	pull = pow(b->off / b->slope_off, 2);
	slope =
	    (t1 - s1 * t0 / s0 + pull * b->slope) / (s2 - s1 * s1 / s0 + pull);
	slope = fmin(fmax(slope, 0), b->steepest);
	here = (t0 - slope * s1) / s0;
	for (size_t i = 0; i < s->n; i++)
		seen += weight_at(&s->all[i], b, x0) *
			pow(s->all[i].y - here - slope * (s->all[i].x - x0), 2);
	squares = (b->dof * b->off * b->off + seen) / (b->dof + s0);
	off = Z / sqrt(pow(b->slope_off, -2) + (s2 - s1 * s1 / s0) / squares);
	least = here - (fmax(slope - off, 0) - slope) * s1 / s0;
	most = here - (fmin(slope + off, b->steepest) - slope) * s1 / s0;
	above = sqrt(squares * (1 + 1 / s0)) * t_quantile(b->dof + s0);
	squares = (b->dof * b->quiet * b->quiet + seen) / (b->dof + s0);
	below = sqrt(squares * (1 + 1 / s0)) * t_quantile(b->dof + s0);
	return (struct predict_range){
	    exp(here - hypot(below, here - fmin(least, most))), exp(here),
	    exp(here + hypot(above, fmax(least, most) - here))};
}

static struct predict_range
part_range(const struct predict_part *p)
{
	struct sights seen = {0};
	double low = (double)p->low_ms, high = (double)p->high_ms;

	for (size_t i = 0; i < p->nseen && i < PREDICT_MEASURED; i++)
		add_sight(&seen, 1, fmax((double)p->seen_ms[i], 1), 1);
	if (seen.n > 0)
		return look_at(&seen, &alike, 1);
	return (struct predict_range){low, sqrt(low * high), high};
}

/* What the generations say, read once. */
struct past {
	const struct predict_input *in;
	struct sights dirty, copy, verify;
	struct sights point; /* what a generation takes beside copying */
};

static void
read_generation(const struct generation_seen *g, double weight,
		struct past *ret)
{
	double moved = (double)g->moved, copying = (double)g->copying_ms;
	double verifying = (double)g->verifying_ms;
	double beside = (double)(g->ended_ms - g->point_ms) - copying;

	add_sight(&ret->point, 1, fmax(beside - verifying, 1), weight);
	if (g->whole) { /* scattered blocks go slower than long rows */
		copying *= 1.5;
		weight *= 0.3;
	} else
		moved += (double)ret->in->reread;
	add_sight(&ret->copy, fmax(moved, LEAST_BYTES), fmax(copying, 1),
		  weight);
	if (g->verified > 0)
		add_sight(&ret->verify, (double)g->verified, fmax(verifying, 1),
			  weight);
}

static void
read_past(const struct predict_input *in, struct past *ret)
{
	size_t n = in->ngenerations, i = 0;

	if (n > PREDICT_GENERATIONS)
		i = n - PREDICT_GENERATIONS;
	*ret = (struct past){.in = in};
	for (; i < n; i++) {
		const struct generation_seen *g = &in->generations[i];
		double weight = pow(MEMORY, (double)(n - 1 - i));
		int64_t passed;

		read_generation(g, weight, ret);
		if (g->whole || i == 0)
			continue;
		passed = g->point_ms - g[-1].point_ms;
		add_sight(&ret->dirty, fmax((double)passed, 1),
			  fmax((double)g->changed, LEAST_BYTES), weight);
	}
}

static struct predict_range
copy_guess(const struct past *p, double bytes)
{
	return look_at(&p->copy, &moving,
		       fmax(bytes + (double)p->in->reread, LEAST_BYTES));
}

static struct predict_range
verify_guess(const struct past *p, double bytes)
{
	return look_at(p->verify.n > 0 ? &p->verify : &p->copy, &moving,
		       fmax(bytes, LEAST_BYTES));
}

/* Bytes that change in `ms`.  When nothing was seen, between a thousandth of
 * what copying moves, and all of it. */
static struct predict_range
dirty_guess(const struct past *p, double ms)
{
	double all = ms * GIB / copy_guess(p, GIB).likely;
	double size = (double)p->in->size;
	struct predict_range r = {all / 1000, all / 32, all};

	if (p->dirty.n > 0)
		r = look_at(&p->dirty, &dirtying, fmax(ms, 1));
	return (struct predict_range){fmin(r.low, size), fmin(r.likely, size),
				      fmin(r.high, size)};
}

/* Adds a part; what is unsure of it adds up as squares do. */
static void
add_range(struct predict_range *sum, const struct predict_range *part)
{
	double low = sum->likely - sum->low, high = sum->high - sum->likely;

	low = hypot(low, part->likely - part->low);
	high = hypot(high, part->high - part->likely);
	sum->likely += part->likely;
	sum->low = sum->likely - low;
	sum->high = sum->likely + high;
}

/* What takes longer, the more there is, for a range of bytes: as far as it is
 * unsure by itself, and in how far it is because the bytes are. */
struct moving_part {
	struct predict_range alone;
	double below, above;
};

static struct moving_part
with_bytes(const struct past *p, const struct predict_range *bytes,
	   struct predict_range (*guess)(const struct past *p, double bytes),
	   double more)
{
	struct predict_range r = guess(p, bytes->likely + more);

	return (struct moving_part){
	    .alone = r,
	    .below = r.likely - guess(p, bytes->low + more).likely,
	    .above = guess(p, bytes->high + more).likely - r.likely,
	};
}

static struct predict_range
range_of(const struct moving_part *m)
{
	const struct predict_range *r = &m->alone;

	return (struct predict_range){
	    fmax(r->likely - hypot(r->likely - r->low, m->below), 0), r->likely,
	    r->likely + hypot(r->high - r->likely, m->above)};
}

/* How long a generation takes that begins `age` after the last point. */
static double
cycle(const struct past *p, double age)
{
	double bytes = dirty_guess(p, age).likely;
	double ms =
	    look_at(&p->point, &alike, 1).likely + copy_guess(p, bytes).likely;

	if (p->in->rehearse_before)
		ms += part_range(&p->in->convert).likely +
		      part_range(&p->in->boot).likely;
	return ms + (p->in->verify_before ? verify_guess(p, bytes).likely : 0);
}

/* Of all parts together.  When there are more bytes than was thought, copying
 * and reading back take longer both. */
static void
add_up(const struct moving_part *delta, const struct moving_part *verify,
       struct prediction *ret)
{
	const struct predict_range *parts[] = {&ret->stop,     &delta->alone,
					       &verify->alone, &ret->convert,
					       &ret->boot,     &ret->start};
	struct predict_range bytes = {.low = -delta->below - verify->below,
				      .high = delta->above + verify->above};

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		add_range(&ret->downtime, parts[i]);
	add_range(&ret->downtime, &bytes);
	ret->downtime.low = fmax(ret->downtime.low, 0);
}

/* Of a cutover `age` after the last point. */
static void
predict_at(const struct past *p, double age, struct prediction *ret)
{
	const struct predict_input *in = p->in;
	struct predict_range none = {0};
	struct moving_part delta, verify = {0};

	*ret = (struct prediction){0};
	ret->stop = part_range(&in->stop);
	ret->convert = part_range(&in->convert);
	ret->boot = part_range(&in->boot);
	ret->start = part_range(&in->start);
	ret->bytes = dirty_guess(p, age + ret->stop.likely);
	delta = with_bytes(p, &ret->bytes, copy_guess, 0);
	if (in->verify_delta || in->verify_behind > 0)
		verify = with_bytes(p, in->verify_delta ? &ret->bytes : &none,
				    verify_guess, (double)in->verify_behind);
	ret->delta = range_of(&delta);
	ret->verify = range_of(&verify);
	add_up(&delta, &verify, ret);
	ret->dirty_rate =
	    ret->bytes.likely * 1000 / fmax(age + ret->stop.likely, 1);
	ret->copy_rate = GIB * 1000 / copy_guess(p, GIB).likely;
	ret->cycle_ms = cycle(p, age);
}

/* Of the last point. */
static double
age_of(const struct predict_input *in)
{
	int64_t point = in->generations[in->ngenerations - 1].point_ms;

	return (double)(in->now_ms > point ? in->now_ms - point : 0);
}

/* Until the window ends. */
static double
window_of(const struct predict_input *in)
{
	return in->window_end_ms ? (double)(in->window_end_ms - in->now_ms)
				 : INFINITY;
}

void
predict_parts(const struct predict_part *const *parts, size_t n,
	      struct predict_range *ret)
{
	*ret = (struct predict_range){0};
	for (size_t i = 0; i < n; i++) {
		struct predict_range part = part_range(parts[i]);

		add_range(ret, &part);
	}
}

void
predict_downtime(const struct predict_input *in, struct prediction *ret)
{
	struct past past;

	read_past(in, &past);
	predict_at(&past, age_of(in), ret);
}

/* Takes generations in thought, as long as that shortens the downtime and ends
 * within the window. */
static void
look_ahead(const struct past *p, struct predict_decision *d)
{
	const struct predict_input *in = p->in;
	double age = age_of(in), end = window_of(in);

	d->best = d->now;
	for (size_t i = 1; i <= STEPS && i <= in->generations_left; i++) {
		struct prediction next;

		age = cycle(p, age);
		end -= age;
		predict_at(p, age, &next);
		if (next.downtime.likely >= WORTH * d->best.downtime.likely ||
		    next.downtime.high > end)
			return;
		d->best = next;
		d->generations = i;
	}
}

/* What was predicted once the first `n` were taken, at most. */
static double
high_after(const struct predict_input *in, size_t n)
{
	struct predict_input then = *in;
	struct prediction p;
	struct past past;

	then.ngenerations = n;
	then.now_ms = in->generations[n - 1].ended_ms;
	read_past(&then, &past);
	predict_at(&past, age_of(&then), &p);
	return p.downtime.high;
}

/* How many of them came behind the best of them. */
static size_t
count_vain(const struct predict_input *in)
{
	double best = INFINITY;
	size_t vain = 0;

	for (size_t n = 1; in->since_ms > 0 && n <= in->ngenerations; n++) {
		double high;

		if (in->generations[n - 1].point_ms < in->since_ms)
			continue;
		high = high_after(in, n);
		vain++;
		if (high >= WORTH * best)
			continue;
		best = high;
		vain = 0;
	}
	return vain;
}

/* `because`: in words that the best's figures may follow. */
static enum predict_verdict
decide(const struct past *p, const struct predict_decision *d,
       const char **because)
{
	const struct predict_input *in = p->in;
	const struct predict_range *now = &d->now.downtime;
	double budget =
	    in->max_downtime_ms ? (double)in->max_downtime_ms : INFINITY;
	double window = window_of(in);
	bool fits = now->high <= fmin(budget, window);
	bool known =
	    sights_near(&p->dirty, &dirtying, d->now.cycle_ms) >= ENOUGH;
	bool patient = d->vain < PATIENCE;

	if (patient && d->generations > 0 && d->best.downtime.high <= budget &&
	    (!fits || !in->max_downtime_ms)) {
		*because = "more generations bring it nearer";
		return PREDICT_ANOTHER_GENERATION;
	}
	if (fits && (p->dirty.n > 0 || budget == INFINITY || !patient ||
		     in->generations_left == 0)) {
		*because = "that fits";
		return PREDICT_CUT_OVER;
	}
	if (!fits && now->high <= budget) {
		*because = "the window ends before that";
		return PREDICT_WAIT;
	}
	if (d->best.downtime.low > budget) {
		*because = "more generations do not help";
		return PREDICT_CANNOT;
	}
	if (!patient && in->generations_left > 0) {
		*because = "the last generations of this run brought it no "
			   "nearer, it may fit later";
		return PREDICT_WAIT;
	}
	if (!known && in->generations_left > 0 && now->low <= window) {
		*because = "too little is known of how the guest writes, "
			   "another generation tells more";
		return PREDICT_ANOTHER_GENERATION;
	}
	*because = in->generations_left > 0 ? "it may fit later"
					    : "no generation is left";
	return PREDICT_WAIT;
}

static void
say_span(struct buf *why, const char *what, const struct predict_range *r)
{
	char low[CLOCK_TEXT_SIZE], high[CLOCK_TEXT_SIZE];

	buf_printf(
	    why, "%s %s to %s", what,
	    clock_format_duration((int64_t)fmin(r->low, MOST_MS), low),
	    clock_format_duration((int64_t)fmin(r->high, MOST_MS), high));
}

void
predict_say_window(const struct predict_range *down, int64_t left_ms,
		   struct buf *why)
{
	char left[CLOCK_TEXT_SIZE];

	say_span(why, "predicted", down);
	buf_printf(why, ", window %s: it ends before that",
		   clock_format_duration(left_ms > 0 ? left_ms : 0, left));
}

static void
explain(const struct predict_input *in, const struct predict_decision *d,
	const char *because, struct buf *why)
{
	char text[CLOCK_TEXT_SIZE];
	char dirty[UNITS_TEXT_SIZE], copy[UNITS_TEXT_SIZE];

	say_span(why, "predicted", &d->now.downtime);
	if (in->max_downtime_ms)
		buf_printf(why, ", budget %s",
			   clock_format_duration(in->max_downtime_ms, text));
	if (in->window_end_ms)
		buf_printf(why, ", window %s",
			   clock_format_duration(
			       (int64_t)fmax(window_of(in), 0), text));
	buf_printf(why, "; the guest writes %s/s, copying runs at %s/s; %s",
		   units_format_bytes((uint64_t)d->now.dirty_rate, dirty),
		   units_format_bytes((uint64_t)d->now.copy_rate, copy),
		   because);
	if (d->verdict == PREDICT_CUT_OVER)
		return;
	say_span(why, ": best", &d->best.downtime);
	if (d->generations > 0)
		buf_printf(why, " after %zu more", d->generations);
}

void
predict_decide(const struct predict_input *in, struct predict_decision *ret,
	       struct buf *why)
{
	const char *because;
	struct past past;

	*ret = (struct predict_decision){.verdict = PREDICT_ANOTHER_GENERATION};
	if (in->ngenerations == 0) {
		buf_adds(why, "nothing is copied yet");
		return;
	}
	read_past(in, &past);
	predict_at(&past, age_of(in), &ret->now);
	look_ahead(&past, ret);
	ret->vain = count_vain(in);
	ret->verdict = decide(&past, ret, &because);
	explain(in, ret, because, why);
}
