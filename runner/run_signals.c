/* SPDX-License-Identifier: Apache-2.0 */
/* Being asked to stop. */
#include "base/clock.h"
#include "io/interrupt.h"
#include "io/loop.h"
#include "run.h"

/* Signals: the first asks every step to come to a good end, the second ends
 * them at once. */

static void
grace_is_over(void *arg)
{
	struct run *r = arg;

	r->kill_timer = 0;
	run_kill(r);
}

static void
signal_came(void *arg)
{
	struct run *r = arg;
	int sig = interrupt_read(r->signal_fd);

	if (!sig)
		return;
	if (r->signal) {
		run_kill(r);
		return;
	}
	r->signal = sig;
	for (size_t i = 0; i < r->nvms; i++) {
		vm_stop(&r->vms[i]);
		vm_ask_to_stop(&r->vms[i]);
	}
	r->kill_timer = loop_at(r->loop, clock_mono_ms() + STAGE_GRACE_MS,
				grace_is_over, r);
	run_advance(r);
}

int
run_catch_signals(struct run *r, struct err *err)
{
	r->signal_fd = interrupt_hold(err);
	if (r->signal_fd < 0)
		return -1;
	loop_watch(r->loop, r->signal_fd, signal_came, r);
	return 0;
}
