/* SPDX-License-Identifier: Apache-2.0 */
/* Queues before what is limited. */
#include "pool.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/vec.h"

struct pool {
	char *name, *about;
	int limit, taken;
	struct slots *slots;	    /* NULL: this run only */
	struct claim *first, *last; /* who waits, by turn */
	bool outside;	    /* the last one found others holding what is left */
	int64_t shut_since; /* nobody of us has a place; 0: that is not so */
	bool said;
	bool freed; /* in the list of pools to be looked at */
	struct pool *next_freed;
};

struct pools {
	int dir;
	char *who;
	VEC(struct pool *) all;
	struct pool *freed;
	uint64_t last_turn;
	struct err error; /* why slots are kept no more; class ERR_NONE */
};

struct pools *
pools_new(int dir, const char *who)
{
	struct pools *ps = mem_new(sizeof(*ps));

	ps->dir = dir;
	ps->who = mem_strdup(who);
	return ps;
}

void
pools_free(struct pools *ps)
{
	if (!ps)
		return;
	for (size_t i = 0; i < ps->all.n; i++) {
		slots_free(ps->all.v[i]->slots);
		free(ps->all.v[i]->name);
		free(ps->all.v[i]->about);
		free(ps->all.v[i]);
	}
	vec_done(&ps->all);
	mem_closep(&ps->dir);
	free(ps->who);
	free(ps);
}

struct pool *
pools_get(struct pools *ps, const char *name, const char *about, int limit,
	  bool shared)
{
	struct pool *p;

	if (limit <= 0)
		return NULL;
	for (size_t i = 0; i < ps->all.n; i++)
		if (strcmp(ps->all.v[i]->name, name) == 0)
			return ps->all.v[i];
	p = mem_new(sizeof(*p));
	p->name = mem_strdup(name);
	p->about = mem_strdup(about);
	p->limit = limit;
	if (shared && ps->dir >= 0 && limit <= SLOTS_MAX)
		p->slots = slots_new(ps->dir, name, limit, ps->who);
	*vec_push(&ps->all) = p;
	return p;
}

/* In one order everywhere, so that two runs that want the same places do not
 * each take one of them. */
void
claim_add(struct claim *c, struct pool *p)
{
	size_t at = 0;

	if (!p || c->n == CLAIM_POOLS)
		return;
	while (at < c->n && strcmp(c->pools[at]->name, p->name) < 0)
		at++;
	if (at < c->n && c->pools[at] == p)
		return;
	for (size_t i = c->n++; i > at; i--)
		c->pools[i] = c->pools[i - 1];
	c->pools[at] = p;
}

size_t
claim_fds(const struct claim *c, int fds[CLAIM_POOLS])
{
	size_t n = 0;

	for (size_t i = 0; c->held && i < c->n; i++)
		if (c->slots[i] >= 0)
			fds[n++] = slots_fd(c->pools[i]->slots, c->slots[i]);
	return n;
}

/* Queues. */

static void
queue_add(struct pool *p, struct claim *c)
{
	struct claim *after = p->last;

	/* the newest goes last; one from another queue is among the oldest */
	if (after && after->turn > c->turn) {
		after = NULL;
		for (struct claim *i = p->first; i->turn < c->turn;
		     i = i->after)
			after = i;
	}
	c->before = after;
	c->after = after ? after->after : p->first;
	*(c->before ? &c->before->after : &p->first) = c;
	*(c->after ? &c->after->before : &p->last) = c;
	c->waits = p;
}

static void
queue_remove(struct claim *c)
{
	struct pool *p = c->waits;

	*(c->before ? &c->before->after : &p->first) = c->after;
	*(c->after ? &c->after->before : &p->last) = c->before;
	c->before = c->after = NULL;
	c->waits = NULL;
}

static void
mark_freed(struct pools *ps, struct pool *p)
{
	if (p->freed)
		return;
	p->freed = true;
	p->next_freed = ps->freed;
	ps->freed = p;
}

/* Taking and giving. */

/* Without slots a limit is better held by each run than by none. */
static void
give_up_slots(struct pools *ps, struct pool *p, const struct err *err)
{
	if (ps->error.class == ERR_NONE)
		ps->error = *err;
	/* what is held stays held, so the old ones are kept as they are */
	p->outside = false;
}

static bool
take_slot(struct pools *ps, struct pool *p, int *ret)
{
	struct err err;

	*ret = -1;
	p->outside = false;
	if (!p->slots || ps->error.class != ERR_NONE)
		return true;
	switch (slots_take(p->slots, ret, &err)) {
	case SLOTS_TAKEN:
		return true;
	case SLOTS_HELD:
		p->outside = true;
		return false;
	case SLOTS_BROKEN:
		break;
	}
	give_up_slots(ps, p, &err);
	return true;
}

/* NULL, or the pool that has no place for it. */
static struct pool *
find_full(const struct claim *c)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct pool *p = c->pools[i];

		if (p->taken >= p->limit ||
		    (p->first && p->first->turn < c->turn))
			return c->pools[i];
	}
	return NULL;
}

static void
give(struct pool *p, int slot, bool all)
{
	p->taken--;
	if (slot >= 0)
		slots_give(p->slots, slot, all);
}

static bool
try(struct pools *ps, struct claim *c)
{
	struct pool *full = find_full(c);
	size_t got = 0;

	for (; !full && got < c->n; got++) {
		struct pool *p = c->pools[got];

		if (!take_slot(ps, p, &c->slots[got])) {
			full = p;
			break;
		}
		p->taken++;
		p->shut_since = 0;
		/* what others found there is out of date */
		if (p->first)
			mark_freed(ps, p);
	}
	for (; full && got > 0; got--)
		give(c->pools[got - 1], c->slots[got - 1], true);
	if (full)
		queue_add(full, c);
	c->held = !full;
	return c->held;
}

bool
pools_ask(struct pools *ps, struct claim *c)
{
	if (!c->turn)
		c->turn = ++ps->last_turn;
	return try(ps, c);
}

void
pools_drop(struct pools *ps, struct claim *c, bool all)
{
	if (c->waits) {
		struct pool *p = c->waits;

		queue_remove(c);
		if (!p->first && p->slots)
			slots_pass_turn(p->slots);
		/* the next one may want less than this one did */
		mark_freed(ps, p);
	}
	for (size_t i = 0; c->held && i < c->n; i++) {
		give(c->pools[i], c->slots[i], all);
		if (c->pools[i]->first)
			mark_freed(ps, c->pools[i]);
	}
	c->held = false;
}

struct claim *
pools_next(struct pools *ps)
{
	while (ps->freed) {
		struct pool *p = ps->freed;
		struct claim *c = p->first;

		if (c) {
			queue_remove(c);
			if (try(ps, c))
				return c;
			if (!p->first && p->slots)
				slots_pass_turn(p->slots);
		}
		if (!c || c->waits == p) {
			ps->freed = p->next_freed;
			p->freed = false;
		}
	}
	return NULL;
}

/* Others. */

static bool
waits_outside(const struct pool *p)
{
	return p->first && p->outside;
}

bool
pools_wait_outside(const struct pools *ps)
{
	for (size_t i = 0; i < ps->all.n; i++)
		if (waits_outside(ps->all.v[i]))
			return true;
	return false;
}

void
pools_look(struct pools *ps)
{
	for (size_t i = 0; i < ps->all.n; i++)
		if (waits_outside(ps->all.v[i]))
			mark_freed(ps, ps->all.v[i]);
}

static char *
wait_text(const struct pool *p)
{
	char who[200];

	slots_holder(p->slots, who, sizeof(who));
	return mem_printf("for a slot of %s (limit %d), held by %s", p->about,
			  p->limit, who);
}

struct claim *
pools_late(struct pools *ps, int64_t now_ms, int64_t limit_ms, char **ret_text)
{
	for (size_t i = 0; i < ps->all.n; i++) {
		struct pool *p = ps->all.v[i];

		if (!waits_outside(p) || p->taken > 0)
			p->shut_since = 0;
		else if (!p->shut_since)
			p->shut_since = now_ms;
		else if (now_ms - p->shut_since >= limit_ms) {
			*ret_text = wait_text(p);
			return p->first;
		}
	}
	return NULL;
}

struct claim *
pools_news(struct pools *ps, char **ret_text)
{
	for (size_t i = 0; i < ps->all.n; i++) {
		struct pool *p = ps->all.v[i];

		if (!waits_outside(p) || p->said)
			continue;
		p->said = true;
		*ret_text = wait_text(p);
		return p->first;
	}
	return NULL;
}

const char *
pools_broken(const struct pools *ps)
{
	return ps->error.class == ERR_NONE ? NULL : ps->error.text;
}
