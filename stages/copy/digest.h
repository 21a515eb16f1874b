/* SPDX-License-Identifier: Apache-2.0 */
/* The proof: a digest per block, and one root over all of them.
 *
 * A block's digest is SHA-256 (or XXH3-128 with seed 0 in canonical byte
 * order, then 16 zero bytes) of the bytes the disk has in that block: the last
 * block of a disk whose size is no multiple of 1 MiB is hashed short, without
 * padding.
 *
 * The root is SHA-256 in every case:
 *
 *	leaf  = SHA-256(00 || digest)
 *	node  = SHA-256(01 || left || right)
 *	root  = SHA-256(02 || size || block size || kind || top)
 *
 * with size in 8 bytes, block size and kind (enum ledger_digest) in 4, little
 * endian.  Nodes pair neighbours level by level, a last one without neighbour
 * moves up as it is (the shape of RFC 6962); the top of a disk without blocks
 * is 32 zero bytes.  The first bytes keep leaf, node and root apart, so that
 * none can be passed off as another; the size keeps a disk and a longer one
 * that begins like it apart.  Over XXH3 digests the root finds accidents, but
 * proves nothing to an adversary. */
#ifndef COPY_DIGEST_H
#define COPY_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "stages/copy/ledger.h"

/* Computes digests; for one thread at a time.  Zero-initialise. */
struct digest {
	enum ledger_digest kind;
	struct evp_md_st *md; /* OpenSSL's, fetched once: owned */
	struct evp_md_ctx_st *ctx;
	uint8_t zero[LEDGER_DIGEST_SIZE]; /* of a whole block of zeroes */
};

int digest_init(struct digest *d, enum ledger_digest kind, struct err *err);
void digest_done(struct digest *d);

/* LEDGER_NO_DIGEST gives zero bytes. */
int digest_block(struct digest *d, const void *data, size_t len,
		 uint8_t ret[LEDGER_DIGEST_SIZE], struct err *err);
/* The same for `len` zeroes, at most a block. */
int digest_zeroes(struct digest *d, size_t len, uint8_t ret[LEDGER_DIGEST_SIZE],
		  struct err *err);

void digest_hex(char *ret, const uint8_t digest[LEDGER_DIGEST_SIZE]);

#define DIGEST_LEVELS 64

/* The root, fed one block's digest after the other.  left[i] is a node over
 * 2^i blocks that waits for its right neighbour, where bit i of n is set. */
struct digest_tree {
	uint64_t n;
	uint8_t left[DIGEST_LEVELS][LEDGER_DIGEST_SIZE];
};

/* `sha` was made with LEDGER_SHA256. */
int digest_tree_add(struct digest_tree *t, struct digest *sha,
		    const uint8_t digest[LEDGER_DIGEST_SIZE], struct err *err);
int digest_tree_root(const struct digest_tree *t, struct digest *sha,
		     const struct ledger_identity *disk,
		     uint8_t ret[LEDGER_DIGEST_SIZE], struct err *err);

#endif
