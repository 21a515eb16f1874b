/* SPDX-License-Identifier: Apache-2.0 */
/* What somebody looked at before a run: the digest `plan` prints, held against
 * what a run is about to do (--expect), and taken as the licence to copy again
 * what is copied already (--accept).  A licence is for one piece of work: once
 * that is done, or anything about it changes, the digest is another. */
#ifndef RUNNER_REVIEW_H
#define RUNNER_REVIEW_H

#include "batch.h"

/* So much of a digest is printed, and at least so much is wanted. */
#define REVIEW_SHOWN 16
#define REVIEW_LEAST 12

/* After all verdicts: sets the digests, keeps back the vms whose work needs
 * accepting and is not accepted, and compares with what is expected (-1,
 * ERR_NOT_READY, when it differs). */
int review(struct batch *b, const struct batch_opts *opts, struct err *err);
/* Is the vm kept back for want of --accept? */
bool review_wants_accept(const struct batch_vm *v);
/* Is it the beginning of the digest of all, or of one vm? */
bool review_fits(const struct batch *b, const char *digest);
/* Can it be the beginning of a digest?  Otherwise -1 with ERR_USER. */
int review_check_digest(const char *option, const char *text, struct err *err);

#endif
