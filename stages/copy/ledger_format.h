/* SPDX-License-Identifier: Apache-2.0 */
/* How a ledger lies on disk.
 *
 * A ledger is a row of 4096-byte pages.  Numbers are little endian, unused
 * bytes are zero.
 *
 *	page 0, 1	two copies of the header
 *	page 2 + n	the entries of blocks 102 n .. 102 n + 101
 *
 * HEADER
 *
 *	   0  8	"PJLEDGER"
 *	   8  4	version, 1
 *	  12  4	block size, 1048576
 *	  16 16	id of this ledger, random
 *	  32  8	counter
 *	  40  8	size of the disk in bytes
 *	  48  4	digest: 1 SHA-256, 2 XXH3-128, 3 none
 *	  52  4	applied: last generation the whole disk has, 0 none
 *	  56  4	sealed: 1 when commit may have begun
 *	  60  4	begun: whose data an unknown block may hold: 0 nobody's, the
 *		target is as new; a generation; 0xffffffff anything
 *	  64 128	vm      }
 *	 192 128	disk    } NUL-terminated
 *	 320 128	target  }
 *	4092  4	CRC-32C of the 4092 bytes before it
 *
 * The copy with the higher counter holds.  A change gets the next counter and
 * goes to page (counter mod 2), which is the *other* one: a write that tears
 * leaves the header as it was before.  What begins, seals or grows is written
 * to both, one after the other.  Version, block size, id, digest and names
 * never change; the size only grows, once there are pages for it.
 *
 * ENTRY PAGE
 *
 *	   0  4	CRC-32C of the ledger's id and the 4092 bytes after it
 *	   4  4	zero
 *	   8  8	number of the page, from 0: n above
 *	  16 40	entry of the first block ... 102 of them
 *
 *	entry:	   0  1	state: 0 unknown, 1 pending, 2 durable
 *		   1  3	zero
 *		   4  4	generation
 *		   8 32	digest of a durable block, of a pending one what it
 *			had when it was durable, else zero
 *
 * The id and the number in the sum reveal a page that strayed here from
 * elsewhere.  All pages are written when the ledger is made, so a page of
 * zeroes is a damaged one.  A damaged page becomes one of unknown blocks.
 *
 * Unknown does not mean untouched: the block's data may have been written and
 * its record lost.  `begun` bounds what can be there.  As long as only one
 * generation ever began, it is zeroes or that generation's data, so a block
 * that is zero in that generation is zero on the target. */
#ifndef COPY_LEDGER_FORMAT_H
#define COPY_LEDGER_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "stages/copy/ledger.h"

#define FORMAT_VERSION 1
#define FORMAT_PAGE 4096
#define FORMAT_NHEADERS 2
#define FORMAT_ENTRIES 102 /* on a page */
#define FORMAT_ID 16
#define FORMAT_BEGUN_ANY UINT32_MAX

struct format_header {
	uint32_t version;
	uint8_t id[FORMAT_ID];
	uint64_t counter;
	uint32_t applied, sealed, begun;
	struct ledger_identity identity;
};

void format_put_header(uint8_t page[FORMAT_PAGE],
		       const struct format_header *h);
/* Whether the sum is right and it is a header; of another version only
 * ret->version is filled in. */
bool format_get_header(const uint8_t page[FORMAT_PAGE],
		       struct format_header *ret);

uint64_t format_nblocks(uint64_t size_bytes);
uint64_t format_npages(uint64_t nblocks); /* of entries */

/* The sum over an entry page, put and checked. */
void format_seal_page(uint8_t page[FORMAT_PAGE], const uint8_t id[FORMAT_ID],
		      uint64_t number);
bool format_page_is_good(const uint8_t page[FORMAT_PAGE],
			 const uint8_t id[FORMAT_ID], uint64_t number);

/* Entry `i` of a page. */
void format_put_entry(uint8_t page[FORMAT_PAGE], unsigned i,
		      enum ledger_state state, uint32_t generation,
		      const uint8_t *digest);
enum ledger_state format_state(const uint8_t page[FORMAT_PAGE], unsigned i);
uint32_t format_generation(const uint8_t page[FORMAT_PAGE], unsigned i);
const uint8_t *format_digest(const uint8_t page[FORMAT_PAGE], unsigned i);

#endif
