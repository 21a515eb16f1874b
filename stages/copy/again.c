/* SPDX-License-Identifier: Apache-2.0 */
/* Is a source that came back the one it was?
 *
 * Under its name may be another disk of the same size by now, or the same one
 * at a later point in time.  So blocks that were seen before it broke are read
 * once more, and compared with their digests or, when nobody computed any,
 * with what the target was given; those that are on their way to it, with what
 * was read; and holes that were told of are to be such.
 *
 * What one worker has in hand is in no list that another could see.  So who is
 * about to note what it has, when the source of another came back since,
 * connects anew and compares it first. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "stages/copy/engine.h"
#include "stages/copy/zero.h"

struct again {
	struct worker *w;
	struct seen_block *list;
	uint8_t *now, *copied; /* a block each */
};

static uint8_t *
new_block(void)
{
	uint8_t *block = aligned_alloc(4096, LEDGER_BLOCK_SIZE);

	if (!block)
		abort();
	return block;
}

/* What is read for this is read like all else. */
static int
await_turn(const struct engine *e, uint64_t len, struct err *err)
{
	const struct throttle *throttle = e->opts->throttle;
	struct throttle_ticket ticket;
	int ms;

	if (!throttle)
		return 0;
	throttle_draw(throttle, len, &ticket);
	while ((ms = throttle_wait_ms(throttle, &ticket)) > 0) {
		if (atomic_load(&e->stop))
			return err_set(err, ERR_CANCELLED, "asked to stop");
		poll(NULL, 0, ms);
	}
	return 0;
}

/* A target that cannot be read back says nothing. */
static bool
is_as_copied(struct again *a, uint64_t at, size_t len)
{
	struct worker *w = a->w;
	struct err ignored;

	return output_read(&w->e->out, w->lane, a->copied, len, at, &ignored) <
		   0 ||
	       memcmp(a->now, a->copied, len) == 0;
}

static int
read_now(struct again *a, uint64_t at, size_t len, struct err *err)
{
	struct worker *w = a->w;

	if (await_turn(w->e, len, err) < 0)
		return -1;
	return wire_do(&w->source.wire, WIRE_READ, a->now, len, at, err);
}

static int
compare(struct again *a, const struct seen_block *seen, bool *ret_same,
	struct err *err)
{
	struct worker *w = a->w;
	uint64_t at = seen->block * LEDGER_BLOCK_SIZE;
	size_t len = engine_block_len(w->e, seen->block);
	uint8_t digest[LEDGER_DIGEST_SIZE];

	if (read_now(a, at, len, err) < 0)
		return -1;
	if (w->digest.kind == LEDGER_NO_DIGEST) {
		*ret_same = is_as_copied(a, at, len);
		return 0;
	}
	if (digest_block(&w->digest, a->now, len, digest, err) < 0)
		return -1;
	*ret_same = memcmp(digest, seen->digest, sizeof(digest)) == 0;
	return 0;
}

static int
refuse(const struct again *a, uint64_t block, struct err *err)
{
	return err_set(err, ERR_FAIL,
		       "the source '%s' came back as another one: block %llu "
		       "at byte %llu is not what it was before the connection "
		       "broke",
		       a->w->source.wire.uri, (unsigned long long)block,
		       (unsigned long long)block * LEDGER_BLOCK_SIZE);
}

static int
compare_all(struct again *a, size_t n, struct err *err)
{
	bool same = true;

	for (size_t i = 0; i < n; i++) {
		if (compare(a, &a->list[i], &same, err) < 0)
			return -1;
		if (!same)
			return refuse(a, a->list[i].block, err);
	}
	return 0;
}

/* `data` NULL: zeroes. */
static int
compare_piece(void *arg, uint64_t at, size_t len, const uint8_t *data,
	      struct err *err)
{
	struct again *a = arg;

	if (read_now(a, at, len, err) < 0)
		return -1;
	if (data ? memcmp(a->now, data, len) == 0 : zero_is(a->now, len))
		return 0;
	return refuse(a, at / LEDGER_BLOCK_SIZE, err);
}

/* What was read and is not noted yet; it may have come before what is still
 * waited for, which is lost. */
static int
compare_in_hand(struct again *a, struct err *err)
{
	struct worker *w = a->w;

	for (uint64_t n = w->nwritten; n < w->nbegun; n++) {
		const struct slot *s = worker_slot(w, n);
		uint64_t block = w->first + s->i;

		if (n < w->nread ? s->is_settled : !input_has_come(&s->read))
			continue;
		if (compare_piece(a, block * LEDGER_BLOCK_SIZE,
				  engine_block_len(w->e, block), s->buf,
				  err) < 0)
			return -1;
	}
	return delta_each_in_hand(w, compare_piece, a, err);
}

/* Of the span; what is said to be none any more may be zero all the same. */
static int
compare_holes(struct again *a, struct err *err)
{
	struct worker *w = a->w;
	bool now[ENGINE_SPAN];
	int rc = wire_zero_blocks(&w->source.wire, w->first, w->n, now, err);

	for (size_t i = 0; rc == 0 && i < w->n; i++)
		if (w->is_hole[i] && !now[i])
			rc = compare_piece(
			    a, (w->first + i) * LEDGER_BLOCK_SIZE,
			    engine_block_len(w->e, w->first + i), NULL, err);
	return rc;
}

/* What is noted from now on is not in the list, but then its worker sees that
 * it is to follow. */
static size_t
list_seen(struct again *a)
{
	struct worker *w = a->w;
	struct engine *e = w->e;
	size_t n;

	pthread_mutex_lock(&e->lock);
	if (!w->is_following)
		e->nagain++;
	w->nagain = e->nagain;
	n = seen_list(&e->seen, a->list);
	pthread_mutex_unlock(&e->lock);
	return n;
}

int
again_check(void *arg, struct err *err)
{
	struct again a = {
	    .w = arg,
	    .list = mem_new(SEEN_MOST * sizeof(*a.list)),
	    .now = new_block(),
	    .copied = new_block(),
	};
	int rc = compare_all(&a, list_seen(&a), err);

	if (rc == 0)
		rc = compare_in_hand(&a, err);
	if (rc == 0)
		rc = compare_holes(&a, err);
	free(a.list);
	free(a.now);
	free(a.copied);
	return rc;
}

int
again_lock(struct worker *w, struct err *err)
{
	struct engine *e = w->e;
	int rc = 0;

	pthread_mutex_lock(&e->lock);
	while (rc == 0 && w->nagain != e->nagain) {
		pthread_mutex_unlock(&e->lock);
		w->is_following = true;
		rc = wire_renew(&w->source.wire, err);
		w->is_following = false;
		if (rc == 0)
			pthread_mutex_lock(&e->lock);
	}
	return rc;
}

void
again_note_settled(struct worker *w, uint64_t block)
{
	struct ledger_entry entry;
	bool is_zero;

	if (w->digest.kind == LEDGER_NO_DIGEST)
		return;
	ledger_get(w->e->opts->ledger, block, &entry);
	is_zero = memcmp(entry.digest, w->digest.zero, LEDGER_DIGEST_SIZE) == 0;
	seen_note(&w->e->seen, block, entry.digest, is_zero);
}
