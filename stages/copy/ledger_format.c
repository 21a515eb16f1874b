/* SPDX-License-Identifier: Apache-2.0 */
/* Ledger pages to bytes and back; ledger_format.h has the picture. */
#include "stages/copy/ledger_format.h"

#include <string.h>

#include "stages/copy/bytes.h"
#include "stages/copy/crc32c.h"

#define MAGIC "PJLEDGER"
#define PAGE_HEAD 16
#define ENTRY 40
#define HEADER_SUM (FORMAT_PAGE - 4)

enum {
	AT_VERSION = 8,
	AT_BLOCK_SIZE = 12,
	AT_ID = 16,
	AT_COUNTER = 32,
	AT_SIZE = 40,
	AT_DIGEST = 48,
	AT_APPLIED = 52,
	AT_SEALED = 56,
	AT_BEGUN = 60,
	AT_VM = 64,
	AT_DISK = AT_VM + LEDGER_ID_SIZE,
	AT_TARGET = AT_DISK + LEDGER_ID_SIZE,
};

_Static_assert(PAGE_HEAD + FORMAT_ENTRIES * ENTRY <= FORMAT_PAGE,
	       "the entries fit");
_Static_assert(FORMAT_PAGE <= FORMAT_ENTRIES * 48, "48 bytes a block");

/* Whatever follows the NUL in memory stays out of the file. */
static void
put_name(uint8_t *p, const char name[LEDGER_ID_SIZE])
{
	size_t len = strnlen(name, LEDGER_ID_SIZE - 1);

	memset(p, 0, LEDGER_ID_SIZE);
	memcpy(p, name, len);
}

static void
get_name(char ret[LEDGER_ID_SIZE], const uint8_t *p)
{
	memcpy(ret, p, LEDGER_ID_SIZE);
	ret[LEDGER_ID_SIZE - 1] = '\0';
}

void
format_put_header(uint8_t page[FORMAT_PAGE], const struct format_header *h)
{
	memset(page, 0, FORMAT_PAGE);
	memcpy(page, MAGIC, 8);
	bytes_put32(page + AT_VERSION, h->version);
	bytes_put32(page + AT_BLOCK_SIZE, LEDGER_BLOCK_SIZE);
	memcpy(page + AT_ID, h->id, FORMAT_ID);
	bytes_put64(page + AT_COUNTER, h->counter);
	bytes_put64(page + AT_SIZE, h->identity.size_bytes);
	bytes_put32(page + AT_DIGEST, (uint32_t)h->identity.digest);
	bytes_put32(page + AT_APPLIED, h->applied);
	bytes_put32(page + AT_SEALED, h->sealed);
	bytes_put32(page + AT_BEGUN, h->begun);
	put_name(page + AT_VM, h->identity.vm);
	put_name(page + AT_DISK, h->identity.disk);
	put_name(page + AT_TARGET, h->identity.target);
	bytes_put32(page + HEADER_SUM, crc32c(0, page, HEADER_SUM));
}

bool
format_get_header(const uint8_t page[FORMAT_PAGE], struct format_header *ret)
{
	struct format_header h = {.version = bytes_get32(page + AT_VERSION)};

	if (memcmp(page, MAGIC, 8) != 0 ||
	    bytes_get32(page + HEADER_SUM) != crc32c(0, page, HEADER_SUM))
		return false;
	if (h.version == FORMAT_VERSION) {
		memcpy(h.id, page + AT_ID, FORMAT_ID);
		h.counter = bytes_get64(page + AT_COUNTER);
		h.applied = bytes_get32(page + AT_APPLIED);
		h.sealed = bytes_get32(page + AT_SEALED);
		h.begun = bytes_get32(page + AT_BEGUN);
		h.identity.size_bytes = bytes_get64(page + AT_SIZE);
		h.identity.digest =
		    (enum ledger_digest)bytes_get32(page + AT_DIGEST);
		get_name(h.identity.vm, page + AT_VM);
		get_name(h.identity.disk, page + AT_DISK);
		get_name(h.identity.target, page + AT_TARGET);
	}
	*ret = h;
	return true;
}

uint64_t
format_nblocks(uint64_t size_bytes)
{
	return size_bytes / LEDGER_BLOCK_SIZE +
	       (size_bytes % LEDGER_BLOCK_SIZE != 0);
}

uint64_t
format_npages(uint64_t nblocks)
{
	return nblocks / FORMAT_ENTRIES + (nblocks % FORMAT_ENTRIES != 0);
}

static uint32_t
page_sum(const uint8_t page[FORMAT_PAGE], const uint8_t id[FORMAT_ID])
{
	return crc32c(crc32c(0, id, FORMAT_ID), page + 4, FORMAT_PAGE - 4);
}

void
format_seal_page(uint8_t page[FORMAT_PAGE], const uint8_t id[FORMAT_ID],
		 uint64_t number)
{
	bytes_put64(page + 8, number);
	bytes_put32(page, page_sum(page, id));
}

bool
format_page_is_good(const uint8_t page[FORMAT_PAGE],
		    const uint8_t id[FORMAT_ID], uint64_t number)
{
	return bytes_get64(page + 8) == number &&
	       bytes_get32(page) == page_sum(page, id);
}

void
format_put_entry(uint8_t page[FORMAT_PAGE], unsigned i, enum ledger_state state,
		 uint32_t generation, const uint8_t *digest)
{
	uint8_t *entry = page + PAGE_HEAD + i * ENTRY;

	memset(entry, 0, ENTRY);
	entry[0] = (uint8_t)state;
	bytes_put32(entry + 4, generation);
	if (digest)
		memcpy(entry + 8, digest, LEDGER_DIGEST_SIZE);
}

/* No good page has another state, but what is read from a disk is not what
 * decides whether we stay within an enum. */
enum ledger_state
format_state(const uint8_t page[FORMAT_PAGE], unsigned i)
{
	uint8_t state = page[PAGE_HEAD + i * ENTRY];

	return state <= LEDGER_DURABLE ? (enum ledger_state)state
				       : LEDGER_UNKNOWN;
}

uint32_t
format_generation(const uint8_t page[FORMAT_PAGE], unsigned i)
{
	return bytes_get32(page + PAGE_HEAD + i * ENTRY + 4);
}

const uint8_t *
format_digest(const uint8_t page[FORMAT_PAGE], unsigned i)
{
	return page + PAGE_HEAD + i * ENTRY + 8;
}
