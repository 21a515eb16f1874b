/* SPDX-License-Identifier: Apache-2.0 */
/* A disk read back to be compared: what counts is what the disk gives, not
 * what a cache of the writer's still holds. */
#ifndef COPY_READBACK_H
#define COPY_READBACK_H

#include "stages/copy/copy.h"
#include "stages/copy/wire.h"

/* Zero-initialise, then readback_open. */
struct readback {
	const struct copy_target *disk;
	const char *what; /* "target", "source" */
	int fd;		  /* -1: over NBD */
	bool is_open;
	struct wire wire; /* a connection that wrote nothing */
	uint64_t size;
};

/* `disk`, `what` and `patience` must outlive it. */
int readback_open(struct readback *r, const struct copy_target *disk,
		  const char *what, const struct wire_patience *patience,
		  struct err *err);
/* The same once more, for another thread: only if it is what `first` has. */
int readback_open_more(struct readback *r, const struct readback *first,
		       struct err *err);
void readback_close(struct readback *r);

/* `buf` is a whole block, aligned to a page. */
int readback_block(struct readback *r, void *buf, size_t len, uint64_t at,
		   struct err *err);

#endif
