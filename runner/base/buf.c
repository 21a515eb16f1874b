/* SPDX-License-Identifier: Apache-2.0 */
/* A growing byte buffer. */
#include "base/buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

static void
buf_reserve(struct buf *b, size_t more)
{
	size_t need = b->len + more + 1;

	if (need <= b->cap)
		return;
	b->cap = b->cap ? b->cap : 64;
	while (b->cap < need)
		b->cap *= 2;
	b->data = mem_resize(b->data, b->cap);
}

void
buf_add(struct buf *b, const void *data, size_t len)
{
	buf_reserve(b, len);
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void
buf_adds(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	CLEANUP(mem_freep) char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	s = mem_vprintf(fmt, ap);
	va_end(ap);
	buf_adds(b, s);
}

void
buf_cut(struct buf *b, size_t from)
{
	if (from == 0)
		return;
	b->len -= from;
	memmove(b->data, b->data + from, b->len + 1);
}

void
buf_reset(struct buf *b)
{
	b->len = 0;
	if (b->data)
		b->data[0] = '\0';
}

char *
buf_steal(struct buf *b)
{
	char *s = b->data ? b->data : mem_strdup("");

	*b = (struct buf){0};
	return s;
}

void
buf_done(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}

int
buf_read_fd(struct buf *b, int fd, size_t limit, struct err *err)
{
	ssize_t got;

	for (;;) {
		buf_reserve(b, 65536);
		got = read(fd, b->data + b->len, 65536);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(err, "cannot read");
		b->len += (size_t)got;
		b->data[b->len] = '\0';
		if (got == 0)
			return 0;
		if (b->len > limit)
			return err_set(err, ERR_USER,
				       "is larger than the limit of %zu bytes",
				       limit);
	}
}
