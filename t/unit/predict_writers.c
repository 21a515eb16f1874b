/* SPDX-License-Identifier: Apache-2.0 */
/* The downtime predictor, against guests that write on a virtual clock: guests,
 * copying and the run's loop are simulated, so that thousands of days pass in
 * seconds.  Here each prediction counts, and conversions that were measured;
 * what the run's own loop makes of predictions is t/unit/runs.
 *
 * SEED repeats a run (two are printed: a fixed one and one of the moment), RUNS
 * is how many of each kind of writer.
 *
 * A run: a full copy, some generations at their interval, then the cutover is
 * due, and predict_decide is asked until it cuts over or the horizon is passed:
 * another generation at once, or the next at its interval.  Nothing that the
 * predictor is not told leaks to it: it believes ranges for the stop, the start
 * and an unmeasured conversion in which nine of ten true values lie.
 *
 * An oracle knows the writer, the rates and their noise (t/oracle.h).  It calls
 * a run
 *
 *  - infeasible, when the best there can be is over the budget.  At every
 *    moment it is likelier than not that the budget is broken;
 *  - feasible, when 1.2 times what is nearly sure to be had is within it;
 *  - hopeless, when with hindsight the best would be over it.  Nobody can know
 *    an unlucky stop before it; such runs are told, and must be few;
 *  - the rest is a matter of luck: told, not judged. */
#include "runner/predict.h"

#include <math.h>
#include <stdlib.h>
#include <sys/random.h>

#include "stages/fake_writer.h"
#include "t/dice.h"
#include "t/oracle.h"
#include "t/tap.h"

#define MIB 1048576.0
#define GIB (1024 * MIB)
#define MOST_SEEN 400

static const char *const kinds[] = {"constant", "burst", "hot-set", "growing",
				    "mixed"};
#define NKINDS (sizeof(kinds) / sizeof(kinds[0]))

/* -- what moves it -- */

struct world {
	struct fake_writer writer;
	bool verify;
	double measured; /* see t/oracle.h */
	double seen[PREDICT_MEASURED];
	size_t nseen;
	double interval;
	size_t before; /* generations until the cutover is due */
	double horizon;
	double budget;
	struct luck luck; /* of this run's cutover, whenever it comes */
};

static void
make_world(const char *kind, uint64_t seed, struct world *w)
{
	const struct fake_writer *fw = &w->writer;

	*w = (struct world){0};
	dice = seed;
	fake_writer_draw(kind, seed, any_size(10 * GIB, 200 * GIB), &w->writer);
	w->verify = uniform(0, 1) < 0.7;
	if (uniform(0, 1) < 0.6) {
		w->measured = uniform(0.03, 0.15);
		w->nseen = (size_t)uniform(1, 6);
	}
	for (size_t i = 0; i < w->nseen; i++)
		w->seen[i] = fw->convert.takes * noise(w->measured);
	w->interval = uniform(0, 1) < 0.5 ? 3600 : any_size(600, 3600);
	w->before = (size_t)uniform(0, 7);
	w->luck = (struct luck){
	    fw->stop.takes, fw->convert.takes * noise(w->measured),
	    fw->start.takes, noise(fw->sigma), noise(fw->sigma)};
}

static struct oracle_question
question_of(const struct world *w)
{
	return (struct oracle_question){.writer = &w->writer,
					.verify = w->verify,
					.measured = w->measured,
					.real = w->luck};
}

static double
copying(const struct world *w, double bytes)
{
	return fake_writer_copying(&w->writer, bytes);
}

static double
reading(const struct world *w, double bytes)
{
	return w->verify ? fake_writer_reading(&w->writer, bytes) : 0;
}

/* -- the engine, as far as time goes -- */

struct engine {
	const struct world *w;
	struct generation_seen seen[MOST_SEEN];
	size_t n;
	double now, point;
};

static int64_t
ms(double seconds)
{
	return (int64_t)(seconds * 1000);
}

static void
take_generation(struct engine *e)
{
	const struct world *w = e->w;
	const struct fake_writer *fw = &w->writer;
	double point = e->now, bytes, copy, verify;
	bool first = e->n == 0;

	bytes = first ? fw->used : fake_writer_changed(fw, e->point, point);
	copy = first ? fw->begin_s + bytes / fw->full_rate : copying(w, bytes);
	copy *= noise(fw->sigma);
	verify = reading(w, bytes) * noise(fw->sigma);
	e->point = point;
	e->now = point + fw->point_s * noise(0.2) + copy + verify;
	e->seen[e->n++] = (struct generation_seen){
	    .point_ms = ms(point),
	    .ended_ms = ms(e->now),
	    .whole = first,
	    .changed = first ? 0 : (uint64_t)bytes,
	    .moved = (uint64_t)bytes,
	    .copying_ms = ms(copy),
	    .verified = w->verify ? (uint64_t)bytes : 0,
	    .verifying_ms = ms(verify)};
}

static struct predict_part
told(const struct fake_span *s)
{
	return (struct predict_part){.low_ms = ms(s->low),
				     .high_ms = ms(s->high)};
}

static enum predict_verdict
ask(const struct engine *e, struct predict_decision *ret)
{
	const struct world *w = e->w;
	struct buf why = {0};
	struct predict_input in = {.generations = e->seen,
				   .ngenerations = e->n,
				   .size = (uint64_t)w->writer.size,
				   .stop = told(&w->writer.stop),
				   .convert = told(&w->writer.convert),
				   .start = told(&w->writer.start),
				   .verify_before = w->verify,
				   .verify_delta = w->verify,
				   .max_downtime_ms = ms(w->budget),
				   .generations_left = UINT64_MAX,
				   .now_ms = ms(e->now)};

	for (size_t i = 0; i < w->nseen; i++)
		in.convert.seen_ms[in.convert.nseen++] = ms(w->seen[i]);
	predict_decide(&in, ret, &why);
	buf_done(&why);
	return ret->verdict;
}

/* -- runs -- */

/* All double, so that they add up. */
struct tally {
	double runs, asked, most_in_a_row;
	double feasible, cut_feasible, kept_feasible;
	double infeasible, cut_infeasible;
	double hopeless, cut_hopeless;
	double cut_else, kept_else;
	double held, below; /* of all predictions, each run counting one */
	double cuts, held_at_cut;
	double width; /* of the range, in logarithms */
};

static bool
covers(const struct prediction *p, double down)
{
	return down * 1000 >= p->downtime.low &&
	       down * 1000 <= p->downtime.high;
}

static double
outcome(const struct engine *e, bool at_last)
{
	const struct world *w = e->w;
	struct oracle_question q = question_of(w);
	struct luck luck = w->luck;

	if (!at_last) {
		luck.copy = noise(w->writer.sigma);
		luck.verify = noise(w->writer.sigma);
	}
	return oracle_downtime(&q, e->point, e->now, &luck);
}

/* Asks until the answer is to cut over, or time is up. */
static bool
run_engine(struct engine *e, struct tally *t)
{
	const struct world *w = e->w;
	double asked = 0, held = 0, below = 0, width = 0, row = 0;
	enum predict_verdict verdict = PREDICT_WAIT;
	struct predict_decision d;

	while (e->now < w->horizon && e->n < MOST_SEEN) {
		double down = outcome(e, false);

		verdict = ask(e, &d);
		asked++;
		held += covers(&d.now, down);
		below += down * 1000 < d.now.downtime.low;
		width += log(d.now.downtime.high / d.now.downtime.low);
		if (verdict == PREDICT_CUT_OVER)
			break;
		if (verdict != PREDICT_ANOTHER_GENERATION) {
			e->now = fmax(e->now, e->point + w->interval);
			row = 0;
		}
		t->most_in_a_row = fmax(t->most_in_a_row, ++row);
		take_generation(e);
	}
	t->asked += asked;
	t->held += held / asked;
	t->below += below / asked;
	t->width += width / asked;
	if (verdict != PREDICT_CUT_OVER)
		return false;
	t->cuts++;
	t->held_at_cut += covers(&d.now, outcome(e, true));
	return true;
}

static void
try_once(const char *kind, uint64_t seed, struct tally *t)
{
	static struct engine e;
	struct oracle_question q;
	struct world w;
	struct oracle o;
	bool cut, kept;

	make_world(kind, seed, &w);
	e = (struct engine){.w = &w};
	take_generation(&e);
	for (size_t i = 0; i < w.before && e.now < 72000; i++) {
		e.now = fmax(e.now, e.point + w.interval);
		take_generation(&e);
	}
	w.horizon = e.now + 6 * w.interval;
	q = question_of(&w);
	q.last = e.point;
	q.due = e.now;
	q.horizon = w.horizon;
	q.seed = seed + 1;
	oracle_ask(&q, &o);
	w.budget = o.best * any_size(0.5, 4);
	cut = run_engine(&e, t);
	kept = cut && outcome(&e, true) <= w.budget;
	t->runs++;
	t->hopeless += o.hindsight > w.budget;
	t->cut_hopeless += cut && o.hindsight > w.budget;
	if (o.best > w.budget) {
		t->infeasible++;
		t->cut_infeasible += cut;
	} else if (1.2 * o.sure <= w.budget) {
		t->feasible++;
		t->cut_feasible += cut;
		t->kept_feasible += kept;
	} else {
		t->cut_else += cut;
		t->kept_else += kept;
	}
	fake_writer_done(&w.writer);
}

static void
tell(const char *name, const struct tally *t)
{
	tap_diag(
	    "%s: feasible %.0f, cut over %.1f %%, kept %.1f %%; "
	    "infeasible %.0f, cut over %.0f; hopeless %.0f, cut over %.0f; "
	    "else %.0f, cut over %.0f, kept %.0f",
	    name, t->feasible, 100 * t->cut_feasible / t->feasible,
	    100 * t->kept_feasible / t->cut_feasible, t->infeasible,
	    t->cut_infeasible, t->hopeless, t->cut_hopeless,
	    t->runs - t->feasible - t->infeasible, t->cut_else, t->kept_else);
	tap_diag("%s: ranges held %.1f %% (%.1f %% were below), at cutover "
		 "%.1f %%; high is %.2f times low; asked %.1f times, at most "
		 "%.0f in a row",
		 name, 100 * t->held / t->runs, 100 * t->below / t->runs,
		 100 * t->held_at_cut / t->cuts, exp(t->width / t->runs),
		 t->asked / t->runs, t->most_in_a_row);
}

static bool
within_range(double share, double low, double high)
{
	return share >= low && share <= high;
}

/* What is asked of the predictor, of each kind `slack` less; of the ranges of
 * all predictions that is asked of each kind alone, too, but for `luck`. */
static void
judge(const char *name, const struct tally *t, double slack, double luck)
{
	ok(t->kept_feasible >= (0.95 - slack / 2) * t->cut_feasible,
	   "%s: who cuts over keeps a feasible budget", name);
	ok(t->cut_feasible >= (0.95 - slack) * t->feasible,
	   "%s: most feasible runs are cut over", name);
	ok(t->cut_infeasible <= slack * 0.1 * t->infeasible,
	   "%s: no infeasible one is", name);
	ok(t->cut_hopeless <= (0.01 + slack * 0.4) * t->hopeless,
	   "%s: and hardly a hopeless one", name);
	ok(t->most_in_a_row < 30, "%s: it does not go on for ever", name);
	ok(within_range(t->held / t->runs, 0.85 - luck, 0.95 + luck / 2),
	   "%s: nine of ten downtimes lie in their range", name);
	ok(within_range(t->held_at_cut / t->cuts, 0.85 - slack,
			0.95 + slack / 2),
	   "%s: at the cutovers too", name);
}

/* A fixed seed must hold what is asked; one of the moment may miss a little. */
static void
try_all(uint64_t seed, int runs, double slack)
{
	struct tally all = {0};
	double row = 0;

	tap_diag("SEED=%llu RUNS=%d", (unsigned long long)seed, runs);
	for (size_t k = 0; k < NKINDS; k++) {
		struct tally t = {0};
		const double *part = (const double *)&t;
		double *sum = (double *)&all;

		for (int i = 0; i < runs; i++)
			try_once(kinds[k], seed + k * 1000000 + (uint64_t)i,
				 &t);
		tell(kinds[k], &t);
		judge(kinds[k], &t, slack + 0.05, slack * 1.5);
		row = fmax(row, t.most_in_a_row);
		for (size_t i = 0; i < sizeof(t) / sizeof(double); i++)
			sum[i] += part[i];
	}
	all.most_in_a_row = row;
	tell("all", &all);
	judge("all", &all, slack, slack);
}

int
main(void)
{
	const char *seed = getenv("SEED"), *runs = getenv("RUNS");
	int n = runs ? (int)strtol(runs, NULL, 10) : 300;
	uint64_t random = 1;

	(void)!getrandom(&random, sizeof(random), 0);
	if (seed)
		random = strtoull(seed, NULL, 10);
	else
		try_all(20261120, 1000, 0);
	try_all(random, n, 0.05);
	return tap_done();
}
