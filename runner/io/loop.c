/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop on poll: few descriptors, one thread. */
#include "io/loop.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/vec.h"

struct watch {
	int fd; /* -1: unwatched during this turn */
	loop_fn *fn;
	void *arg;
};

struct timer {
	int id;
	int64_t at;
	loop_fn *fn;
	void *arg;
};

struct loop {
	VEC(struct watch) watches;
	VEC(struct timer) timers;
	int last_id;
};

struct loop *
loop_new(void)
{
	return mem_new(sizeof(struct loop));
}

void
loop_free(struct loop *l)
{
	if (!l)
		return;
	vec_done(&l->watches);
	vec_done(&l->timers);
	free(l);
}

void
loop_watch(struct loop *l, int fd, loop_fn *fn, void *arg)
{
	struct watch *w = vec_push(&l->watches);

	w->fd = fd;
	w->fn = fn;
	w->arg = arg;
}

void
loop_unwatch(struct loop *l, int fd)
{
	for (size_t i = 0; i < l->watches.n; i++)
		if (l->watches.v[i].fd == fd)
			l->watches.v[i].fd = -1;
}

int
loop_at(struct loop *l, int64_t mono_ms, loop_fn *fn, void *arg)
{
	struct timer *t = vec_push(&l->timers);

	t->id = ++l->last_id;
	t->at = mono_ms;
	t->fn = fn;
	t->arg = arg;
	return t->id;
}

void
loop_cancel(struct loop *l, int id)
{
	for (size_t i = 0; i < l->timers.n; i++) {
		if (l->timers.v[i].id != id)
			continue;
		l->timers.v[i] = l->timers.v[--l->timers.n];
		return;
	}
}

static void
drop_unwatched(struct loop *l)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->watches.n; i++)
		if (l->watches.v[i].fd >= 0)
			l->watches.v[kept++] = l->watches.v[i];
	l->watches.n = kept;
}

static struct timer *
earliest(struct loop *l)
{
	struct timer *first = NULL;

	for (size_t i = 0; i < l->timers.n; i++)
		if (!first || l->timers.v[i].at < first->at)
			first = &l->timers.v[i];
	return first;
}

static void
fire_timers(struct loop *l)
{
	int64_t now = clock_mono_ms();
	struct timer *t, due;

	while ((t = earliest(l)) && t->at <= now) {
		due = *t;
		loop_cancel(l, due.id);
		due.fn(due.arg);
	}
}

static int
timeout_ms(struct loop *l)
{
	struct timer *t = earliest(l);
	int64_t left;

	if (!t)
		return -1;
	left = t->at - clock_mono_ms();
	return left < 0 ? 0 : left > 60000 ? 60000 : (int)left;
}

int
loop_turn(struct loop *l, struct err *err)
{
	CLEANUP(mem_freep) struct pollfd *p = NULL;
	size_t n;

	drop_unwatched(l);
	n = l->watches.n;
	p = mem_new((n + 1) * sizeof(*p));
	for (size_t i = 0; i < n; i++) {
		p[i].fd = l->watches.v[i].fd;
		p[i].events = POLLIN;
	}
	if (poll(p, n, timeout_ms(l)) < 0 && errno != EINTR)
		return err_sys(err, "cannot wait for events");
	/* a callback may watch and unwatch: what was unwatched has fd -1 */
	for (size_t i = 0; i < n; i++)
		if (p[i].revents && l->watches.v[i].fd == p[i].fd)
			l->watches.v[i].fn(l->watches.v[i].arg);
	fire_timers(l);
	return 0;
}
