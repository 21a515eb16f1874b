/* SPDX-License-Identifier: Apache-2.0 */
/* The copy engine: disk bytes from NBD to a target, and the proof that they
 * arrived.  One engine serves every endpoint and the `copy` command. */
#ifndef STAGES_COPY_H
#define STAGES_COPY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "stages/copy/ledger.h"

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
};

/* Called now and then from the thread that called copy_run or copy_verify;
 * non-zero asks it to stop (the result is ERR_CANCELLED; of a copy what was
 * written is flushed and in the ledger). */
typedef int copy_progress_fn(void *arg, const struct copy_progress *progress);

struct copy_opts {
	/* One of them is set: an NBD server, or a raw file or block device
	 * that nobody writes to meanwhile. */
	const char *source_uri, *source_file;
	struct copy_target target;
	struct ledger *ledger; /* NULL: no proof, no resume */
	/* From 1; one generation is one point in time of the source, never two:
	 * blocks durable with it are not copied again. */
	uint32_t generation;
	int64_t checkpoint_ms; /* start one at the latest every ...; 0: 5 s */
	uint64_t checkpoint_bytes; /* 0: 1 GiB */
	int connections; /* to the source at most, a thread each; 0: 2 */
	/* A server that gives no sign of life for so long is ERR_RETRY; 0: 30
	 * minutes. */
	int64_t wait_ms;
	/* What the target is given to take what it was sent, and to flush it,
	 * after the copy was asked to stop or failed; 0: 8 s. */
	int64_t grace_ms;
	copy_progress_fn *progress; /* may be NULL */
	void *arg;
};

/* When this returns 0 all blocks are flushed on the target and, with a
 * ledger, durable at `generation` and the ledger synced; ledger_set_applied is
 * the caller's.  An NBD target that cannot flush is ERR_FAIL with a ledger;
 * without one it is taken, and nothing is flushed.  *ret is filled in on
 * failure, too.  The disk's size is the ledger's, else the source's. */
int copy_run(const struct copy_opts *opts, struct copy_progress *ret,
	     struct err *err);

struct verify_opts {
	struct copy_target target; /* read back past the cache where possible */
	const struct ledger *ledger;
	int64_t wait_ms; /* see copy_opts */
	enum { VERIFY_ALL_BLOCKS, VERIFY_SINCE_GENERATION } which;
	uint32_t
	    generation; /* VERIFY_SINCE_GENERATION: only blocks from it on */
	copy_progress_fn *progress;
	void *arg;
};

struct verify_result {
	uint64_t nchecked, nmismatched;
	uint64_t first_mismatch; /* block number, if any */
};

/* Reads the target back and compares with the ledger.  A difference is
 * ERR_MISMATCH naming block and byte offset; *ret is filled in then, too. */
int copy_verify(const struct verify_opts *opts, struct verify_result *ret,
		struct err *err);

#endif
