/* SPDX-License-Identifier: Apache-2.0 */
/* One whole copy from here to there, servers and ledger included: what the
 * `copy` command does. */
#ifndef COPY_IMAGE_H
#define COPY_IMAGE_H

#include "stages/copy/copy.h"

struct copy_image_opts {
	const char *source;	   /* an NBD URI, or an image file */
	const char *source_format; /* of a file; NULL is raw */
	/* an NBD URI, a file to make, or a block device */
	const char *target;
	const char *target_format; /* of a file: raw or qcow2; NULL is raw */
	/* Keeps the proof and lets the same copy go on after it was cut short;
	 * one ledger is for one state of the source.  NULL: neither. */
	const char *ledger;
	enum ledger_digest digest;
	uint64_t checkpoint_bytes; /* see copy_opts */
	/* What may be lost on a block device: what its refusal named. */
	const char *accept;
	/* Brings a copy of an earlier state of the source up to date; the
	 * ledger is needed then.  COPY_CHANGED goes by the list in the file
	 * `changed` (extents.h), of all that changed since the last copy that
	 * ended well. */
	enum copy_pass pass;
	const char *changed;
	/* First all is read back that the ledger has of the target, and what is
	 * not there is copied again: without it, a sample (kept.h) that
	 * differs is ERR_MISMATCH.  Of the source it is ERR_FAIL. */
	bool recheck;
	int64_t wait_ms; /* this and the next: see copy_opts */
	const struct throttle *throttle;
	copy_progress_fn *progress; /* may be NULL */
	void *arg;
};

struct copy_image_result {
	struct copy_progress progress;
	uint64_t checked_bytes; /* read before, to see what is still there */
	uint32_t generation;
	enum ledger_digest digest;
	char root[65]; /* over all blocks' digests; "" without proof */
};

/* *ret is filled in on failure, too, as far as it came.
 *
 * Copies, or goes on copying; a copy whose ledger says it is complete is
 * nothing to do.  A block device on which something can be recognised is
 * ERR_NOT_READY unless that is accepted, or a ledger says that this copy has
 * begun on it. */
int copy_image(const struct copy_image_opts *opts,
	       struct copy_image_result *ret, struct err *err);

/* "nbd://", "nbd+unix://", "nbds://" ... and not a file's name. */
bool copy_image_is_uri(const char *name);

#endif
