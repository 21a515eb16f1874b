/* SPDX-License-Identifier: Apache-2.0 */
/* The target while it is written: a file or block device of ours, or NBD. */
#ifndef COPY_OUTPUT_H
#define COPY_OUTPUT_H

#include <pthread.h>

#include "stages/copy/copy.h"
#include "stages/copy/direct.h"
#include "stages/copy/wire.h"

#define OUTPUT_LANES 8	/* most threads that write at once */
#define OUTPUT_WINDOW 8 /* blocks of a lane on their way to the disk */

/* What a lane wrote last and the kernel has not settled yet. */
struct output_window {
	uint64_t at[OUTPUT_WINDOW];
	uint32_t len[OUTPUT_WINDOW]; /* 0: nothing */
	unsigned next;
};

/* A write that is under way. */
struct output_op {
	struct wire_op wire;
	struct direct_op direct;
};

/* Zero-initialise, then output_open.  Each thread that writes has a lane of
 * its own; flush may come from any. */
struct output {
	const struct copy_target *target;
	uint64_t size;
	int fd;	     /* -1: over NBD */
	int sync_fd; /* the same once more: nothing but syncs are asked of it */
	bool is_file;
	struct direct direct; /* past the page cache, where that can be */
	/* One a lane and one for flushes; or the first for all, in turn. */
	struct wire wire[OUTPUT_LANES + 1];
	struct wire *flush;
	bool is_shared;
	pthread_mutex_t lock; /* of the one they share */
	struct err broke;     /* why that one is closed */
	struct output_window window[OUTPUT_LANES];
};

int output_open(struct output *o, const struct copy_target *target, int nlanes,
		const struct wire_patience *patience, struct err *err);
void output_close(struct output *o); /* syncs nothing */

/* Nothing of a file or block device will be read back: from now on blocks are
 * written past the page cache where that can be, by threads of their own. */
void output_go_direct(struct output *o);
/* So many writes of a lane should be under way at once. */
unsigned output_ahead(const struct output *o);

bool output_can_flush(const struct output *o);

/* Where data of somebody's begins, from `at` on, as far as that can be seen
 * (output_knows_data: all of it): UINT64_MAX when there is none. */
bool output_knows_data(const struct output *o);
uint64_t output_next_data(const struct output *o, uint64_t at);

/* Begins to write a block: `data` is a whole one, zero after `len`, and stays
 * as it is until output_end. */
int output_begin(struct output *o, int lane, struct output_op *op, void *data,
		 size_t len, uint64_t at, struct err *err);
/* `also`: see wire_end.  Fine on one that has ended. */
int output_end(struct output_op *op, struct wire *also, struct err *err);
/* The connection that is the lane's alone, or NULL. */
struct wire *output_wire(struct output *o, int lane);

/* Reads back what is there; `data` is a whole block. */
int output_read(struct output *o, int lane, void *data, size_t len, uint64_t at,
		struct err *err);
/* What begins and ends of writes and zeroes must be multiples of. */
uint32_t output_align(const struct output *o);

/* Has the file system share what another file has at the same place, so that no
 * byte moves: 1 when it will not and the bytes must be written. */
int output_share(struct output *o, int lane, int from, uint64_t len,
		 uint64_t at, struct err *err);
/* Makes zeroes without sending any: 1 when the target has no way to, and they
 * must be written. */
int output_punch(struct output *o, int lane, uint64_t len, uint64_t at,
		 struct err *err);
int output_write_zeroes(struct output *o, int lane, uint64_t len, uint64_t at,
			struct err *err);
/* Whichever it takes. */
int output_zero(struct output *o, int lane, uint64_t len, uint64_t at,
		struct err *err);
/* When this returns 0, every write that had ended before it was called is
 * durable.  When it fails once, nobody knows what is. */
int output_flush(struct output *o, struct err *err);

#endif
