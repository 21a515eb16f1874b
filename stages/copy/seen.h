/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of a source that were seen, to know it again by: the first, the last
 * and a few that were drawn by lot, of those that are zero and of all
 * others. */
#ifndef COPY_SEEN_H
#define COPY_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stages/copy/ledger.h"

#define SEEN_LAST 64
#define SEEN_DRAWN 32 /* of each kind */
#define SEEN_MOST (1 + SEEN_LAST + 2 * SEEN_DRAWN)

struct seen_block {
	uint64_t block;
	uint8_t digest[LEDGER_DIGEST_SIZE];
};

/* Of a stretch that has no end: each is as likely to be kept. */
struct seen_lot {
	struct seen_block block[SEEN_DRAWN];
	uint64_t n; /* that there were to draw from */
};

/* Zero-initialise. */
struct seen {
	bool has_first;
	struct seen_block first;
	struct seen_block last[SEEN_LAST]; /* of data: a ring */
	uint64_t nlast;
	struct seen_lot data, zero;
	uint64_t chance;
};

void seen_note(struct seen *s, uint64_t block,
	       const uint8_t digest[LEDGER_DIGEST_SIZE], bool is_zero);
/* How many there are; some may be in it twice. */
size_t seen_list(const struct seen *s, struct seen_block ret[SEEN_MOST]);

#endif
