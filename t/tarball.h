/* SPDX-License-Identifier: Apache-2.0 */
/* A writer of tar archives, sound and otherwise, for unit tests. */
#ifndef T_TARBALL_H
#define T_TARBALL_H

#include <stdio.h>
#include <string.h>

#include "base/buf.h"

#define TAR_BLOCK 512

enum tar_size { TAR_OCTAL, TAR_BASE_256, TAR_PAX };

static inline void
tar_seal(char h[TAR_BLOCK])
{
	unsigned sum = 0;

	memset(h + 148, ' ', 8);
	for (int i = 0; i < TAR_BLOCK; i++)
		sum += (unsigned char)h[i];
	snprintf(h + 148, 8, "%06o", sum);
}

/* A header, and then whatever the caller appends. */
static inline void
tar_header(struct buf *b, const char *name, char type, unsigned long long size)
{
	char h[TAR_BLOCK] = {0};

	memcpy(h, name, strnlen(name, 100));
	memcpy(h + 100, "0000644", 8);
	snprintf(h + 124, 12, "%011llo", size & 077777777777);
	memcpy(h + 136, "00000000000", 12);
	h[156] = type;
	memcpy(h + 257, "ustar\00000", 8);
	tar_seal(h);
	buf_add(b, h, sizeof(h));
}

static inline void
tar_data(struct buf *b, const void *data, size_t len)
{
	static const char zeroes[TAR_BLOCK];

	buf_add(b, data, len);
	buf_add(b, zeroes, (TAR_BLOCK - len % TAR_BLOCK) % TAR_BLOCK);
}

static inline void
tar_pax(struct buf *b, const char *record)
{
	tar_header(b, "pax", 'x', strlen(record));
	tar_data(b, record, strlen(record));
}

static inline void
tar_add(struct buf *b, const char *name, const void *data, size_t len)
{
	tar_header(b, name, '0', len);
	tar_data(b, data, len);
}

/* With its size written in one of the ways for large files. */
static inline void
tar_add_sized(struct buf *b, const char *name, const void *data, size_t len,
	      enum tar_size how)
{
	char record[64];
	size_t at = b->len;

	if (how == TAR_PAX) {
		/* "NN size=NNNNNNNN\n": 16 bytes */
		snprintf(record, sizeof(record), "17 size=%08zu\n", len);
		tar_pax(b, record);
		at = b->len;
	}
	tar_add(b, name, data, len);
	if (how == TAR_BASE_256) {
		memset(b->data + at + 124, 0, 12);
		b->data[at + 124] = (char)0x80;
		for (int i = 0; i < 8; i++)
			b->data[at + 135 - (size_t)i] = (char)(len >> 8 * i);
	}
	if (how == TAR_PAX)
		memcpy(b->data + at + 124, "00000000000", 12);
	tar_seal(b->data + at);
}

static inline void
tar_end(struct buf *b)
{
	static const char zeroes[2 * TAR_BLOCK];

	buf_add(b, zeroes, sizeof(zeroes));
}

#endif
