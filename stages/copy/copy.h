/* SPDX-License-Identifier: Apache-2.0 */
/* The copy engine: disk bytes from NBD to a target, and the proof that they
 * arrived.  One engine serves every endpoint and the `copy` command. */
#ifndef STAGES_COPY_H
#define STAGES_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "stages/copy/ledger.h"
#include "stages/copy/throttle.h"

struct nbd_server; /* io/nbd.h */

/* Where the bytes go.  Exactly one of file and uri is set. */
struct copy_target {
	const char *file; /* raw file or block device, written directly */
	const char *uri;  /* an NBD server with FLUSH */
	/* We made it and nobody wrote since but with this ledger: blocks it
	 * calls untouched read as zeroes, so holes can be skipped.  Without a
	 * ledger: all of it does. */
	bool reads_as_zero;
};

struct copy_progress {
	uint64_t total_bytes;	/* the disk's size */
	uint64_t done_bytes;	/* settled: durable before, copied or zero */
	uint64_t read_bytes;	/* from the source, this run */
	uint64_t written_bytes; /* data sent to the target, this run */
	uint64_t zero_bytes;	/* found zero or hole, this run */
	uint64_t zeroed_bytes;	/* of them, made zero on the target */
	uint64_t skipped_bytes; /* already durable when we began */
	/* What an earlier attempt had written and not made durable, as far as
	 * that can be seen: in the ledger, or because a file of ours has data
	 * where the ledger knows of none. */
	uint64_t redone_bytes;
	/* What all threads together waited for their share of the bandwidth. */
	int64_t held_ms;
	/* Of a pass that brings an older copy up to date: read at the source
	 * and found to be as the ledger has it, so that nothing was written; */
	uint64_t same_bytes;
	uint64_t reread_bytes; /* read from the target, to be patched */
	/* found damaged there, and copied whole from the source. */
	uint64_t mended_bytes;
};

struct extents;

/* A stretch of the disk, in bytes. */
struct copy_extent {
	uint64_t offset, length;
};

/* What is looked at, besides all blocks of which the ledger does not know that
 * they are durable. */
enum copy_pass {
	/* Everything that is not of this generation is copied. */
	COPY_ALL,
	/* What changed, by a list, since the generation that the ledger says
	 * was applied last (ledger_applied).  Where only a part of a block did,
	 * the rest of it is taken from the target, once it proved to be what
	 * was copied there. */
	COPY_CHANGED,
	/* All is read at the source, and what differs from the ledger's
	 * digests is copied. */
	COPY_COMPARE,
};

/* Called now and then from the thread that called copy_run or copy_verify;
 * non-zero asks it to stop (the result is ERR_CANCELLED; of a copy what was
 * written is flushed and in the ledger). */
typedef int copy_progress_fn(void *arg, const struct copy_progress *progress);

#define COPY_GRACE_MS 6000

struct copy_opts {
	/* One of them is set: an NBD server, or a raw file or block device
	 * that nobody writes to meanwhile. */
	const char *source_uri, *source_file;
	/* Who serves it, once that has ended no connection is tried for again;
	 * NULL: somebody who may come back. */
	const struct nbd_server *source_server;
	struct copy_target target;
	struct ledger *ledger; /* NULL: no proof, no resume */
	uint64_t size_bytes;   /* of the disk, without a ledger; 0: not known */
	/* From 1; one generation is one point in time of the source, never two:
	 * blocks durable with it are not copied again. */
	uint32_t generation;
	enum copy_pass pass; /* but COPY_ALL, it needs a ledger */
	/* COPY_CHANGED: a tidy one (extents.h); NULL: nothing. */
	const struct extents *changed;
	int64_t checkpoint_ms; /* start one at the latest every ...; 0: 5 s */
	uint64_t checkpoint_bytes; /* 0: 1 GiB */
	int connections; /* to the source at most, a thread each; 0: 2 */
	/* A server that gives no sign of life for so long is ERR_RETRY; 0: 30
	 * minutes. */
	int64_t wait_ms;
	/* What the target is given to take what it was sent, and to flush it,
	 * after the copy was asked to stop or failed; 0: COPY_GRACE_MS. */
	int64_t grace_ms;
	const struct throttle *throttle; /* NULL: as fast as it goes */
	copy_progress_fn *progress;	 /* may be NULL */
	void *arg;
};

/* When this returns 0 all blocks are flushed on the target and, with a
 * ledger, durable at `generation` and the ledger synced; ledger_set_applied is
 * the caller's.  An NBD target that cannot flush is ERR_FAIL with a ledger;
 * without one it is taken, and nothing is flushed.  *ret is filled in on
 * failure, too.  The disk's size is the ledger's, else size_bytes, else the
 * source's; a source of another size is ERR_FAIL. */
int copy_run(const struct copy_opts *opts, struct copy_progress *ret,
	     struct err *err);

enum verify_which {
	VERIFY_ALL_BLOCKS,
	VERIFY_SINCE_GENERATION,
	VERIFY_SAMPLED,
	VERIFY_LISTED,
	VERIFY_DURABLE, /* those that are, of a copy that may be incomplete */
};

struct verify_opts {
	struct copy_target target; /* read back past the cache where possible */
	/* What is named so is the source: it is as good as ever when the
	 * replica is not, so that the ledger may be sealed. */
	bool is_source;
	const struct ledger *ledger;
	int64_t wait_ms;		 /* see copy_opts */
	const struct throttle *throttle; /* NULL: as fast as it goes */
	enum verify_which which;
	/* VERIFY_SINCE_GENERATION: only blocks from it on */
	uint32_t generation;
	/* VERIFY_SAMPLED: so many blocks, drawn by base/sample.h */
	uint64_t sample_size, sample_seed;
	/* VERIFY_LISTED: these, durable and in ascending order */
	const uint64_t *blocks;
	size_t nblocks;
	/* Told of each block that differs, in ascending order; or NULL. */
	void (*differs)(void *arg, uint64_t block);
	copy_progress_fn *progress;
	void *arg; /* of both */
};

struct verify_result {
	uint64_t nchecked, nmismatched;
	uint64_t nunreadable;	 /* of those, blocks the target cannot read */
	uint64_t first_mismatch; /* block number, if any */
};

/* Reads the target back and compares with the ledger.  A difference is
 * ERR_MISMATCH naming block and byte offset; *ret is filled in then, too.  So
 * is a target that is too short, of which nothing is read. */
int copy_verify(const struct verify_opts *opts, struct verify_result *ret,
		struct err *err);

/* Of such a failure, in a step: where all that differs is what could not be
 * read, storage may be well again when the step is tried again. */
void copy_verify_soften(const struct verify_result *r, struct err *err);

/* Copies the blocks that are listed, in ascending order, again from the source
 * of `opts`: for a complete copy of a generation whose point in time the source
 * still has.  First all of them are read there and compared with the ledger;
 * a source that does not have them any more is ERR_MISMATCH, and then nothing
 * was written.  After that they are overwritten as the ledger's rules want it;
 * those that the source does not have any more by then are ERR_MISMATCH, and
 * do not count as copied.  What `opts` says about passes is not heeded. */
int copy_repair(const struct copy_opts *opts, const uint64_t *blocks,
		size_t nblocks, struct copy_progress *ret, struct err *err);

#endif
