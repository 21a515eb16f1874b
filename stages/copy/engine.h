/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine and its workers share. */
#ifndef COPY_ENGINE_H
#define COPY_ENGINE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/vec.h"
#include "stages/copy/copy.h"
#include "stages/copy/digest.h"
#include "stages/copy/input.h"
#include "stages/copy/output.h"
#include "stages/copy/seen.h"
#include "stages/copy/wire.h"

#define ENGINE_SPAN 128 /* blocks; a ledger sync each when overwriting */
#define ENGINE_SHARE 64 /* blocks that are shared in one go */
#define ENGINE_SLOTS 16 /* blocks a worker has in hand at most */
/* Blocks that wait for a checkpoint at most: holes are done faster than any
 * target flushes, and a disk can be nothing else. */
#define ENGINE_FRESH (64 * 1024)

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
	/* From file to file, and no proof wants to see the bytes: the file
	 * system may share them.  Where it cannot, copying is ours: through a
	 * buffer that stays in the processor's cache it takes 0.8 of the time
	 * that copy_file_range does. */
	atomic_bool can_share;
	struct wire_patience source_patience, target_patience;

	pthread_mutex_t lock; /* of all that follows, and of the ledger */
	pthread_cond_t wake;  /* the watching thread */
	pthread_cond_t room;  /* more may be begun, or nothing any more */
	uint64_t next;	      /* first block nobody has taken */
	/* Before this byte and from `next` on the target had no data. */
	bool is_first; /* no attempt before this one wrote */
	uint64_t next_data;
	struct seen seen; /* of the source */
	uint64_t nagain;  /* so often it broke and came back */
	struct fresh_list fresh;
	uint64_t fresh_bytes;
	int64_t fresh_since_ms; /* when the list was last empty */
	uint64_t begun_bytes;	/* in the hands of workers */
	struct copy_progress progress;
	int nrunning;
	bool is_flushing; /* in a thread of its own: a flush can take long */
	bool has_flusher; /* to be joined */
	pthread_t flusher;
	struct fresh_list flushed; /* what that makes durable */
	uint64_t flushed_bytes;
	bool cancelled;
	bool target_failed; /* what is fresh may never become durable */
	struct err err;	    /* the first one */
};

/* What is known of a block before it is read. */
enum block_plan {
	BLOCK_SETTLED, /* durable already */
	BLOCK_BLANK,   /* reads as zeroes on the target */
	BLOCK_WRITTEN, /* may hold anything */
	BLOCK_DELTA,   /* durable, but perhaps not what the source has now */
};

/* A block between its read and the answer to its write. */
struct slot {
	size_t i;     /* of the span */
	uint8_t *buf; /* one block; made when first needed */
	struct input_op read;
	struct output_op write;
	uint8_t digest[LEDGER_DIGEST_SIZE];
	bool is_settled; /* no write of it is to be waited for */
};

struct delta;

struct worker {
	struct engine *e;
	int lane;
	pthread_t thread;
	struct input source;
	struct digest digest;
	uint64_t first; /* of the span in hand */
	size_t n;
	enum block_plan plan[ENGINE_SPAN];
	bool is_again[ENGINE_SPAN]; /* an earlier attempt wrote it */
	bool is_hole[ENGINE_SPAN];  /* none before the source said so */
	uint64_t nagain;   /* the engine's, when it was compared last */
	bool is_following; /* its source is compared as another's came back */
	/* A ring: so many reads were begun, ended, and their writes ended. */
	struct slot slot[ENGINE_SLOTS];
	uint64_t nbegun, nread, nwritten;
	unsigned depth; /* reads under way at once: grows while we wait */
	const struct delta *delta; /* while delta_span runs */
};

/* Bytes of the disk in this block: the last one may be short. */
size_t engine_block_len(const struct engine *e, uint64_t block);

/* How many blocks a worker takes at a time. */
size_t engine_span(const struct engine *e);

/* With the lock held: */
void engine_stop(struct engine *e); /* soon, at a good place */
void engine_fail(struct engine *e, const struct err *err);
bool engine_checkpoint_is_due(const struct engine *e);
/* How many blocks may be taken at once: no more than a checkpoint has. */
size_t engine_batch(const struct engine *e, size_t most);
/* Would `len` bytes more be more than two checkpoints' work, which is what may
 * have to be done again?  Not if they are all there is. */
bool engine_is_full(const struct engine *e, uint64_t len);

/* Brings the blocks of the span that are BLOCK_DELTA up to date, when no read
 * or write of the worker is under way. */
int delta_span(struct worker *w, struct err *err);
/* `len` bytes of the source from `at` on, all in one block. */
typedef int delta_piece_fn(void *arg, uint64_t at, size_t len,
			   const uint8_t *data, struct err *err);
/* Tells what delta_span took from the source and has not noted yet, up to the
 * first -1. */
int delta_each_in_hand(const struct worker *w, delta_piece_fn *tell, void *arg,
		       struct err *err);

/* What is to become of block `block`, the worker's i-th; lock held.
 * *ret_overwrites is set where the ledger knows something of it. */
enum block_plan worker_plan(struct worker *w, size_t i, uint64_t block,
			    bool *ret_overwrites);

/* Before so many bytes are read at the source; a ticket a block, so that
 * nobody's are larger than others'.  -1 without an error: asked to stop. */
int worker_await_turn(struct worker *w, uint64_t bytes, struct err *err);
/* Of the span's block i, which the target has acknowledged or did not have to
 * be told; with the lock held. */
void worker_note_fresh(struct worker *w, size_t i, const uint8_t *digest,
		       bool is_zero);
/* So many bytes are begun, once they are no more than may be done again; to
 * be taken off begun_bytes when they are fresh, or are not to be written. */
int worker_take_in_hand(struct worker *w, uint64_t len, struct err *err);
/* What the target was asked for did not happen: -1. */
int worker_target_failed(struct engine *e);
/* The slot of the n-th block that the worker began to read. */
struct slot *worker_slot(struct worker *w, uint64_t n);
/* The slot's buffer, a block; made when first needed. */
uint8_t *worker_buffer(struct slot *s);

/* Of the worker's source, which broke and came back: is it what was read? */
int again_check(void *arg, struct err *err);
/* Takes the engine's lock, for the worker to note what it has in hand, when
 * that is of the source as it came back last, to whomever; -1: it is not held,
 * and that is of another. */
int again_lock(struct worker *w, struct err *err);
/* With the lock held: a block that is passed over, as the ledger knows what the
 * source has in it. */
void again_note_settled(struct worker *w, uint64_t block);

/* The thread of a worker; `arg` is the struct worker. */
void *worker_run(void *arg);

#endif
