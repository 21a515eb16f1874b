/* SPDX-License-Identifier: Apache-2.0 */
/* The source while it is read: a raw file or block device here, or NBD.  Each
 * thread has one of its own. */
#ifndef COPY_INPUT_H
#define COPY_INPUT_H

#include "stages/copy/wire.h"

/* Zero-initialise, then input_open. */
struct input {
	const char *file; /* NULL: over NBD */
	int fd;
	struct wire wire;
	uint64_t size;
};

/* A read that is under way. */
struct input_op {
	struct wire_op wire;
	uint8_t *data;
	size_t len;
	uint64_t at;
};

/* One of file and uri is set; all must outlive it. */
int input_open(struct input *in, const char *file, const char *uri,
	       const struct wire_patience *patience, struct err *err);
/* The same once more, for another thread: only if it is what `first` has. */
int input_open_more(struct input *in, const struct input *first,
		    struct err *err);
void input_close(struct input *in);

bool input_can_share(const struct input *in); /* among several threads */

/* What begins of reads must be multiples of. */
uint32_t input_align(const struct input *in);

/* `data` is a whole block, or what is left of one. */
void input_begin(struct input *in, struct input_op *op, void *data, size_t len,
		 uint64_t at);
/* Waits for it; `also`: see wire_end. */
int input_end(struct input *in, struct input_op *op, struct wire *also,
	      struct err *err);
/* Over NBD: is all of it in `data`, whether or not somebody waited for it? */
bool input_has_come(const struct input_op *op);

/* Which blocks are sure to read as zeroes: is_zero[i] for block first + i. */
int input_zero_blocks(struct input *in, uint64_t first, size_t n, bool *is_zero,
		      struct err *err);

#endif
