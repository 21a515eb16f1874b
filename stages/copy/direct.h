/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks on their way to a file or block device past the page cache, written
 * by threads of their own: who hashes does not wait for the disk. */
#ifndef COPY_DIRECT_H
#define COPY_DIRECT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define DIRECT_THREADS 8 /* at most */
#define DIRECT_AHEAD 4	 /* writes that one who writes begins before waiting */

/* A write that is under way. */
struct direct_op {
	struct direct *direct; /* NULL: none is */
	struct direct_op *next;
	const void *data;
	size_t len;
	uint64_t at;
	bool has_ended;
	int rc;
	struct err err; /* of one that failed */
};

/* Zero-initialise, then direct_open. */
struct direct {
	const char *path; /* NULL: it is not open */
	int fd;
	uint32_t align;
	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t begun, ended;
	struct direct_op *first, **last; /* nobody has taken yet */
	int nthreads;
	pthread_t thread[DIRECT_THREADS];
	bool is_closing;
};

/* For what `fd` has open, by the name of `path`, which must outlive it.  Where
 * the kernel or the file system does not offer it, nothing is opened. */
void direct_open(struct direct *d, int fd, const char *path);
bool direct_is_open(const struct direct *d);
/* Fine on one that is not open. */
void direct_close(struct direct *d);

/* Is it open, and can this be written so? */
bool direct_takes(const struct direct *d, const void *data, size_t len,
		  uint64_t at);
/* `op` and the data are its own from begin to end. */
void direct_begin(struct direct *d, struct direct_op *op, const void *data,
		  size_t len, uint64_t at);
/* Waits until it is written; to be durable it is to be flushed like any. */
int direct_end(struct direct_op *op, struct err *err);

#endif
