/* SPDX-License-Identifier: Apache-2.0 */
/* The target while it is written: a file or block device of ours, or NBD. */
#ifndef COPY_OUTPUT_H
#define COPY_OUTPUT_H

#include "stages/copy/copy.h"
#include "stages/copy/wire.h"

#define OUTPUT_LANES 8	/* most threads that write at once */
#define OUTPUT_WINDOW 8 /* blocks of a lane on their way to the disk */

/* What a lane wrote last and the kernel has not settled yet. */
struct output_window {
	uint64_t at[OUTPUT_WINDOW];
	uint32_t len[OUTPUT_WINDOW]; /* 0: nothing */
	unsigned next;
};

/* Zero-initialise, then output_open.  Each thread that writes has a lane of
 * its own; flush may come from any. */
struct output {
	const struct copy_target *target;
	uint64_t size;
	int fd;				/* -1: over NBD */
	struct wire wire[OUTPUT_LANES]; /* nwires of them */
	int nwires;			/* one, or one a lane */
	struct output_window window[OUTPUT_LANES];
};

int output_open(struct output *o, const struct copy_target *target, int nlanes,
		struct err *err);
void output_close(struct output *o); /* syncs nothing */

bool output_can_flush(const struct output *o);

/* `data` is a whole block, zero after `len`. */
int output_write(struct output *o, int lane, const void *data, size_t len,
		 uint64_t at, struct err *err);
int output_zero(struct output *o, int lane, uint64_t len, uint64_t at,
		struct err *err);
/* When this returns 0, every write that had returned before it was called is
 * durable.  When it fails once, nobody knows what is. */
int output_flush(struct output *o, struct err *err);

#endif
