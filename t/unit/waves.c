/* SPDX-License-Identifier: Apache-2.0 */
/* Properties of waves under random ends: no vm is begun before what its wave
 * is after, an atomic wave starts as a whole or not at all, nobody waits for
 * what cannot come, and everybody comes to an end.
 *
 * SEED=N repeats a run of it, TRIALS=N makes more of them. */
#include "wave.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "t/tap.h"

#define MAX_WAVES 6
#define MAX_VMS 24

enum phase { OUT, WORKS, PASSED_CUTOVER, PASSED_COMMIT, STARTED, ENDED };

static struct wave defs[MAX_WAVES];
static size_t after_lists[MAX_WAVES][MAX_WAVES];
static struct run_policy policy;
static struct plan plan;
static struct plan_vm vms[MAX_VMS];
static enum phase phases[MAX_VMS];
static enum wave_end ends[MAX_VMS];
static bool started[MAX_VMS];
static struct waves *ws;
static uint64_t random_state;
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

static void
make_plan(void)
{
	size_t nwaves = 1 + dice(MAX_WAVES), nvms = 1 + dice(MAX_VMS);

	memset(defs, 0, sizeof(defs));
	memset(vms, 0, sizeof(vms));
	memset(started, 0, sizeof(started));
	policy = (struct run_policy){.waves = defs, .nwaves = nwaves};
	plan = (struct plan){.policy = &policy, .vms = vms, .nvms = nvms};
	for (size_t i = 0; i < nwaves; i++) {
		defs[i].name = "w";
		defs[i].number = i;
		defs[i].atomic = dice(3) == 0;
		defs[i].max_failures = (int)dice(4) - 1;
		defs[i].after_waves = after_lists[i];
		for (size_t k = 0; k < i; k++)
			if (dice(3) == 0)
				after_lists[i][defs[i].nafter++] = k;
	}
	for (size_t i = 0; i < nvms; i++) {
		phases[i] = OUT;
		vms[i].key = "vm";
		vms[i].index = i;
		vms[i].wave = dice(6) ? &defs[dice((unsigned)nwaves)] : NULL;
	}
}

static void
end(size_t i, enum wave_end how)
{
	phases[i] = ENDED;
	ends[i] = how;
	waves_ended(ws, &vms[i], how, how == WAVE_MOVED ? NULL : "because");
}

/* Seen from outside, not from the counters that are tested. */
static void
check_begin(size_t n)
{
	const struct wave *w = vms[n].wave;

	for (size_t k = 0; w && k < w->nafter; k++) {
		const struct wave *before = &defs[w->after_waves[k]];
		int failed = 0;

		for (size_t i = 0; i < plan.nvms; i++) {
			if (vms[i].wave != before)
				continue;
			if (phases[i] != ENDED || ends[i] == WAVE_UNDONE ||
			    ends[i] == WAVE_RESTS)
				note("begun before a wave has ended");
			failed += phases[i] == ENDED && ends[i] == WAVE_FAILED;
		}
		if (failed >
		    (before->max_failures < 0 ? 0 : before->max_failures))
			note("begun after a wave that failed");
	}
}

static bool
is_there(const struct wave *w, enum wave_end how)
{
	for (size_t i = 0; i < plan.nvms; i++)
		if (vms[i].wave == w && phases[i] == ENDED && ends[i] == how)
			return true;
	return false;
}

/* Nobody is refused only because others of its wave rest. */
static void
check_refusal(size_t n)
{
	const struct wave *w = vms[n].wave;
	bool why =
	    is_there(w, WAVE_FAILED) || (w->atomic && is_there(w, WAVE_UNDONE));

	for (size_t k = 0; k < w->nafter; k++)
		for (int e = WAVE_FAILED; e <= WAVE_RESTS; e++)
			why |= is_there(&defs[w->after_waves[k]],
					(enum wave_end)e);
	if (!why)
		note("not begun since others rest");
}

/* One vm makes one move; false: it can make none now. */
static bool
move(size_t n)
{
	CLEANUP(mem_freep) char *why = NULL;
	enum wave_door door;

	if (phases[n] == ENDED)
		return false;
	if (phases[n] == OUT)
		door = waves_may_begin(ws, &vms[n], &why);
	else if (phases[n] == STARTED)
		door = WAVE_OPEN;
	else {
		enum wave_barrier b = (enum wave_barrier)(phases[n] - WORKS);

		waves_ready(ws, &vms[n], b);
		door = waves_may_pass(ws, &vms[n], b, &why);
	}
	if ((door == WAVE_OPEN) != (why == NULL))
		note(
		    "a door that is not open does not say why, or one that is");
	if (door == WAVE_WAIT)
		return false;
	if (door == WAVE_SHUT) {
		if (phases[n] == OUT)
			check_refusal(n);
		end(n, WAVE_UNDONE);
		return true;
	}
	if (phases[n] == OUT)
		check_begin(n);
	if (phases[n] == WORKS && dice(25) == 0) {
		end(n, WAVE_RESTS);
		return true;
	}
	if (phases[n] != OUT && dice(25) == 0) {
		end(n, WAVE_FAILED);
		return true;
	}
	if (phases[n] == STARTED)
		end(n, WAVE_MOVED);
	else
		phases[n]++;
	started[n] |= phases[n] == STARTED;
	return true;
}

/* A start means that all of the wave came as far. */
static void
check_atomic(size_t i)
{
	for (size_t k = 0; started[i] && k < plan.nvms; k++)
		if (vms[i].wave && vms[i].wave->atomic &&
		    vms[k].wave == vms[i].wave && !started[k] &&
		    phases[k] != PASSED_COMMIT &&
		    !(phases[k] == ENDED && ends[k] != WAVE_UNDONE &&
		      ends[k] != WAVE_RESTS))
			note("an atomic wave started in part");
}

static void
trial(void)
{
	make_plan();
	ws = waves_new(&plan);
	for (size_t i = 0; i < plan.nvms; i++)
		if (dice(10) == 0)
			end(i, (enum wave_end)dice(4));
	for (bool moved = true; moved && !wrong;) {
		size_t from = dice((unsigned)plan.nvms);

		moved = false;
		for (size_t k = 0; k < plan.nvms; k++) {
			size_t i = (from + k) % plan.nvms;

			if (dice(2))
				continue;
			moved |= move(i);
		}
		for (size_t i = 0; !moved && i < plan.nvms; i++)
			moved = move(i);
		for (size_t i = 0; i < plan.nvms; i++)
			check_atomic(i);
	}
	for (size_t i = 0; i < plan.nvms; i++)
		if (phases[i] != ENDED)
			note("a vm waits for what cannot come");
	waves_free(ws);
}

static void
trials(uint64_t seed, int n)
{
	int done = 0;

	random_state = seed * 2654435769U + 1;
	wrong = NULL;
	for (; done < n && !wrong; done++)
		trial();
	ok(!wrong, "%d random plans, seed %llu: %s", done,
	   (unsigned long long)seed, wrong ? wrong : "all as it should be");
}

/* Time passes while the others are not ready: nobody goes with a generation
 * that was fresh then, nor beyond a window's end. */
static void
test_unready(void)
{
	CLEANUP(mem_freep) char *why = NULL;

	memset(defs, 0, sizeof(defs));
	memset(vms, 0, sizeof(vms));
	policy = (struct run_policy){.waves = defs, .nwaves = 1};
	plan = (struct plan){.policy = &policy, .vms = vms, .nvms = 2};
	defs[0] = (struct wave){
	    .name = "all", .nvms = 2, .atomic = true, .max_failures = -1};
	for (size_t i = 0; i < 2; i++)
		vms[i] =
		    (struct plan_vm){.key = "vm", .index = i, .wave = &defs[0]};
	ws = waves_new(&plan);
	waves_ready(ws, &vms[0], WAVE_CUTOVER);
	waves_unready(ws, &vms[0], WAVE_CUTOVER);
	waves_unready(ws, &vms[0], WAVE_CUTOVER);
	waves_ready(ws, &vms[1], WAVE_CUTOVER);
	ok(!waves_are_past(ws, &vms[1], WAVE_CUTOVER) &&
	       waves_may_pass(ws, &vms[1], WAVE_CUTOVER, &why) == WAVE_WAIT,
	   "who was ready and is not any more keeps the others waiting");
	waves_ready(ws, &vms[0], WAVE_CUTOVER);
	waves_unready(ws, &vms[1], WAVE_CUTOVER);
	ok(waves_are_past(ws, &vms[0], WAVE_CUTOVER),
	   "once all were, it is all of them");
	waves_free(ws);
}

int
main(void)
{
	const char *seed = getenv("SEED"), *n = getenv("TRIALS");
	uint64_t random = seed ? strtoull(seed, NULL, 10)
			       : (uint64_t)time(NULL) ^ (uint64_t)getpid();
	int ntrials = n ? (int)strtol(n, NULL, 10) : 10000;

	trials(1, ntrials);
	trials(random, ntrials);
	test_unready();
	return tap_done();
}
