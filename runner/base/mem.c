/* SPDX-License-Identifier: Apache-2.0 */
/* The allocators that abort instead of failing. */
#include "base/mem.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
die_of_memory(void)
{
	static const char text[] = "palletjack: out of memory\n";

	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0) {
		/* nothing is left to be done about it */
	}
	abort();
}

void *
mem_new(size_t size)
{
	void *p = calloc(1, size ? size : 1);

	if (!p)
		die_of_memory();
	return p;
}

void *
mem_resize(void *old, size_t size)
{
	void *p = realloc(old, size ? size : 1);

	if (!p)
		die_of_memory();
	return p;
}

char *
mem_strdup(const char *s)
{
	return s ? mem_strndup(s, strlen(s)) : NULL;
}

char *
mem_strndup(const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *copy = mem_new(len + 1);

	memcpy(copy, s, len);
	return copy;
}

char *
mem_vprintf(const char *fmt, va_list ap)
{
	char *s = NULL;

	if (vasprintf(&s, fmt, ap) < 0)
		die_of_memory();
	return s;
}

char *
mem_printf(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = mem_vprintf(fmt, ap);
	va_end(ap);
	return s;
}

void
mem_trim(void)
{
	malloc_trim(0);
}

void
mem_freep(void *p)
{
	free(*(void **)p);
}

void
mem_closep(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}
