/* SPDX-License-Identifier: Apache-2.0 */
/* Bandwidth that processes share: never more than the rate, first come first
 * served, whoever is killed meanwhile. */
#include "stages/copy/throttle.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "stages/bandwidth.h"
#include "t/tap.h"

#define MIB (1024 * 1024ull)

/* What all processes of a test see. */
static struct shared {
	struct throttle_bucket bucket, other;
	_Atomic uint64_t rate;
	_Atomic int ndone;
} * shared;

static uint64_t
rate_of(const void *arg, int64_t wall_ms)
{
	(void)wall_ms;
	return atomic_load((const _Atomic uint64_t *)arg);
}

static struct throttle
limited_to(uint64_t rate)
{
	struct throttle t = {0};

	*shared = (struct shared){0};
	atomic_store(&shared->rate, rate);
	throttle_add(&t, &shared->bucket, rate_of, &shared->rate);
	return t;
}

static void
wait_for(const struct throttle *t, const struct throttle_ticket *ticket)
{
	int ms;

	while ((ms = throttle_wait_ms(t, ticket)) > 0)
		usleep((useconds_t)ms * 1000);
}

static void
take(const struct throttle *t, uint64_t bytes)
{
	struct throttle_ticket ticket;

	throttle_draw(t, bytes, &ticket);
	wait_for(t, &ticket);
}

/* The child takes n tickets, or with n 0 draws one and waits for ever. */
static pid_t
start(const struct throttle *t, int n, uint64_t bytes)
{
	struct throttle_ticket ticket;
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	for (int i = 0; i < n; i++)
		take(t, bytes);
	if (n == 0) {
		throttle_draw(t, bytes, &ticket);
		atomic_fetch_add(&shared->ndone, 1);
		for (;;)
			(void)throttle_wait_ms(t, &ticket);
	}
	_exit(0);
}

/* No more than the rate, however many there are; it is not clocked that there
 * is no less. */
static void
test_rate(void)
{
	struct throttle t = limited_to(16 * MIB);
	int64_t began = clock_mono_ms();
	bool all = true;
	int status;

	fflush(stdout);
	for (int i = 0; i < 4; i++)
		if (start(&t, 8, MIB / 4) < 0)
			abort();
	for (int i = 0; i < 4; i++)
		all &= wait(&status) > 0 && status == 0;
	ok(all, "four processes take two mebibytes each");
	ok(clock_mono_ms() - began >= 499, "which takes half a second");
}

static void
test_order(void)
{
	struct throttle t = limited_to(8 * MIB);
	struct throttle_ticket first, greedy, last;
	bool in_turn = true;

	throttle_draw(&t, MIB, &first);
	throttle_draw(&t, 3 * MIB, &greedy);
	throttle_draw(&t, MIB / 2, &last);
	wait_for(&t, &greedy);
	in_turn = throttle_wait_ms(&t, &first) == 0;
	wait_for(&t, &last);
	in_turn = in_turn && throttle_wait_ms(&t, &greedy) == 0;
	ok(in_turn, "who came first goes first");
	throttle_draw(&t, 2 * MIB, &greedy);
	for (int i = 0; i < 100; i++)
		throttle_draw(&t, MIB, &last);
	wait_for(&t, &greedy);
	ok(throttle_wait_ms(&t, &last) > 0,
	   "a hundred that come later keep nobody waiting");
}

static void
test_kill(void)
{
	struct throttle t = limited_to(256 * MIB);
	pid_t pids[20];

	fflush(stdout);
	for (int i = 0; i < 20; i++)
		pids[i] = start(&t, 0, MIB);
	while (atomic_load(&shared->ndone) < 20)
		usleep(1000);
	for (int i = 0; i < 20; i++) {
		kill(pids[i], i % 2 ? SIGKILL : SIGSTOP);
		take(&t, MIB);
	}
	ok(true, "killed or stopped at any moment, nobody else waits for it");
	for (int i = 0; i < 20; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
}

static void
test_changes(void)
{
	struct throttle t = limited_to(64 * 1024);
	struct throttle_ticket ticket, next;

	throttle_draw(&t, 64 * MIB, &ticket);
	ok(throttle_wait_ms(&t, &ticket) == 100,
	   "who waits for long looks again soon");
	atomic_store(&shared->rate, 0);
	is_int(throttle_wait_ms(&t, &ticket), 0,
	       "without a limit it goes at once");
	atomic_store(&shared->rate, 1024 * MIB);
	take(&t, MIB);
	ok(true, "what was moved without a limit is no debt");
	usleep(300000);
	take(&t, 1);
	atomic_store(&shared->rate, 64 * 1024);
	usleep(10000);
	take(&t, 1); /* whoever comes first finds too much saved up */
	throttle_draw(&t, 2 * MIB, &next);
	ok(throttle_wait_ms(&t, &next) > 0, "nor is idleness a treasure");
}

static void
test_two(void)
{
	struct throttle t = limited_to(0);
	struct throttle_ticket ticket;
	_Atomic uint64_t slow = 64 * 1024;

	throttle_add(&t, &shared->other, rate_of, &slow);
	throttle_draw(&t, 8 * MIB, &ticket);
	ok(throttle_wait_ms(&t, &ticket) > 0, "the tightest of two counts");
	atomic_store(&slow, 0);
	is_int(throttle_wait_ms(&t, &ticket), 0, "until it is none");
	take(&(struct throttle){0}, 1024 * MIB);
	ok(true, "nothing limits nothing");
}

/* Which limits hold for what. */
static void
test_steps(void)
{
	struct run_policy policy = {.limits.bandwidth = MIB};
	struct endpoint source = {0}, target = {0};
	struct plan plan = {
	    .policy = &policy, .source = &source, .target = &target};
	struct view view = {.plan = &plan};
	struct work w = {.view = &view};
	struct throttle copy, verify;
	struct err err;

	w.bandwidth = bandwidth_new(&err);
	ok(bandwidth_of_copy(&w, &copy) == &copy && copy.n == 3,
	   "a copy counts for the run, the source and the target");
	ok(bandwidth_of_verify(&w, &verify) == &verify && verify.n == 1,
	   "reading the target back");
	ok(verify.limit[0].bucket == copy.limit[2].bucket &&
	       verify.limit[0].bucket != copy.limit[1].bucket &&
	       verify.limit[0].bucket != copy.limit[0].bucket,
	   "counts for the target alone");
	plan.target = &source;
	bandwidth_of_copy(&w, &copy);
	ok(copy.limit[1].bucket == copy.limit[2].bucket,
	   "one endpoint is one, also when it is both");
	policy.limits.bandwidth = 0;
	ok(!bandwidth_of_copy(&w, &copy) && !bandwidth_of_verify(&w, &verify),
	   "without a limit nobody is asked");
	bandwidth_free(w.bandwidth);
}

int
main(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		tap_skip_all("no shared memory");
	test_rate();
	test_order();
	test_kill();
	test_changes();
	test_two();
	test_steps();
	return tap_done();
}
