/* SPDX-License-Identifier: Apache-2.0 */
/* Asking an NBD server what reads as zeroes. */
#include <libnbd.h>
#include <string.h>

#include "base/clock.h"
#include "stages/copy/ledger.h"
#include "stages/copy/wire_own.h"

/* One question about the allocation of [at, end) and how far its answer
 * went. */
struct asking {
	struct wire_op op; /* first: what wire_answered() is given */
	uint64_t at, end;
	uint64_t first; /* block of is_zero[0] */
	size_t n;
	bool *is_zero;
};

/* Nothing is answered yet. */
static void
begin_asking(struct asking *a, const struct wire *w)
{
	a->at = a->first * LEDGER_BLOCK_SIZE;
	for (size_t i = 0; i < a->n; i++)
		a->is_zero[i] = w->has_extents &&
				(a->first + i) * LEDGER_BLOCK_SIZE < w->size;
}

static void
mark_data(struct asking *a, uint64_t from, uint64_t to)
{
	uint64_t block = from / LEDGER_BLOCK_SIZE;

	for (; block * LEDGER_BLOCK_SIZE < to; block++)
		a->is_zero[block - a->first] = false;
}

static int
take_extents(void *arg, const char *context, uint64_t offset, uint32_t *entries,
	     size_t nentries, int *error)
{
	struct asking *a = arg;

	(void)error;
	if (strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION) != 0 ||
	    offset != a->at)
		return 0;
	for (size_t i = 0; i + 1 < nentries && a->at < a->end; i += 2) {
		uint64_t to = wire_least(a->at + entries[i], a->end);

		/* HOLE says only that nothing is allocated: it may read as
		 * anything.  Unknown flags change nothing about ZERO. */
		if (!(entries[i + 1] & LIBNBD_STATE_ZERO))
			mark_data(a, a->at, to);
		a->at = to;
	}
	return 0;
}

/* What it said before it broke is asked of the one that came back, too. */
static int
mend_asking(struct asking *a, struct err *err)
{
	int rc = wire_mend(&a->op, NULL, err);

	a->op.npending = 0;
	if (rc == 0)
		return wire_say_failure(&a->op, err);
	begin_asking(a, a->op.wire);
	return rc < 0 ? -1 : 0;
}

static int
ask_extents(struct wire *w, struct asking *a, struct err *err)
{
	nbd_extent_callback take = {.callback = take_extents, .user_data = a};
	nbd_completion_callback done = {.callback = wire_answered,
					.user_data = &a->op};
	uint64_t before = a->at;

	a->op = (struct wire_op){
	    .wire = w, .at = before, .end = a->end, .nmade = w->nmade};
	if (w->npending == 0)
		w->moved_ms = clock_mono_ms();
	a->op.npending++;
	w->npending++;
	if (nbd_aio_block_status(w->nbd, a->end - before, before, take, done,
				 0) < 0)
		wire_not_sent(&a->op);
	if (wire_wait_for(&a->op, NULL, err) < 0)
		return -1;
	if (a->op.error && wire_is_dead(w))
		return mend_asking(a, err);
	w->nlost = 0;
	/* no answer, or one that says nothing: whatever is left is read */
	if (a->op.error || a->at == before) {
		mark_data(a, a->at, a->end);
		a->at = a->end;
	}
	return 0;
}

int
wire_zero_blocks(struct wire *w, uint64_t first, size_t n, bool *is_zero,
		 struct err *err)
{
	struct asking a = {
	    .end = wire_least((first + n) * LEDGER_BLOCK_SIZE, w->size),
	    .first = first,
	    .n = n,
	    .is_zero = is_zero,
	};

	begin_asking(&a, w);
	while (w->has_extents && a.at < a.end) {
		if (ask_extents(w, &a, err) == 0)
			continue;
		if (a.op.npending > 0)
			wire_close(w);
		return -1;
	}
	return 0;
}
