/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of what changed on a disk. */
#ifndef COPY_EXTENTS_H
#define COPY_EXTENTS_H

#include "stages/copy/copy.h"

#define EXTENTS_GRAIN 4096
/* A request costs as much as reading so many bytes does: what lies this near
 * together is read as one. */
#define EXTENTS_GAP (24 * 1024)

/* In order, rounded out to EXTENTS_GRAIN, joined where no more than
 * EXTENTS_GAP is between them. */
void extents_tidy(struct copy_extent *v, size_t *n);

/* The first that ends behind `at`, of a tidy list; n when none does. */
size_t extents_find(const struct copy_extent *v, size_t n, uint64_t at);

/* The dirty parts of the disk that an NBD server offers, by the context
 * ("qemu:dirty-bitmap:NAME"), added to the list *v, which the caller frees and
 * tidies.  A server that does not have the context is ERR_FAIL; one that takes
 * longer than wait_ms for an answer, ERR_RETRY; 0: see copy_opts. */
int extents_of_context(const char *uri, const char *context, int64_t wait_ms,
		       struct copy_extent **v, size_t *n, struct err *err);

/* Reads a list from a file, tidy; *ret is the caller's.  One that reaches
 * behind `size` is cut off; one that begins there is ERR_USER: the list is of
 * another disk.
 *
 * JSON: an array of objects with "offset" and "length", in bytes.  Text: a
 * line each, offset and length in bytes, decimal or with 0x; # begins a
 * remark.  In both a description may say "dirty" or "clean", as in what
 * `nbdinfo --map=qemu:dirty-bitmap:NAME` prints: what is clean does not count.
 * Any other is ERR_USER: it is a map of something else. */
int extents_read(const char *path, uint64_t size, struct copy_extent **ret,
		 size_t *ret_n, struct err *err);

#endif
