/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine and its workers share. */
#ifndef COPY_ENGINE_H
#define COPY_ENGINE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/vec.h"
#include "stages/copy/copy.h"
#include "stages/copy/digest.h"
#include "stages/copy/output.h"
#include "stages/copy/wire.h"

#define ENGINE_SPAN 128 /* blocks; a ledger sync each when overwriting */

/* Written, but perhaps not durable yet. */
struct fresh {
	uint64_t block;
	uint8_t digest[LEDGER_DIGEST_SIZE];
};

struct fresh_list {
	struct fresh *v;
	size_t n, cap;
};

struct engine {
	const struct copy_opts *opts;
	struct output out;
	uint64_t size, nblocks;
	int nworkers;
	atomic_bool stop; /* no new block is begun */

	pthread_mutex_t lock; /* of all that follows, and of the ledger */
	pthread_cond_t wake;  /* the watching thread */
	uint64_t next;	      /* first block nobody has taken */
	struct fresh_list fresh;
	uint64_t fresh_bytes;
	int64_t fresh_since_ms; /* when the list was last empty */
	struct copy_progress progress;
	int nrunning;
	bool cancelled;
	bool target_failed; /* what is fresh may never become durable */
	struct err err;	    /* the first one */
};

/* What is known of a block before it is read. */
enum block_plan {
	BLOCK_SETTLED, /* durable already */
	BLOCK_BLANK,   /* reads as zeroes on the target */
	BLOCK_WRITTEN, /* may hold anything */
};

struct worker {
	struct engine *e;
	int lane;
	pthread_t thread;
	struct wire source;
	struct digest digest;
	uint8_t *buf;	/* one block */
	uint64_t first; /* of the span in hand */
	size_t n;
	enum block_plan plan[ENGINE_SPAN];
	bool is_hole[ENGINE_SPAN];
};

/* Bytes of the disk in this block: the last one may be short. */
size_t engine_block_len(const struct engine *e, uint64_t block);

/* With the lock held: */
void engine_fail(struct engine *e, const struct err *err);
bool engine_checkpoint_is_due(const struct engine *e);

/* The thread of a worker; `arg` is the struct worker. */
void *worker_run(void *arg);

#endif
