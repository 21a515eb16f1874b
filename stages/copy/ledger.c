/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger: read page by page, changed in memory, written by pwrite.
 *
 * It is not mapped: whoever cuts the file short would end the process.  A
 * page that changes is copied first; the copy is what is read until
 * ledger_sync has brought it to the disk.  So nothing of a change can reach
 * the file before the caller says so, which is what the order of writes rests
 * on. */
#include "stages/copy/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/vec.h"
#include "stages/copy/digest.h"
#include "stages/copy/ledger_file.h"

/* What was read last: who walks through the ledger reads each page once.  Read
 * and changed by one thread at a time. */
struct looked {
	uint8_t page[FORMAT_PAGE];
	uint64_t number; /* UINT64_MAX: none */
	bool is_lost;	 /* a page that was good is not any more */
};

struct ledger {
	char *path;
	int fd;
	bool writable;
	bool poisoned; /* a write failed: see ledger_sync */
	struct format_header header;
	uint64_t nblocks, npages;
	struct looked *looked;
	/* a page newer than the file: owned; the one below that all damaged
	 * ones share; else NULL */
	uint8_t **changed;
	VEC(uint64_t) dirty; /* numbers of those that are owned */
	uint64_t ndurable, ndamaged;
};

/* What a damaged page counts as: however many there are, they cost no memory.
 * Only read. */
static const uint8_t unknown_blocks[FORMAT_PAGE];

static bool
is_damaged(const struct ledger *l, uint64_t number)
{
	return l->changed[number] == unknown_blocks;
}

static off_t
page_at(uint64_t number)
{
	return (off_t)((FORMAT_NHEADERS + number) * FORMAT_PAGE);
}

static void
look_no_more(const struct ledger *l)
{
	l->looked->number = UINT64_MAX;
}

/* All were good, or known as damaged, when the ledger was opened: one that is
 * neither knows nothing, and nothing is done by it. */
static const uint8_t *
read_page(const struct ledger *l, uint64_t number)
{
	struct looked *in = l->looked;
	struct err ignored;

	if (in->number == number)
		return in->page;
	in->number = number;
	if (fs_pread(l->fd, in->page, FORMAT_PAGE, page_at(number), &ignored) ==
		0 &&
	    format_page_is_good(in->page, l->header.id, number))
		return in->page;
	look_no_more(l);
	in->is_lost = true;
	return unknown_blocks;
}

static const uint8_t *
page_of(const struct ledger *l, uint64_t number)
{
	return l->changed[number] ? l->changed[number] : read_page(l, number);
}

static const uint8_t *
page_of_block(const struct ledger *l, uint64_t block)
{
	return page_of(l, block / FORMAT_ENTRIES);
}

/* Entries on a page; the last one may hold fewer. */
static unsigned
entries_on(const struct ledger *l, uint64_t number)
{
	uint64_t left = l->nblocks - number * FORMAT_ENTRIES;

	return left < FORMAT_ENTRIES ? (unsigned)left : FORMAT_ENTRIES;
}

static uint8_t *
page_to_change(struct ledger *l, uint64_t number)
{
	uint8_t *page;

	if (l->changed[number] && !is_damaged(l, number))
		return l->changed[number];
	page = mem_new(FORMAT_PAGE);
	memcpy(page, page_of(l, number), FORMAT_PAGE);
	l->changed[number] = page;
	*vec_push(&l->dirty) = number;
	return page;
}

/* A page that cannot be read is a damaged one, and never looked up again. */
static void
load_page(struct ledger *l, uint64_t number)
{
	uint8_t page[FORMAT_PAGE];
	struct err ignored;

	if (fs_pread(l->fd, page, sizeof(page), page_at(number), &ignored) ==
		0 &&
	    format_page_is_good(page, l->header.id, number)) {
		for (unsigned i = 0; i < entries_on(l, number); i++)
			l->ndurable += format_state(page, i) == LEDGER_DURABLE;
		return;
	}
	l->ndamaged++;
	l->changed[number] = (uint8_t *)unknown_blocks;
}

/* As many pages as the header wants; those known before stay damaged. */
static void
count_pages(struct ledger *l)
{
	uint64_t had = l->npages;

	l->nblocks = format_nblocks(l->header.identity.size_bytes);
	l->npages = format_npages(l->nblocks);
	l->changed =
	    mem_resize(l->changed, (l->npages + 1) * sizeof(*l->changed));
	for (uint64_t n = had; n <= l->npages; n++)
		l->changed[n] = NULL;
	look_no_more(l);
}

static int
load(struct ledger *l, struct err *err)
{
	if (ledger_file_header(l->fd, l->path, &l->header, err) < 0)
		return -1;
	l->looked = mem_new(sizeof(*l->looked));
	count_pages(l);
	for (uint64_t n = 0; n < l->npages; n++)
		load_page(l, n);
	return 0;
}

int
ledger_check(const struct ledger *l, struct err *err)
{
	if (!l->looked->is_lost)
		return 0;
	return err_set(err, ERR_RETRY,
		       "ledger '%s' was cut short or damaged while it was "
		       "used: what it says now cannot be gone by",
		       l->path);
}

static int
check_file(const struct ledger *l, struct err *err)
{
	return ledger_file_still(l->fd, l->path, page_at(l->npages), err);
}

static int
sync_file(struct ledger *l, struct err *err)
{
	if (fdatasync(l->fd) < 0)
		return err_sys(err, "cannot sync ledger '%s'", l->path);
	return check_file(l, err);
}

/* Before anything is written to their blocks: a page that only could not be
 * read may come back some day, and must not call them durable then. */
static int
rewrite_damaged(struct ledger *l, struct err *err)
{
	uint8_t page[FORMAT_PAGE] = {0};

	if (l->ndamaged == 0 || l->header.sealed)
		return 0;
	for (uint64_t n = 0; n < l->npages; n++) {
		if (!is_damaged(l, n))
			continue;
		format_seal_page(page, l->header.id, n);
		if (fs_pwrite(l->fd, page, sizeof(page), page_at(n), err) < 0)
			return err_wrap(err, "ledger '%s'", l->path);
	}
	return sync_file(l, err);
}

static void
closep(struct ledger **l)
{
	ledger_close(*l);
}

int
ledger_open(const char *path, const struct ledger_identity *id,
	    struct ledger **ret, struct err *err)
{
	CLEANUP(closep) struct ledger *l = mem_new(sizeof(*l));

	l->path = mem_strdup(path);
	l->writable = true;
	l->fd = open(path, O_RDWR | O_CLOEXEC);
	if (l->fd < 0 && errno != ENOENT)
		return err_sys(err, "cannot open ledger '%s'", path);
	if (l->fd >= 0 && ledger_file_lock(l->fd, path, err) < 0)
		return -1;
	if (l->fd < 0 && ledger_file_create(path, id, &l->fd, err) < 0)
		return -1;
	if (load(l, err) < 0 ||
	    ledger_file_check(l->path, &l->header.identity, id, err) < 0 ||
	    rewrite_damaged(l, err) < 0)
		return -1;
	*ret = steal(&l);
	return 0;
}

int
ledger_open_readonly(const char *path, struct ledger **ret, struct err *err)
{
	CLEANUP(closep) struct ledger *l = mem_new(sizeof(*l));

	l->path = mem_strdup(path);
	l->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (l->fd < 0)
		return err_sys(err, "cannot open ledger '%s'", path);
	if (load(l, err) < 0)
		return -1;
	*ret = steal(&l);
	return 0;
}

static void
forget_changes(struct ledger *l)
{
	for (size_t i = 0; i < l->dirty.n; i++) {
		free(l->changed[l->dirty.v[i]]);
		l->changed[l->dirty.v[i]] = NULL;
	}
	l->dirty.n = 0;
	look_no_more(l);
}

void
ledger_close(struct ledger *l)
{
	if (!l)
		return;
	if (l->changed)
		forget_changes(l);
	vec_done(&l->dirty);
	free(l->looked);
	free(l->changed);
	if (l->fd >= 0)
		close(l->fd);
	free(l->path);
	free(l);
}

void
ledger_id(const struct ledger *l, char ret_hex[33])
{
	for (int i = 0; i < FORMAT_ID; i++)
		snprintf(ret_hex + (ptrdiff_t)i * 2, 3, "%02x",
			 l->header.id[i]);
}

const struct ledger_identity *
ledger_identity(const struct ledger *l)
{
	return &l->header.identity;
}

uint64_t
ledger_nblocks(const struct ledger *l)
{
	return l->nblocks;
}

void
ledger_get(const struct ledger *l, uint64_t block, struct ledger_entry *ret)
{
	const uint8_t *page = page_of_block(l, block);
	unsigned i = block % FORMAT_ENTRIES;

	ret->state = format_state(page, i);
	ret->generation = format_generation(page, i);
	memcpy(ret->digest, format_digest(page, i), LEDGER_DIGEST_SIZE);
}

bool
ledger_is_untouched(const struct ledger *l, uint64_t block, uint32_t generation)
{
	return format_state(page_of_block(l, block), block % FORMAT_ENTRIES) ==
		   LEDGER_UNKNOWN &&
	       (l->header.begun == 0 || l->header.begun == generation);
}

bool
ledger_was_begun(const struct ledger *l)
{
	return l->header.begun != 0;
}

/* Marks the page for writing even where nothing changes: what the page cache
 * shows after some earlier failed sync need not be on the disk. */
static void
change(struct ledger *l, uint64_t block, enum ledger_state state,
       uint32_t generation, const uint8_t *digest)
{
	uint8_t *page = page_to_change(l, block / FORMAT_ENTRIES);
	unsigned i = block % FORMAT_ENTRIES;

	l->ndurable -= format_state(page, i) == LEDGER_DURABLE;
	l->ndurable += state == LEDGER_DURABLE;
	format_put_entry(page, i, state, generation, digest);
}

void
ledger_pending(struct ledger *l, uint64_t block, uint32_t generation)
{
	uint8_t was[LEDGER_DIGEST_SIZE];

	/* until it is overwritten that is what it can be known by */
	memcpy(was,
	       format_digest(page_of_block(l, block), block % FORMAT_ENTRIES),
	       sizeof(was));
	change(l, block, LEDGER_PENDING, generation, was);
}

void
ledger_durable(struct ledger *l, uint64_t block, uint32_t generation,
	       const uint8_t digest[LEDGER_DIGEST_SIZE])
{
	change(l, block, LEDGER_DURABLE, generation, digest);
}

static int
check_writable(const struct ledger *l, struct err *err)
{
	if (!l->writable)
		return err_set(err, ERR_BUG,
			       "ledger '%s' was opened to be read", l->path);
	if (l->poisoned)
		return err_set(err, ERR_RETRY,
			       "ledger '%s' could not be written earlier and "
			       "is not written any more",
			       l->path);
	if (ledger_check(l, err) < 0)
		return -1;
	return check_file(l, err);
}

static int
write_dirty(struct ledger *l, struct err *err)
{
	for (size_t i = 0; i < l->dirty.n; i++) {
		uint64_t number = l->dirty.v[i];
		uint8_t *page = l->changed[number];

		format_seal_page(page, l->header.id, number);
		if (fs_pwrite(l->fd, page, FORMAT_PAGE, page_at(number), err) <
		    0)
			return err_wrap(err, "ledger '%s'", l->path);
	}
	return 0;
}

int
ledger_sync(struct ledger *l, struct err *err)
{
	if (check_writable(l, err) < 0)
		return -1;
	if (l->dirty.n == 0)
		return 0;
	l->poisoned = true;
	if (write_dirty(l, err) < 0 || sync_file(l, err) < 0)
		return -1;
	l->poisoned = false;
	forget_changes(l);
	return 0;
}

/* Writes the next header over the copy that does not hold. */
static int
write_header(struct ledger *l, const struct format_header *next,
	     struct err *err)
{
	struct format_header h = *next;
	uint8_t page[FORMAT_PAGE];

	h.counter = l->header.counter + 1;
	format_put_header(page, &h);
	l->poisoned = true;
	if (fs_pwrite(l->fd, page, sizeof(page),
		      (off_t)(h.counter % FORMAT_NHEADERS * FORMAT_PAGE),
		      err) < 0)
		return err_wrap(err, "ledger '%s'", l->path);
	if (sync_file(l, err) < 0)
		return -1;
	l->poisoned = false;
	l->header = h;
	return 0;
}

/* Over both copies, so that damage to one of them brings nothing back that is
 * over: what was never written to, what may be written to, a shorter disk. */
static int
write_headers(struct ledger *l, const struct format_header *next,
	      struct err *err)
{
	if (write_header(l, next, err) < 0)
		return -1;
	return write_header(l, &l->header, err);
}

static int
check_unsealed(const struct ledger *l, struct err *err)
{
	if (l->header.sealed)
		return err_set(err, ERR_FAIL,
			       "ledger '%s' is sealed: the disk may have been "
			       "converted and can no longer be copied to",
			       l->path);
	return 0;
}

int
ledger_begin(struct ledger *l, uint32_t generation, struct err *err)
{
	struct format_header next = l->header;

	if (check_unsealed(l, err) < 0 || check_writable(l, err) < 0)
		return -1;
	if (next.begun == generation || next.begun == FORMAT_BEGUN_ANY)
		return 0;
	next.begun = next.begun == 0 ? generation : FORMAT_BEGUN_ANY;
	return write_headers(l, &next, err);
}

/* A last block that was short gets longer, and its digest is of too few bytes.
 * The header goes last: until then the ledger is that of the shorter disk. */
int
ledger_grow(struct ledger *l, uint64_t size_bytes, struct err *err)
{
	struct format_header next = l->header;
	uint64_t size = next.identity.size_bytes;
	uint64_t npages = format_npages(format_nblocks(size_bytes));

	if (size_bytes < size)
		return err_set(err, ERR_BUG, "no ledger becomes shorter");
	if (size_bytes == size)
		return 0;
	if (check_unsealed(l, err) < 0)
		return -1;
	if (size % LEDGER_BLOCK_SIZE != 0)
		ledger_pending(l, l->nblocks - 1, 0);
	if (ledger_sync(l, err) < 0)
		return -1;
	if (ledger_file_extend(l->fd, &next, l->npages, npages, err) < 0)
		return err_wrap(err, "making ledger '%s' longer", l->path);
	next.identity.size_bytes = size_bytes;
	if (sync_file(l, err) < 0 || write_headers(l, &next, err) < 0)
		return -1;
	count_pages(l);
	return 0;
}

uint32_t
ledger_applied(const struct ledger *l)
{
	return l->header.applied;
}

int
ledger_set_applied(struct ledger *l, uint32_t generation, struct err *err)
{
	struct format_header next = l->header;

	if (check_unsealed(l, err) < 0 || ledger_sync(l, err) < 0)
		return -1;
	next.applied = generation;
	return write_header(l, &next, err);
}

uint32_t
ledger_newest(const struct ledger *l)
{
	uint32_t newest = ledger_applied(l);
	struct ledger_entry entry;

	for (uint64_t block = 0; block < l->nblocks; block++) {
		ledger_get(l, block, &entry);
		if (entry.state != LEDGER_UNKNOWN && entry.generation > newest)
			newest = entry.generation;
	}
	return newest;
}

bool
ledger_sealed(const struct ledger *l)
{
	return l->header.sealed;
}

int
ledger_seal(struct ledger *l, struct err *err)
{
	struct format_header next = l->header;

	if (ledger_sync(l, err) < 0)
		return -1;
	next.sealed = 1;
	return write_headers(l, &next, err);
}

uint64_t
ledger_count_durable(const struct ledger *l)
{
	return l->ndurable;
}

uint64_t
ledger_damaged_pages(const struct ledger *l)
{
	return l->ndamaged;
}

static int
root(const struct ledger *l, struct digest *sha, uint8_t *ret, struct err *err)
{
	struct digest_tree tree = {0};
	struct ledger_entry entry;

	if (digest_init(sha, LEDGER_SHA256, err) < 0)
		return -1;
	for (uint64_t block = 0; block < l->nblocks; block++) {
		ledger_get(l, block, &entry);
		if (digest_tree_add(&tree, sha, entry.digest, err) < 0)
			return -1;
	}
	if (ledger_check(l, err) < 0)
		return -1;
	return digest_tree_root(&tree, sha, &l->header.identity, ret, err);
}

int
ledger_root(const struct ledger *l, char ret_hex[65], struct err *err)
{
	CLEANUP(digest_done) struct digest sha = {0};
	uint8_t top[LEDGER_DIGEST_SIZE];

	if (l->header.identity.digest == LEDGER_NO_DIGEST)
		return err_set(err, ERR_FAIL,
			       "ledger '%s': no proof was recorded", l->path);
	if (l->ndurable != l->nblocks)
		return err_set(
		    err, ERR_FAIL,
		    "ledger '%s': only %llu of %llu blocks are durable",
		    l->path, (unsigned long long)l->ndurable,
		    (unsigned long long)l->nblocks);
	if (root(l, &sha, top, err) < 0)
		return -1;
	digest_hex(ret_hex, top);
	return 0;
}
