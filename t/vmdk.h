/* SPDX-License-Identifier: Apache-2.0 */
/* A writer of stream-optimised VMDKs as ESX exports them, which qemu-img's own
 * are not: markers before everything, the grain directory at the end, and a
 * footer that says where.  Grains are "deflated" by storing them. */
#ifndef T_VMDK_H
#define T_VMDK_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"

#define VMDK_SECTOR 512
#define VMDK_GRAIN ((size_t)65536)
#define VMDK_ENTRIES 512 /* grains of a table */

enum vmdk_marker { VMDK_EOS, VMDK_TABLE, VMDK_DIRECTORY, VMDK_FOOTER };

static inline void
vmdk_pad(struct buf *b)
{
	static const char zeroes[VMDK_SECTOR];

	buf_add(b, zeroes, (VMDK_SECTOR - b->len % VMDK_SECTOR) % VMDK_SECTOR);
}

static inline void
vmdk_le(char *at, uint64_t value, size_t len)
{
	uint64_t le = htole64(value);

	memcpy(at, &le, len);
}

static inline void
vmdk_header(struct buf *b, uint64_t sectors, uint64_t directory)
{
	char h[VMDK_SECTOR] = "KDMV";

	vmdk_le(h + 4, 3, 4);
	vmdk_le(h + 8, 0x30001, 4); /* compressed, with markers */
	vmdk_le(h + 12, sectors, 8);
	vmdk_le(h + 20, VMDK_GRAIN / VMDK_SECTOR, 8);
	vmdk_le(h + 28, 1, 8);
	vmdk_le(h + 36, 20, 8);
	vmdk_le(h + 44, VMDK_ENTRIES, 4);
	vmdk_le(h + 56, directory, 8);
	vmdk_le(h + 64, 128, 8);
	memcpy(h + 73, "\n \r\n", 4);
	vmdk_le(h + 77, 1, 2);
	buf_add(b, h, sizeof(h));
}

static inline void
vmdk_marker(struct buf *b, uint64_t nsectors, enum vmdk_marker type)
{
	char m[VMDK_SECTOR] = {0};

	vmdk_le(m, nsectors, 8);
	vmdk_le(m + 12, type, 4);
	buf_add(b, m, sizeof(m));
}

/* zlib's format, in two stored blocks. */
static inline void
vmdk_deflate(struct buf *b, const char *data)
{
	uint32_t low = 1, high = 0, sum;
	size_t half = VMDK_GRAIN / 2;

	buf_add(b, "\x78\x01", 2);
	for (int last = 0; last < 2; last++) {
		char block[5] = {(char)last};

		vmdk_le(block + 1, half, 2);
		vmdk_le(block + 3, ~half, 2);
		buf_add(b, block, sizeof(block));
		buf_add(b, data + (size_t)last * half, half);
	}
	for (size_t i = 0; i < VMDK_GRAIN; i++) {
		low = (low + (unsigned char)data[i]) % 65521;
		high = (high + low) % 65521;
	}
	sum = htobe32(high << 16 | low);
	buf_add(b, &sum, sizeof(sum));
}

static inline int
vmdk_is_zero(const char *data)
{
	return !data[0] && !memcmp(data, data + 1, VMDK_GRAIN - 1);
}

static inline void
vmdk_grain(struct buf *b, uint64_t n, const char *data)
{
	struct buf packed = {0};
	char m[12];

	vmdk_deflate(&packed, data);
	vmdk_le(m, n * (VMDK_GRAIN / VMDK_SECTOR), 8);
	vmdk_le(m + 8, packed.len, 4);
	buf_add(b, m, sizeof(m));
	buf_add(b, packed.data, packed.len);
	vmdk_pad(b);
	buf_done(&packed);
}

/* At most one table, so at most 32 MiB; len counts whole grains. */
static inline void
vmdk_write_as_esx(struct buf *b, const char *data, size_t len)
{
	static const char zeroes[127 * VMDK_SECTOR];
	static const char text[] = "# Disk DescriptorFile\nversion=1\n"
				   "CID=12345678\nparentCID=ffffffff\n"
				   "createType=\"streamOptimized\"\n";
	char table[VMDK_ENTRIES * 4] = {0}, directory[4];
	size_t at;

	vmdk_header(b, len / VMDK_SECTOR, UINT64_MAX);
	buf_add(b, text, sizeof(text) - 1);
	buf_add(b, zeroes, sizeof(zeroes) - (sizeof(text) - 1));
	for (size_t n = 0; n < len / VMDK_GRAIN; n++) {
		if (vmdk_is_zero(data + n * VMDK_GRAIN))
			continue;
		vmdk_le(table + 4 * n, b->len / VMDK_SECTOR, 4);
		vmdk_grain(b, n, data + n * VMDK_GRAIN);
	}
	vmdk_marker(b, sizeof(table) / VMDK_SECTOR, VMDK_TABLE);
	vmdk_le(directory, b->len / VMDK_SECTOR, 4);
	buf_add(b, table, sizeof(table));
	vmdk_marker(b, 1, VMDK_DIRECTORY);
	at = b->len / VMDK_SECTOR;
	buf_add(b, directory, sizeof(directory));
	vmdk_pad(b);
	vmdk_marker(b, 1, VMDK_FOOTER);
	vmdk_header(b, len / VMDK_SECTOR, at);
	vmdk_marker(b, 0, VMDK_EOS);
}

#endif
