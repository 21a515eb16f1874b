/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks for small pieces, and a list of what to run at the end. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Of the chunks: thousands of arenas hold a page or two each, and those that
 * hold much take few chunks. */
#define FIRST_SIZE ((size_t)1024)
#define LAST_SIZE ((size_t)64 * 1024)

struct chunk {
	struct chunk *next;
	size_t used, size;
	alignas(max_align_t) char data[];
};

struct deferred {
	struct deferred *next;
	void (*fn)(void *);
	void *p;
};

struct arena {
	struct chunk *chunks;
	struct deferred *deferred;
	size_t next_size; /* of the next chunk */
};

struct arena *
arena_new(void)
{
	struct arena *a = mem_new(sizeof(*a));

	a->next_size = FIRST_SIZE;
	return a;
}

void
arena_free(struct arena *a)
{
	struct chunk *next;

	if (!a)
		return;
	for (struct deferred *d = a->deferred; d; d = d->next)
		d->fn(d->p);
	for (struct chunk *c = a->chunks; c; c = next) {
		next = c->next;
		free(c);
	}
	free(a);
}

void
arena_freep(struct arena **a)
{
	arena_free(*a);
}

static struct chunk *
chunk_add(struct arena *a, size_t size)
{
	struct chunk *c = mem_new(sizeof(*c) + size);

	c->size = size;
	c->next = a->chunks;
	a->chunks = c;
	return c;
}

/* A piece larger than all chunks; it must not hide the half empty one. */
static struct chunk *
chunk_add_large(struct arena *a, size_t size)
{
	struct chunk *first = a->chunks, *c = chunk_add(a, size);

	if (first) {
		a->chunks = first;
		c->next = first->next;
		first->next = c;
	}
	return c;
}

static struct chunk *
chunk_add_next(struct arena *a, size_t size)
{
	while (a->next_size < size)
		a->next_size *= 2;
	size = a->next_size;
	if (a->next_size < LAST_SIZE)
		a->next_size *= 2;
	return chunk_add(a, size);
}

void *
arena_alloc(struct arena *a, size_t size)
{
	struct chunk *c = a->chunks;
	void *p;

	size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	if (size > LAST_SIZE)
		c = chunk_add_large(a, size);
	else if (!c || c->size - c->used < size)
		c = chunk_add_next(a, size);
	p = c->data + c->used;
	c->used += size;
	return p;
}

char *
arena_strndup(struct arena *a, const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *copy = arena_alloc(a, len + 1);

	memcpy(copy, s, len);
	return copy;
}

char *
arena_strdup(struct arena *a, const char *s)
{
	return s ? arena_strndup(a, s, strlen(s)) : NULL;
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
	CLEANUP(mem_freep) char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	s = mem_vprintf(fmt, ap);
	va_end(ap);
	return arena_strdup(a, s);
}

void
arena_defer(struct arena *a, void (*fn)(void *), void *p)
{
	struct deferred *d = arena_alloc(a, sizeof(*d));

	d->fn = fn;
	d->p = p;
	d->next = a->deferred;
	a->deferred = d;
}
