/* SPDX-License-Identifier: Apache-2.0 */
/* Properties of pools under random work: several runs share one machine, each
 * works through a random graph; order is respected, no pool is exceeded, what
 * can run runs, and everything ends.
 *
 * SEED=N repeats a run of it, TRIALS=N makes more of them. */
#include "pool.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "t/tap.h"

#define NRUNS 3
#define NKINDS 4
#define MAX_STEPS 40

struct sim_step {
	struct claim claim;
	bool wants[NKINDS];
	bool after[MAX_STEPS];
	enum { WAITS, RUNS, IS_DONE } phase;
	bool asked;
};

struct sim_run {
	struct pools *pools;
	struct pool *of[NKINDS];
	int limits[NKINDS];
	struct sim_step steps[MAX_STEPS];
	size_t nsteps, ndone;
};

static struct sim_run runs[NRUNS];
static size_t nruns;
static bool shared;
static uint64_t random_state;

/* What went wrong first, in one trial. */
static const char *wrong;

static unsigned
dice(unsigned n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned)((random_state >> 33) % n);
}

static void
note(const char *what)
{
	if (!wrong)
		wrong = what;
}

/* Places taken of a kind, in all runs or in one. */
static int
taken(const struct sim_run *of, size_t kind)
{
	int n = 0;

	for (size_t r = 0; r < nruns; r++)
		for (size_t i = 0; i < runs[r].nsteps; i++)
			if ((!of || of == &runs[r]) &&
			    runs[r].steps[i].wants[kind] &&
			    runs[r].steps[i].claim.held)
				n++;
	return n;
}

static int
largest_limit(size_t kind)
{
	int most = 0;

	for (size_t r = 0; r < nruns; r++)
		if (runs[r].limits[kind] > most)
			most = runs[r].limits[kind];
	return most;
}

static bool
is_ready(const struct sim_run *r, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (r->steps[n].after[i] && r->steps[i].phase != IS_DONE)
			return false;
	return r->steps[n].phase == WAITS;
}

static void
check_limits(void)
{
	for (size_t k = 0; k < NKINDS; k++) {
		for (size_t r = 0; r < nruns; r++)
			if (taken(&runs[r], k) > runs[r].limits[k])
				note("a run exceeds its limit");
		if (shared && taken(NULL, k) > largest_limit(k))
			note("the runs together exceed a limit");
	}
}

static void
begin(struct sim_run *r, struct sim_step *s)
{
	if (!is_ready(r, (size_t)(s - r->steps)))
		note("a step is begun before its time");
	s->phase = RUNS;
}

static void
settle(struct sim_run *r)
{
	struct claim *c;

	for (size_t i = 0; i < r->nsteps; i++) {
		struct sim_step *s = &r->steps[i];

		if (s->asked || !is_ready(r, i))
			continue;
		s->asked = true;
		if (pools_ask(r->pools, &s->claim))
			begin(r, s);
	}
	while ((c = pools_next(r->pools)))
		begin(r, c->owner);
	check_limits();
}

/* Alone, nobody waits whose places are all free. */
static void
check_busy(const struct sim_run *r)
{
	for (size_t i = 0; i < r->nsteps; i++) {
		const struct sim_step *s = &r->steps[i];
		bool full = false;

		if (s->phase != WAITS || !s->asked)
			continue;
		for (size_t k = 0; k < NKINDS; k++)
			full |= s->wants[k] && taken(r, k) >= r->limits[k];
		if (!full)
			note("a step waits although all its places are free");
	}
}

/* One that runs ends; sometimes one that waits gives up and asks anew. */
static bool
end_one(struct sim_run *r)
{
	size_t from = dice((unsigned)r->nsteps);

	for (size_t k = 0; k < r->nsteps; k++) {
		struct sim_step *s = &r->steps[(from + k) % r->nsteps];

		if (s->phase == WAITS && s->asked && dice(20) == 0) {
			pools_drop(r->pools, &s->claim, true);
			s->claim.turn = 0;
			s->asked = false;
			return true;
		}
		if (s->phase != RUNS)
			continue;
		pools_drop(r->pools, &s->claim, true);
		s->claim.turn = 0;
		if (dice(10) == 0) { /* it is tried again */
			s->phase = WAITS;
			s->asked = false;
			return true;
		}
		s->phase = IS_DONE;
		r->ndone++;
		return true;
	}
	return false;
}

static void
make_run(struct sim_run *r, int dir)
{
	memset(r, 0, sizeof(*r));
	r->pools = pools_new(dir, "process 1 of plan t/p");
	for (size_t k = 0; k < NKINDS; k++) {
		char name[20];

		snprintf(name, sizeof(name), "kind-%zu", k);
		r->limits[k] = 1 + (int)dice(4);
		r->of[k] = pools_get(r->pools, name, name, r->limits[k], true);
	}
	r->nsteps = 1 + dice(MAX_STEPS);
	for (size_t i = 0; i < r->nsteps; i++) {
		struct sim_step *s = &r->steps[i];

		s->claim.owner = s;
		for (size_t k = 0; k < NKINDS; k++)
			if ((s->wants[k] = dice(2)))
				claim_add(&s->claim, r->of[k]);
		for (size_t b = 0; b < i; b++)
			s->after[b] = dice(8) == 0;
	}
}

static size_t
left(void)
{
	size_t n = 0;

	for (size_t r = 0; r < nruns; r++)
		n += runs[r].nsteps - runs[r].ndone;
	return n;
}

/* Idle rounds are those in which nothing ended and nothing was begun: others'
 * turns cost some, a wake-up that is lost costs all. */
static void
work(void)
{
	for (int idle = 0; left() > 0 && !wrong && idle < 50;) {
		size_t before = left();
		bool moved = false;

		for (size_t i = 0; i < nruns; i++) {
			struct sim_run *r = &runs[(i + dice(NRUNS)) % nruns];

			moved |= end_one(r);
			if (shared)
				pools_look(r->pools);
			settle(r);
			if (!shared)
				check_busy(r);
		}
		idle = moved || left() != before ? 0 : idle + 1;
	}
	if (left() > 0)
		note("it stands still");
}

static void
trial(const char *dir)
{
	nruns = shared ? 1 + dice(NRUNS) : 1;
	for (size_t r = 0; r < nruns; r++)
		make_run(&runs[r],
			 shared ? open(dir, O_RDONLY | O_DIRECTORY) : -1);
	for (size_t r = 0; r < nruns; r++)
		settle(&runs[r]);
	work();
	for (size_t r = 0; r < nruns; r++)
		pools_free(runs[r].pools);
}

static void
trials(const char *dir, uint64_t seed, int n)
{
	int done = 0;

	random_state = seed * 2654435769U + 1;
	wrong = NULL;
	for (; done < n && !wrong; done++)
		trial(dir);
	ok(!wrong, "%d random graphs, %s, seed %llu: %s", done,
	   shared ? "runs that share slots" : "one run",
	   (unsigned long long)seed, wrong ? wrong : "all as it should be");
}

/* First come, first served; the one with an old turn before all. */
static void
test_order(void)
{
	struct pools *ps = pools_new(-1, "x");
	struct pool *p = pools_get(ps, "p", "p", 1, false);
	struct claim c[4] = {0};

	is_int(pools_get(ps, "p", "p", 7, true) == p, true, "one of a name");
	is_int(pools_get(ps, "q", "q", 0, true) == NULL, true,
	       "no limit, no pool");
	for (size_t i = 0; i < 4; i++)
		claim_add(&c[i], p);
	claim_add(&c[0], p);
	is_int((long long)c[0].n, 1, "a pool twice is once");
	is_int(pools_ask(ps, &c[0]), true, "the first is served");
	is_int(pools_ask(ps, &c[1]), false, "the second waits");
	is_int(pools_ask(ps, &c[2]), false, "the third waits");
	pools_drop(ps, &c[0], true);
	is_int(pools_ask(ps, &c[3]), false, "nobody overtakes");
	is_int(pools_next(ps) == &c[1], true, "the second goes first");
	is_int(pools_next(ps) == NULL, true, "and alone");
	is_int(pools_ask(ps, &c[0]), false, "who comes back waits");
	pools_drop(ps, &c[2], true);
	pools_drop(ps, &c[1], true);
	is_int(pools_next(ps) == &c[0], true, "before later ones");
	pools_drop(ps, &c[0], true);
	is_int(pools_next(ps) == &c[3], true, "then the last");
	pools_free(ps);
}

/* Slots as others see them. */
static void
test_slots(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY), slot, other;
	struct slots *a = slots_new(fd, "t", 2, "process 1 of plan t/a");
	struct slots *b = slots_new(fd, "t", 1, "process 2 of plan t/b");
	char who[200];
	struct err err;

	is_int(slots_take(a, &slot, &err), SLOTS_TAKEN, "a slot");
	is_int(slots_take(b, &other, &err), SLOTS_HELD,
	       "counted up to the own limit");
	slots_holder(b, who, sizeof(who));
	is_str(who, "process 1 of plan t/a", "who has it");
	is_int(slots_take(a, &other, &err), SLOTS_TAKEN,
	       "what the other cannot use is not kept for it");
	slots_give(a, slot, true);
	is_int(slots_take(a, &slot, &err), SLOTS_HELD,
	       "what the other waits for is");
	is_int(slots_take(b, &slot, &err), SLOTS_TAKEN, "until it has it");
	is_int(slots_take(a, &slot, &err), SLOTS_HELD, "and now it has");
	slots_free(b);
	is_int(slots_take(a, &slot, &err), SLOTS_TAKEN, "the dead hold none");
	is_int(slot, 0, "the lowest is taken first");
	slots_free(a);
	close(fd);
}

/* Who inherits a slot holds it. */
static void
test_inherited(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY), slot, kept;
	struct slots *a = slots_new(fd, "i", 1, "process 1 of plan t/a");
	struct slots *b = slots_new(fd, "i", 1, "process 2 of plan t/b");
	struct err err;

	is_int(slots_take(a, &slot, &err), SLOTS_TAKEN, "a slot");
	kept = dup(slots_fd(a, slot));
	slots_give(a, slot, false);
	is_int(slots_take(b, &slot, &err), SLOTS_HELD, "a child still has it");
	close(kept);
	is_int(slots_take(b, &slot, &err), SLOTS_TAKEN, "until it closes it");
	slots_free(a);
	slots_free(b);
	close(fd);
}

int
main(void)
{
	const char *dir = tap_dir();
	const char *seed = getenv("SEED"), *n = getenv("TRIALS");
	uint64_t random = seed ? strtoull(seed, NULL, 10)
			       : (uint64_t)time(NULL) ^ (uint64_t)getpid();
	int ntrials = n ? (int)strtol(n, NULL, 10) : 1000;

	test_order();
	test_slots(dir);
	test_inherited(dir);
	shared = false;
	trials(dir, 1, ntrials);
	trials(dir, random, ntrials);
	shared = true;
	trials(dir, 1, ntrials / 4);
	trials(dir, random, ntrials / 4);
	return tap_done();
}
