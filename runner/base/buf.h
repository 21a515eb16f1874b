/* SPDX-License-Identifier: Apache-2.0 */
/* A growing byte buffer that always ends in a NUL. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>

#include "base/err.h"

/* {0} is an empty buffer.  data is NULL only while nothing was added. */
struct buf {
	char *data;
	size_t len; /* without the NUL */
	size_t cap;
};

void buf_add(struct buf *b, const void *data, size_t len);
void buf_adds(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void buf_cut(struct buf *b, size_t from); /* drops the first `from` bytes */
void buf_reset(struct buf *b);		  /* empties it, keeps the memory */
char *buf_steal(struct buf *b);		  /* never NULL; caller frees */
void buf_done(struct buf *b);

/* Reads fd to its end; more than `limit` bytes is an ERR_USER. */
int buf_read_fd(struct buf *b, int fd, size_t limit, struct err *err);

#endif
