/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of what changed on a disk, in bounded memory.
 *
 * A list is exact, to EXTENTS_GRAIN, as long as it has no more than
 * EXTENTS_EXACT entries, or half as many once they are joined: 16 MiB.  One
 * that is more fragmented becomes a map of grains of 64 KiB, which is what
 * bitmaps are kept in, and of the map only those pages are there that have a
 * changed grain: 2 MiB for a TiB of which every other grain changed.  Where
 * the map would take more than 32 MiB the grains become twice as large, and
 * again.  So the list never says too little, and says more than it was told
 * only where memory asks for it.
 *
 * {0} is a list of nothing. */
#ifndef COPY_EXTENTS_H
#define COPY_EXTENTS_H

#include "base/vec.h"
#include "stages/copy/copy.h"

#define EXTENTS_GRAIN 4096
/* A request costs as much as reading so many bytes does: what lies this near
 * together is read as one. */
#define EXTENTS_GAP (24 * 1024)
#define EXTENTS_EXACT (1024 * 1024)

struct extents {
	VEC(struct copy_extent) exact;
	uint64_t grain; /* not 0: these instead, a bit each */
	VEC(uint64_t *) pages;
	size_t npresent; /* of them */
};

/* In any order, and as often as one likes. */
void extents_add(struct extents *x, uint64_t offset, uint64_t length);
/* Once all is added: in order, rounded out to EXTENTS_GRAIN, joined where no
 * more than EXTENTS_GAP is between them. */
void extents_tidy(struct extents *x);
void extents_done(struct extents *x);

/* Of a tidy list the first stretch of [from, to) that changed, cut off there;
 * false: nothing of it did. */
bool extents_within(const struct extents *x, uint64_t from, uint64_t to,
		    struct copy_extent *ret);
uint64_t extents_bytes(const struct extents *x);

/* The dirty parts of the disk that an NBD server offers, by the context
 * ("qemu:dirty-bitmap:NAME"), added to the list, which the caller tidies; on
 * failure some of them may be.  A server that does not have the context is
 * ERR_FAIL; one that takes longer than wait_ms for an answer, ERR_RETRY; 0: see
 * copy_opts. */
int extents_of_context(const char *uri, const char *context, int64_t wait_ms,
		       struct extents *x, struct err *err);

/* Reads a list from a file, of any length, into an empty one, tidy; *ret is
 * the caller's, on failure, too.  One that reaches behind `size` is cut off;
 * one that begins there is ERR_USER: the list is of another disk.
 *
 * JSON: an array of objects with "offset" and "length", in bytes.  Text: a
 * line each, offset and length in bytes, decimal or with 0x; # begins a
 * remark.  In both a description may say "dirty" or "clean", as in what
 * `nbdinfo --map=qemu:dirty-bitmap:NAME` prints: what is clean does not count.
 * Any other is ERR_USER: it is a map of something else. */
int extents_read(const char *path, uint64_t size, struct extents *ret,
		 struct err *err);

#endif
