/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 by OpenSSL, XXH3-128 by libxxhash, and the tree over them. */
#include "stages/copy/digest.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h> /* what this processor has, not what all have */
#endif

#include "stages/copy/bytes.h"
#include "stages/copy/zero.h"

enum { TREE_LEAF = 0, TREE_NODE = 1, TREE_ROOT = 2 };

int
digest_init(struct digest *d, enum ledger_digest kind, struct err *err)
{
	d->kind = kind;
	if (kind == LEDGER_SHA256) {
		d->md = EVP_MD_fetch(NULL, "SHA256", NULL);
		d->ctx = EVP_MD_CTX_new();
		if (!d->md || !d->ctx)
			return err_set(err, ERR_FAIL,
				       "OpenSSL here does not offer SHA-256");
	}
	return digest_block(d, zero_block(), LEDGER_BLOCK_SIZE, d->zero, err);
}

void
digest_done(struct digest *d)
{
	EVP_MD_CTX_free(d->ctx);
	EVP_MD_free(d->md);
	*d = (struct digest){0};
}

static int
sha256(struct digest *d, const void *data, size_t len, uint8_t *ret,
       struct err *err)
{
	if (EVP_DigestInit_ex2(d->ctx, d->md, NULL) == 1 &&
	    EVP_DigestUpdate(d->ctx, data, len) == 1 &&
	    EVP_DigestFinal_ex(d->ctx, ret, NULL) == 1)
		return 0;
	return err_set(err, ERR_FAIL, "OpenSSL cannot compute SHA-256");
}

static void
xxh3(const void *data, size_t len, uint8_t *ret)
{
	XXH128_canonical_t canonical;

	XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, len));
	memcpy(ret, canonical.digest, sizeof(canonical.digest));
}

int
digest_block(struct digest *d, const void *data, size_t len,
	     uint8_t ret[LEDGER_DIGEST_SIZE], struct err *err)
{
	memset(ret, 0, LEDGER_DIGEST_SIZE);
	if (d->kind == LEDGER_SHA256)
		return sha256(d, data, len, ret, err);
	if (d->kind == LEDGER_XXH3)
		xxh3(data, len, ret);
	return 0;
}

int
digest_zeroes(struct digest *d, size_t len, uint8_t ret[LEDGER_DIGEST_SIZE],
	      struct err *err)
{
	if (len < LEDGER_BLOCK_SIZE)
		return digest_block(d, zero_block(), len, ret, err);
	memcpy(ret, d->zero, LEDGER_DIGEST_SIZE);
	return 0;
}

static int
join(struct digest *sha, const uint8_t *left, const uint8_t *right,
     uint8_t *ret, struct err *err)
{
	uint8_t text[1 + 2 * LEDGER_DIGEST_SIZE] = {TREE_NODE};

	memcpy(text + 1, left, LEDGER_DIGEST_SIZE);
	memcpy(text + 1 + LEDGER_DIGEST_SIZE, right, LEDGER_DIGEST_SIZE);
	return sha256(sha, text, sizeof(text), ret, err);
}

int
digest_tree_add(struct digest_tree *t, struct digest *sha,
		const uint8_t digest[LEDGER_DIGEST_SIZE], struct err *err)
{
	uint8_t text[1 + LEDGER_DIGEST_SIZE] = {TREE_LEAF};
	uint8_t node[LEDGER_DIGEST_SIZE];
	int level = 0;

	memcpy(text + 1, digest, LEDGER_DIGEST_SIZE);
	if (sha256(sha, text, sizeof(text), node, err) < 0)
		return -1;
	for (; t->n >> level & 1; level++)
		if (join(sha, t->left[level], node, node, err) < 0)
			return -1;
	memcpy(t->left[level], node, sizeof(node));
	t->n++;
	return 0;
}

/* What still waits, from the shortest subtree up, is the right edge. */
static int
tree_top(const struct digest_tree *t, struct digest *sha, uint8_t *ret,
	 struct err *err)
{
	int found = 0;

	memset(ret, 0, LEDGER_DIGEST_SIZE);
	for (int level = 0; level < DIGEST_LEVELS; level++) {
		if (!(t->n >> level & 1))
			continue;
		if (found++ == 0)
			memcpy(ret, t->left[level], LEDGER_DIGEST_SIZE);
		else if (join(sha, t->left[level], ret, ret, err) < 0)
			return -1;
	}
	return 0;
}

int
digest_tree_root(const struct digest_tree *t, struct digest *sha,
		 const struct ledger_identity *disk,
		 uint8_t ret[LEDGER_DIGEST_SIZE], struct err *err)
{
	uint8_t text[1 + 8 + 4 + 4 + LEDGER_DIGEST_SIZE] = {TREE_ROOT};

	bytes_put64(text + 1, disk->size_bytes);
	bytes_put32(text + 9, LEDGER_BLOCK_SIZE);
	bytes_put32(text + 13, (uint32_t)disk->digest);
	if (tree_top(t, sha, text + 17, err) < 0)
		return -1;
	return sha256(sha, text, sizeof(text), ret, err);
}

void
digest_hex(char *ret, const uint8_t digest[LEDGER_DIGEST_SIZE])
{
	for (int i = 0; i < LEDGER_DIGEST_SIZE; i++)
		snprintf(ret + (ptrdiff_t)i * 2, 3, "%02x", digest[i]);
}
