/* SPDX-License-Identifier: Apache-2.0 */
/* Is what is recognised on a device the work of a copy that was cut short? */
#include "stages/copy/copy_ours.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "stages/copy/digest.h"
#include "stages/copy/readback.h"

#define PAGE ((uint64_t)4096) /* what is written whole or not at all */

struct look {
	const struct copy_opts *copy;
	struct wire_patience patience;
	struct copy_target from;
	struct readback source, target;
	struct digest digest;
	uint8_t *there, *here; /* a block each */
};

/* Or was, until a pass promised to overwrite it.  With no digest there is
 * nothing to compare with: of a copy that goes on the source is, of one that is
 * brought up to date it is another. */
static int
is_durable(struct look *l, uint64_t block, size_t len, bool *ret,
	   struct err *err)
{
	const struct copy_opts *copy = l->copy;
	uint8_t digest[LEDGER_DIGEST_SIZE];
	struct ledger_entry entry;

	*ret = false;
	ledger_get(copy->ledger, block, &entry);
	if (entry.state == LEDGER_UNKNOWN)
		return 0;
	if (ledger_identity(copy->ledger)->digest == LEDGER_NO_DIGEST) {
		*ret = copy->pass != COPY_ALL;
		return 0;
	}
	if (digest_block(&l->digest, l->here, len, digest, err) < 0)
		return -1;
	*ret = memcmp(digest, entry.digest, sizeof(digest)) == 0;
	return 0;
}

static int
is_ours(struct look *l, uint64_t place, bool *ret, struct err *err)
{
	uint64_t block = place / LEDGER_BLOCK_SIZE;
	uint64_t at = block * LEDGER_BLOCK_SIZE;
	uint64_t page = (place - at) / PAGE * PAGE;
	uint64_t left = l->copy->size_bytes - at;
	size_t len = left < LEDGER_BLOCK_SIZE ? left : LEDGER_BLOCK_SIZE;

	if (readback_block(&l->target, l->here, len, at, err) < 0 ||
	    is_durable(l, block, len, ret, err) < 0)
		return -1;
	if (*ret)
		return 0;
	if (readback_block(&l->source, l->there, len, at, err) < 0)
		return -1;
	*ret = memcmp(l->here + page, l->there + page,
		      len - page < PAGE ? len - page : PAGE) == 0;
	return 0;
}

static int
look_at_all(struct look *l, const uint64_t *places, size_t n, bool *ret,
	    struct err *err)
{
	const struct copy_opts *copy = l->copy;

	if (digest_init(&l->digest, ledger_identity(copy->ledger)->digest,
			err) < 0 ||
	    readback_open(&l->target, &copy->target, "target", &l->patience,
			  err) < 0 ||
	    readback_open(&l->source, &l->from, "source", &l->patience, err) <
		0)
		return -1;
	*ret = true;
	for (size_t i = 0; i < n && *ret; i++)
		if (places[i] < copy->size_bytes &&
		    is_ours(l, places[i], ret, err) < 0)
			return -1;
	return 0;
}

int
copy_ours(const struct copy_opts *copy, const uint64_t *places, size_t n,
	  bool *ret, struct err *err)
{
	struct look l = {
	    .copy = copy,
	    .patience = {.wait_ms = copy->wait_ms},
	    .from = {.file = copy->source_file, .uri = copy->source_uri},
	    .here = aligned_alloc(PAGE, LEDGER_BLOCK_SIZE),
	    .there = aligned_alloc(PAGE, LEDGER_BLOCK_SIZE),
	};
	int rc;

	if (!l.here || !l.there)
		abort();
	rc = look_at_all(&l, places, n, ret, err);
	readback_close(&l.target);
	readback_close(&l.source);
	digest_done(&l.digest);
	free(l.here);
	free(l.there);
	return rc;
}
