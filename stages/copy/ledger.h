/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger: which blocks of one disk are durable on the target, from which
 * generation, with which digest.
 *
 * Rules (design: section 5).  It may know less than the disk, never more:
 *  - first write of a block: data, target flush, ledger_durable, ledger_sync;
 *  - overwrite: ledger_pending, ledger_sync, then data, flush, durable, sync.
 * Read page by page, by one thread at a time, written only by pwrite,
 * preallocated; a CRC a page; a page that is damaged when the ledger is opened
 * makes its blocks unknown and nothing worse. */
#ifndef COPY_LEDGER_H
#define COPY_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define LEDGER_BLOCK_SIZE (1024 * 1024)
#define LEDGER_DIGEST_SIZE 32
#define LEDGER_ID_SIZE 128

enum ledger_state { LEDGER_UNKNOWN, LEDGER_PENDING, LEDGER_DURABLE };
enum ledger_digest {
	LEDGER_SHA256 = 1,
	LEDGER_XXH3 = 2, /* 16 bytes, the rest zero */
	LEDGER_NO_DIGEST = 3,
};

/* What the header binds the ledger to. */
struct ledger_identity {
	char vm[LEDGER_ID_SIZE];     /* source's stable id */
	char disk[LEDGER_ID_SIZE];   /* inv_disk.id */
	char target[LEDGER_ID_SIZE]; /* what identifies the volume: for a file
	                                made by us a random id kept beside it */
	uint64_t size_bytes;
	enum ledger_digest digest;
	/* Asked only when the ledger is made, and kept in it: the target was
	 * made just now and reads as zeroes.  Not compared afterwards. */
	bool target_is_blank;
};

/* "sha256", "xxh3", "none", as policies and options say it. */
const char *ledger_digest_name(enum ledger_digest digest);

/* Puts a name of any length into one of the identity's members: one that is
 * too long as "sha256:" and its digest, so that no two count as one. */
int ledger_put_id(char ret[LEDGER_ID_SIZE], const char *name, struct err *err);

struct ledger_entry {
	enum ledger_state state;
	uint32_t generation;
	uint8_t digest[LEDGER_DIGEST_SIZE];
};

struct ledger;

/* Opens or makes the ledger at `path`, whole and synced: pages found damaged
 * are rewritten, their blocks unknown.  One that is bound
 * to something else is ERR_FAIL and left alone; one that another process
 * writes is ERR_HELD. */
int ledger_open(const char *path, const struct ledger_identity *id,
		struct ledger **ret, struct err *err);
/* Opens an existing one to read it, bound to whatever.  One that is there and
 * tells nothing any more leaves EBADMSG in err->sys. */
int ledger_open_readonly(const char *path, struct ledger **ret,
			 struct err *err);
void ledger_close(struct ledger *l); /* NULL is fine; syncs nothing */

/* Another one under the same name has another id, made by chance; hex. */
void ledger_id(const struct ledger *l, char ret_hex[33]);
const struct ledger_identity *ledger_identity(const struct ledger *l);
uint64_t ledger_nblocks(const struct ledger *l);
void ledger_get(const struct ledger *l, uint64_t block,
		struct ledger_entry *ret);
/* Was all that ledger_get said what the ledger says?  A file that somebody cut
 * short or overwrote since it was opened makes its blocks look unknown, and
 * this fail, as all that writes does. */
int ledger_check(const struct ledger *l, struct err *err);

/* A copy at `generation` begins: from now on an unknown block may hold data of
 * it, written but not yet recorded.  Synced before it returns.  A sealed
 * ledger is ERR_FAIL. */
int ledger_begin(struct ledger *l, uint32_t generation, struct err *err);
/* Is the block unknown because nobody wrote it, so that it still reads as
 * zeroes, or at most because a copy at `generation` was cut short?  Only then
 * may a hole be skipped: what else is unknown can hold anything. */
bool ledger_is_untouched(const struct ledger *l, uint64_t block,
			 uint32_t generation);
/* Has any copy begun to write with it? */
bool ledger_was_begun(const struct ledger *l);

/* The disk grew: what is new is unknown, and so is in effect a last block that
 * was short.  Synced.  Killed anywhere, it is of the old size or of the new
 * one.  A sealed ledger is ERR_FAIL. */
int ledger_grow(struct ledger *l, uint64_t size_bytes, struct err *err);

/* Change entries in memory; they reach the file with ledger_sync. */
void ledger_pending(struct ledger *l, uint64_t block, uint32_t generation);
void ledger_durable(struct ledger *l, uint64_t block, uint32_t generation,
		    const uint8_t digest[LEDGER_DIGEST_SIZE]);
/* Writes the pages that changed and syncs the file.  Once a write or sync
 * failed nobody knows what the disk holds: this and the setters below then
 * fail for good, and the ledger is to be closed and opened again. */
int ledger_sync(struct ledger *l, struct err *err);

/* The last generation applied to the whole disk, 0 for none; kept in the
 * header and synced by the setter. */
uint32_t ledger_applied(const struct ledger *l);
int ledger_set_applied(struct ledger *l, uint32_t generation, struct err *err);
/* The highest generation that any block bears, durable or pending, or that was
 * applied: a copy that was cut short left its number behind. */
uint32_t ledger_newest(const struct ledger *l);
/* Sealed: the replica is about to be changed by commit; from then on nothing
 * may be compared, repaired or copied.  Synced. */
bool ledger_sealed(const struct ledger *l);
int ledger_seal(struct ledger *l, struct err *err);

/* How many blocks are durable (at any generation) and how many pages were
 * found damaged when it was opened. */
uint64_t ledger_count_durable(const struct ledger *l);
uint64_t ledger_damaged_pages(const struct ledger *l);
/* The tree root over all blocks' digests, hex; only when all are durable. */
int ledger_root(const struct ledger *l, char ret_hex[65], struct err *err);

#endif
