/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is freed together: nobody frees a piece. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *a); /* NULL is fine */
void arena_freep(struct arena **a);

void *arena_alloc(struct arena *a, size_t size);    /* zeroed */
char *arena_strdup(struct arena *a, const char *s); /* NULL gives NULL */
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Runs fn(p) when the arena goes, latest first: for foreign values (a json_t)
 * that live as long as the arena. */
void arena_defer(struct arena *a, void (*fn)(void *), void *p);

#endif
