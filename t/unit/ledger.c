/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger on disk: round trips, damage, and what it refuses. */
#include "stages/copy/ledger.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "stages/copy/crc32c.h"
#include "stages/copy/digest.h"
#include "stages/copy/ledger_format.h"
#include "t/tap.h"

#define MIB (1024 * 1024ull)

static struct err err;

static char *
path_of(const char *name)
{
	return fs_path(tap_dir(), name);
}

static struct ledger_identity
identity(uint64_t size)
{
	struct ledger_identity id = {.vm = "vm-1",
				     .disk = "disk-1",
				     .target = "target-1",
				     .size_bytes = size,
				     .digest = LEDGER_SHA256,
				     .target_is_blank = true};
	return id;
}

static struct ledger *
must_open(const char *path, uint64_t size)
{
	struct ledger_identity id = identity(size);
	struct ledger *l = NULL;

	if (ledger_open(path, &id, &l, &err) < 0) {
		tap_diag("%s", err.text);
		exit(1);
	}
	return l;
}

static void
fill_digest(uint8_t digest[LEDGER_DIGEST_SIZE], uint64_t block)
{
	memset(digest, (int)(block % 251) + 1, LEDGER_DIGEST_SIZE);
}

static void
make_all_durable(struct ledger *l, uint32_t generation)
{
	uint8_t digest[LEDGER_DIGEST_SIZE];

	for (uint64_t b = 0; b < ledger_nblocks(l); b++) {
		fill_digest(digest, b);
		ledger_durable(l, b, generation, digest);
	}
}

static enum ledger_state
state_of(const struct ledger *l, uint64_t block)
{
	struct ledger_entry entry;

	ledger_get(l, block, &entry);
	return entry.state;
}

static void
scribble(const char *path, off_t at, size_t len)
{
	CLEANUP(mem_closep) int fd = open(path, O_RDWR | O_CLOEXEC);
	CLEANUP(mem_freep) char *junk = mem_new(len);

	memset(junk, 0x5a, len);
	if (fs_pwrite(fd, junk, len, at, &err) < 0)
		abort();
}

static void
test_round_trip(void)
{
	CLEANUP(mem_freep) char *path = path_of("round");
	struct ledger *l = must_open(path, 300 * MIB + 1);
	uint8_t digest[LEDGER_DIGEST_SIZE];
	struct ledger_entry entry;

	is_int(ledger_nblocks(l), 301, "a byte more is a block more");
	is_int(state_of(l, 300), LEDGER_UNKNOWN, "a new block is unknown");
	ledger_pending(l, 7, 3);
	fill_digest(digest, 300);
	ledger_durable(l, 300, 2, digest);
	is_int(state_of(l, 7), LEDGER_PENDING, "a change is seen at once");
	ok(ledger_sync(l, &err) == 0, "the ledger syncs");
	ledger_durable(l, 8, 1, digest);
	ledger_close(l);

	l = must_open(path, 300 * MIB + 1);
	ledger_get(l, 300, &entry);
	ok(entry.state == LEDGER_DURABLE && entry.generation == 2 &&
	       memcmp(entry.digest, digest, sizeof(digest)) == 0,
	   "a durable block comes back with generation and digest");
	ledger_get(l, 7, &entry);
	ok(entry.state == LEDGER_PENDING && entry.generation == 3,
	   "a pending block comes back");
	is_int(state_of(l, 8), LEDGER_UNKNOWN,
	       "what was not synced is not there");
	is_int(ledger_count_durable(l), 1, "durable blocks are counted");
	ledger_close(l);
}

static void
test_header(void)
{
	CLEANUP(mem_freep) char *path = path_of("header");
	struct ledger *l = must_open(path, 5 * MIB);

	is_int(ledger_applied(l), 0, "nothing is applied at first");
	for (uint32_t g = 1; g <= 3; g++)
		ok(ledger_set_applied(l, g, &err) == 0, "applied %u", g);
	ledger_close(l);
	l = must_open(path, 5 * MIB);
	is_int(ledger_applied(l), 3, "the applied generation comes back");
	ok(!ledger_sealed(l), "and it is not sealed");
	ok(ledger_seal(l, &err) == 0, "it seals");
	ok(ledger_begin(l, 4, &err) < 0 && err.class == ERR_FAIL,
	   "a sealed ledger begins no copy");
	like(err.text, "sealed", "and says why");
	ok(ledger_set_applied(l, 4, &err) < 0, "nor does it apply one");
	ledger_close(l);
	l = must_open(path, 5 * MIB);
	ok(ledger_sealed(l), "the seal comes back");
	is_int(ledger_applied(l), 3, "with the applied generation");
	ledger_close(l);
}

/* A write of the header that tears hits one copy; either may be it. */
static void
test_torn_header(void)
{
	CLEANUP(mem_freep) char *path = path_of("torn-header");
	struct ledger *l;
	struct ledger_identity id = identity(5 * MIB);

	for (unsigned n = 0; n < FORMAT_NHEADERS; n++) {
		l = must_open(path, 5 * MIB);
		make_all_durable(l, 1);
		ok(ledger_set_applied(l, 8, &err) == 0 &&
		       ledger_set_applied(l, 9, &err) == 0,
		   "both copies know what is applied");
		ledger_close(l);
		scribble(path, (off_t)n * FORMAT_PAGE + 512, 512);
		l = must_open(path, 5 * MIB);
		ok(ledger_applied(l) == 8 || ledger_applied(l) == 9,
		   "header %u torn: the other one holds", n);
		is_int(ledger_count_durable(l), 5, "no block is lost");
		ok(ledger_set_applied(l, 9, &err) == 0, "and it goes on");
		ledger_close(l);
	}
	scribble(path, 100, 2 * FORMAT_PAGE - 200);
	ok(ledger_open(path, &id, &l, &err) < 0 && err.class == ERR_FAIL,
	   "both torn: refused");
	like(err.text, "remove it", "and says what to do");
}

static void
test_damaged_page(void)
{
	CLEANUP(mem_freep) char *path = path_of("damaged");
	struct ledger *l = must_open(path, 250 * MIB);
	off_t second = (FORMAT_NHEADERS + 1) * FORMAT_PAGE;

	make_all_durable(l, 1);
	ok(ledger_sync(l, &err) == 0, "250 blocks on three pages");
	ledger_close(l);
	scribble(path, second + 1000, 1);
	l = must_open(path, 250 * MIB);
	is_int(ledger_damaged_pages(l), 1, "one bent byte is one bad page");
	is_int(ledger_count_durable(l), 250 - 102, "its blocks are unknown");
	is_int(state_of(l, 101), LEDGER_DURABLE, "the one before is not");
	is_int(state_of(l, 102), LEDGER_UNKNOWN, "the first of it is");
	is_int(state_of(l, 204), LEDGER_DURABLE, "the one after is not");
	ledger_close(l);
	l = must_open(path, 250 * MIB);
	is_int(ledger_damaged_pages(l), 0, "who opens it to write mends it");
	is_int(state_of(l, 102), LEDGER_UNKNOWN, "with nothing in it");
	ledger_close(l);
	scribble(path, second + 1000, 1);
	is_int(ledger_open_readonly(path, &l, &err), 0, "bent again");
	is_int(state_of(l, 102), LEDGER_UNKNOWN, "who reads sees no block");
	ledger_close(l);
	l = must_open(path, 250 * MIB);
	is_int(ledger_damaged_pages(l), 1, "and mends nothing");
	ledger_pending(l, 103, 2);
	ok(ledger_grow(l, 400 * MIB, &err) == 0 &&
	       state_of(l, 102) == LEDGER_UNKNOWN &&
	       state_of(l, 103) == LEDGER_PENDING &&
	       state_of(l, 399) == LEDGER_UNKNOWN,
	   "it grows, whatever is damaged");
	ledger_close(l);
	l = must_open(path, 400 * MIB);
	is_int(ledger_damaged_pages(l), 0, "and all is good again");
	is_int(state_of(l, 103), LEDGER_PENDING, "and knows what is new");
	ledger_close(l);
}

static void
test_lost_pages(void)
{
	CLEANUP(mem_freep) char *path = path_of("lost");
	struct ledger *l = must_open(path, 250 * MIB);
	uint8_t page[FORMAT_PAGE];
	int fd;

	make_all_durable(l, 1);
	(void)ledger_sync(l, &err);
	ledger_close(l);
	fd = open(path, O_RDWR | O_CLOEXEC);
	(void)fs_pread(fd, page, sizeof(page), 3 * FORMAT_PAGE, &err);
	(void)fs_pwrite(fd, page, sizeof(page), 2 * FORMAT_PAGE, &err);
	ok(ftruncate(fd, 4 * FORMAT_PAGE) == 0, "the last page is cut off");
	close(fd);
	l = must_open(path, 250 * MIB);
	is_int(ledger_damaged_pages(l), 2,
	       "a page at another's place and a missing one are damage");
	is_int(ledger_count_durable(l), 102, "the middle one is fine");
	make_all_durable(l, 2);
	ok(ledger_sync(l, &err) == 0, "all are written again");
	is_int(state_of(l, 249), LEDGER_DURABLE, "and read from the file");
	ledger_close(l);
}

static void
refused(const char *path, struct ledger_identity id, const char *member)
{
	struct ledger *l = NULL;

	ok(ledger_open(path, &id, &l, &err) < 0 && err.class == ERR_FAIL,
	   "another %s is refused", member);
	like(err.text, member, "and named");
	ok(l == NULL, "and gives no ledger");
}

static void
test_identity(void)
{
	CLEANUP(mem_freep) char *path = path_of("identity");
	struct ledger_identity id = identity(5 * MIB);
	struct ledger *l = must_open(path, 5 * MIB), *other;

	ok(ledger_open(path, &id, &other, &err) < 0 && err.class == ERR_HELD,
	   "a second writer is kept out");
	ok(ledger_open_readonly(path, &other, &err) == 0, "a reader is not");
	is_str(ledger_identity(other)->disk, "disk-1", "and sees whose it is");
	ok(ledger_sync(other, &err) < 0 && ledger_seal(other, &err) < 0,
	   "but writes nothing");
	ledger_close(other);
	ledger_close(l);
	snprintf(id.vm, sizeof(id.vm), "vm-2");
	refused(path, id, "vm");
	id = identity(5 * MIB);
	snprintf(id.disk, sizeof(id.disk), "disk-2");
	refused(path, id, "disk");
	id = identity(5 * MIB);
	snprintf(id.target, sizeof(id.target), "target-2");
	refused(path, id, "target");
	refused(path, identity(6 * MIB), "size");
	id = identity(5 * MIB);
	id.digest = LEDGER_XXH3;
	refused(path, id, "digest");
}

/* Either copy of the header may be damaged later. */
static void
scribble_header(const char *path, unsigned n)
{
	scribble(path, (off_t)n * FORMAT_PAGE + 512, 512);
}

static void
test_damage_brings_nothing_back(void)
{
	for (unsigned n = 0; n < FORMAT_NHEADERS; n++) {
		CLEANUP(mem_freep) char *name = mem_printf("back-%u", n);
		CLEANUP(mem_freep) char *path = path_of(name);
		struct ledger *l = must_open(path, 3 * MIB);

		ok(ledger_begin(l, 1, &err) == 0, "a copy begins");
		ledger_close(l);
		scribble_header(path, n);
		l = must_open(path, 3 * MIB);
		ok(!ledger_is_untouched(l, 0, 2),
		   "header %u damaged: it is known to have begun", n);
		ok(ledger_seal(l, &err) == 0, "it seals");
		ledger_close(l);
		scribble_header(path, n);
		l = must_open(path, 3 * MIB);
		ok(ledger_sealed(l), "header %u damaged: it is sealed", n);
		ledger_close(l);
	}
}

static void
test_grow(void)
{
	CLEANUP(mem_freep) char *path = path_of("grow");
	struct ledger *l = must_open(path, 101 * MIB + 5);
	struct ledger_identity id = identity(101 * MIB + 5);

	make_all_durable(l, 1);
	ok(ledger_set_applied(l, 1, &err) == 0, "102 blocks, a page of them");
	ok(ledger_grow(l, 101 * MIB + 5, &err) == 0 &&
	       ledger_count_durable(l) == 102,
	   "nothing to grow by");
	ok(ledger_grow(l, 250 * MIB, &err) == 0, "it grows");
	is_int(ledger_nblocks(l), 250, "to 250 blocks");
	ledger_durable(l, 249, 1, (uint8_t[LEDGER_DIGEST_SIZE]){1});
	ok(ledger_sync(l, &err) == 0, "which are written");
	ledger_close(l);
	ok(ledger_open(path, &id, &l, &err) < 0, "it has that size no more");
	scribble_header(path, 0);
	l = must_open(path, 250 * MIB);
	is_int(state_of(l, 100), LEDGER_DURABLE, "what was durable is");
	is_int(state_of(l, 101), LEDGER_PENDING, "but no block that was short");
	is_int(state_of(l, 102), LEDGER_UNKNOWN, "what is new is unknown");
	is_int(state_of(l, 249), LEDGER_DURABLE, "until it is copied");
	is_int(ledger_count_durable(l), 102, "all are counted");
	is_int(ledger_damaged_pages(l), 0, "no page is bad");
	is_int(ledger_applied(l), 1, "the generation is still the base");
	ok(!ledger_is_untouched(l, 101, 1), "a pending block is no hole");
	ok(ledger_grow(l, 249 * MIB, &err) < 0 && err.class == ERR_BUG,
	   "it does not shrink");
	ok(ledger_seal(l, &err) == 0 && ledger_grow(l, 251 * MIB, &err) < 0 &&
	       err.class == ERR_FAIL,
	   "nor grow once it is sealed");
	ledger_close(l);
}

static void
test_untouched(void)
{
	CLEANUP(mem_freep) char *path = path_of("blank");
	CLEANUP(mem_freep) char *old = path_of("not-blank");
	struct ledger_identity id = identity(3 * MIB);
	struct ledger *l = must_open(path, 3 * MIB);

	ok(ledger_is_untouched(l, 0, 1), "a blank target was not touched");
	ok(ledger_begin(l, 1, &err) == 0, "generation 1 begins");
	ledger_close(l);
	l = must_open(path, 3 * MIB);
	ok(ledger_is_untouched(l, 0, 1),
	   "what it left unknown reads as zeroes or as its own data");
	ok(!ledger_is_untouched(l, 0, 2), "which is no news to generation 2");
	ok(ledger_begin(l, 2, &err) == 0, "generation 2 begins");
	ok(!ledger_is_untouched(l, 0, 1) && !ledger_is_untouched(l, 0, 2),
	   "now an unknown block may hold anything");
	ledger_close(l);
	id.target_is_blank = false;
	if (ledger_open(old, &id, &l, &err) < 0)
		abort();
	ok(!ledger_is_untouched(l, 0, 1),
	   "on a target that is not blank nothing is untouched");
	ledger_close(l);
}

static void
test_poison(void)
{
	CLEANUP(mem_freep) char *path = path_of("poison");
	struct ledger *l = must_open(path, 200 * MIB);
	int fd, readable = open(path, O_RDONLY | O_CLOEXEC);

	/* in place of the ledger's descriptor */
	for (fd = 0; fd < readable; fd++) {
		struct stat is, want;

		if (fstat(fd, &is) == 0 && stat(path, &want) == 0 &&
		    is.st_ino == want.st_ino && is.st_dev == want.st_dev)
			dup2(readable, fd);
	}
	close(readable);
	ledger_pending(l, 0, 1);
	ok(ledger_sync(l, &err) < 0 && err.class == ERR_RETRY,
	   "a write that fails is reported");
	ok(ledger_sync(l, &err) < 0 && ledger_set_applied(l, 1, &err) < 0,
	   "and the handle writes nothing any more");
	ledger_close(l);
	l = must_open(path, 200 * MIB);
	is_int(state_of(l, 0), LEDGER_UNKNOWN, "opened again it is as before");
	ledger_close(l);
}

static void
test_left_aside(void)
{
	CLEANUP(mem_freep) char *path = path_of("aside");
	CLEANUP(mem_freep) char *aside = path_of("aside.new");
	struct ledger *l;

	if (fs_write(aside, "half", 4, 0600, &err) < 0)
		abort();
	l = must_open(path, 5 * MIB);
	is_int(ledger_nblocks(l), 5, "a half-made one is made anew");
	ok(!fs_exists(aside), "and nothing is left aside");
	ledger_close(l);
}

static void
test_empty_disk(void)
{
	CLEANUP(mem_freep) char *path = path_of("empty");
	struct ledger *l = must_open(path, 0);
	char hex[65];

	is_int(ledger_nblocks(l), 0, "an empty disk has no blocks");
	ok(ledger_sync(l, &err) == 0, "syncs");
	ok(ledger_root(l, hex, &err) == 0, "and has a root");
	ledger_close(l);
}

static void
test_root(void)
{
	CLEANUP(mem_freep) char *path = path_of("root");
	struct ledger *l = must_open(path, 7 * MIB - 5);
	uint8_t digest[LEDGER_DIGEST_SIZE];
	char first[65], second[65];

	ok(ledger_root(l, first, &err) < 0 && err.class == ERR_FAIL,
	   "no root before all blocks are durable");
	like(err.text, "0 of 7", "and says how many are");
	make_all_durable(l, 1);
	ok(ledger_root(l, first, &err) == 0, "then there is one");
	/* computed apart, from the construction in digest.h */
	is_str(first,
	       "62a2530a3793a1fd694299beb18a3707"
	       "93751d6438ea0114528c06614e6a2265",
	       "the one that the construction says");
	fill_digest(digest, 1);
	ledger_durable(l, 0, 1, digest);
	(void)ledger_root(l, second, &err);
	ok(strcmp(first, second) != 0, "another block, another root");
	ledger_close(l);
}

static void
test_digests(void)
{
	struct digest sha = {0}, xxh = {0};
	uint8_t got[LEDGER_DIGEST_SIZE],
	    want[LEDGER_DIGEST_SIZE] = {
		0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea,
		0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
		0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c,
		0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};

	is_int(crc32c(0, "123456789", 9), 0xe3069283u, "CRC-32C's check value");
	ok(digest_init(&sha, LEDGER_SHA256, &err) == 0 &&
	       digest_init(&xxh, LEDGER_XXH3, &err) == 0,
	   "both digests are there");
	(void)digest_block(&sha, "abc", 3, got, &err);
	ok(memcmp(got, want, sizeof(want)) == 0, "SHA-256 of abc");
	(void)digest_zeroes(&sha, 3, got, &err);
	(void)digest_block(&sha, "\0\0\0", 3, want, &err);
	ok(memcmp(got, want, sizeof(want)) == 0, "a short block of zeroes");
	memset(want, 0, sizeof(want));
	(void)digest_block(&xxh, "abc", 3, got, &err);
	ok(memcmp(got + 16, want, 16) == 0 && memcmp(got, want, 16) != 0,
	   "XXH3 fills 16 bytes");
	digest_done(&sha);
	digest_done(&xxh);
}

int
main(void)
{
	test_digests();
	test_round_trip();
	test_header();
	test_torn_header();
	test_damaged_page();
	test_lost_pages();
	test_identity();
	test_damage_brings_nothing_back();
	test_grow();
	test_untouched();
	test_poison();
	test_left_aside();
	test_empty_disk();
	test_root();
	return tap_done();
}
