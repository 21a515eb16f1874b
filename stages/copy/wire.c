/* SPDX-License-Identifier: Apache-2.0 */
/* One NBD connection. */
#include "stages/copy/wire.h"

#include <errno.h>
#include <libnbd.h>
#include <string.h>

#include "stages/copy/ledger.h"

#define PIECE (32u * 1024 * 1024) /* what every server accepts */

static uint64_t
least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t
aligned(const struct wire *w, uint64_t len)
{
	return (len + w->align - 1) / w->align * w->align;
}

/* libnbd says what the server answered as an errno, or none. */
static int
nbd_errno(void)
{
	return nbd_get_errno() ? nbd_get_errno() : EIO;
}

static int
connect_uri(struct wire *w, const char *uri, struct err *err)
{
	w->nbd = nbd_create();
	/* every answer is checked, so clearing the buffer first is waste */
	if (w->nbd && nbd_set_pread_initialize(w->nbd, false) == 0 &&
	    nbd_add_meta_context(w->nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) == 0 &&
	    nbd_connect_uri(w->nbd, uri) == 0)
		return 0;
	return err_set(err, ERR_RETRY, "cannot connect to the %s '%s': %s",
		       w->what, uri, nbd_get_error());
}

static int
read_limits(struct wire *w, struct err *err)
{
	int64_t size = nbd_get_size(w->nbd);
	int64_t least_size = nbd_get_block_size(w->nbd, LIBNBD_SIZE_MINIMUM);
	int64_t most_size = nbd_get_block_size(w->nbd, LIBNBD_SIZE_MAXIMUM);

	if (size < 0)
		return err_set(err, ERR_RETRY,
			       "the %s does not say its size: %s", w->what,
			       nbd_get_error());
	w->size = (uint64_t)size;
	w->align = least_size > 0 ? (uint32_t)least_size : 1;
	w->piece = most_size > 0 ? (uint32_t)least(most_size, PIECE) : PIECE;
	w->piece -= w->piece % w->align;
	if (LEDGER_BLOCK_SIZE % w->align != 0 || w->piece == 0)
		return err_set(err, ERR_FAIL,
			       "the %s takes only requests of %u to %lld "
			       "bytes, which no NBD server should ask for",
			       w->what, w->align, (long long)most_size);
	return 0;
}

int
wire_open(struct wire *w, const char *uri, const char *what, struct err *err)
{
	w->what = what;
	if (connect_uri(w, uri, err) < 0 || read_limits(w, err) < 0) {
		wire_close(w);
		return -1;
	}
	w->has_extents =
	    nbd_can_meta_context(w->nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) > 0;
	w->can_zero = nbd_can_zero(w->nbd) > 0;
	w->can_flush = nbd_can_flush(w->nbd) > 0;
	w->can_multi_conn = nbd_can_multi_conn(w->nbd) > 0;
	w->is_read_only = nbd_is_read_only(w->nbd) > 0;
	return 0;
}

void
wire_close(struct wire *w)
{
	if (w->nbd)
		nbd_close(w->nbd);
	w->nbd = NULL;
}

int
wire_read(struct wire *w, void *data, size_t len, uint64_t at, struct err *err)
{
	uint64_t end = least(at + aligned(w, len), w->size);
	uint8_t *to = data;
	uint64_t n;

	for (; at < end; at += n, to += n) {
		n = least(end - at, w->piece);
		if (nbd_pread(w->nbd, to, n, at, 0) < 0)
			return err_set(err, ERR_RETRY,
				       "cannot read %llu bytes at byte %llu of "
				       "the %s: %s",
				       (unsigned long long)n,
				       (unsigned long long)at, w->what,
				       strerror(nbd_errno()));
	}
	return 0;
}

static int
target_failed(const struct wire *w, const char *verb, uint64_t at,
	      struct err *err)
{
	errno = nbd_errno();
	return err_sys(err, "cannot %s at byte %llu of the %s", verb,
		       (unsigned long long)at, w->what);
}

int
wire_write(struct wire *w, const void *data, size_t len, uint64_t at,
	   struct err *err)
{
	uint64_t end = least(at + aligned(w, len), w->size);
	const uint8_t *from = data;
	uint64_t n;

	for (; at < end; at += n, from += n) {
		n = least(end - at, w->piece);
		if (nbd_pwrite(w->nbd, from, n, at, 0) < 0)
			return target_failed(w, "write", at, err);
	}
	return 0;
}

int
wire_zero(struct wire *w, uint64_t len, uint64_t at, struct err *err)
{
	uint64_t end = least(at + aligned(w, len), w->size);
	uint64_t n;

	errno = EOPNOTSUPP;
	if (!w->can_zero)
		return err_sys(err, "the %s", w->what);
	/* a hole is welcome here: WRITE_ZEROES promises zeroes either way,
	 * which TRIM does not */
	for (; at < end; at += n) {
		n = least(end - at, w->piece);
		if (nbd_zero(w->nbd, n, at, 0) < 0)
			return target_failed(w, "zero", at, err);
	}
	return 0;
}

int
wire_flush(struct wire *w, struct err *err)
{
	if (nbd_flush(w->nbd, 0) == 0)
		return 0;
	errno = nbd_errno();
	return err_sys(err, "cannot flush the %s", w->what);
}

/* One question about the allocation of [at, end) and how far its answer
 * went. */
struct asking {
	uint64_t at, end;
	uint64_t first; /* block of is_zero[0] */
	bool *is_zero;
};

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
		uint64_t to = least(a->at + entries[i], a->end);

		/* HOLE says only that nothing is allocated: it may read as
		 * anything.  Unknown flags change nothing about ZERO. */
		if (!(entries[i + 1] & LIBNBD_STATE_ZERO))
			mark_data(a, a->at, to);
		a->at = to;
	}
	return 0;
}

static int
ask_extents(struct wire *w, struct asking *a, struct err *err)
{
	nbd_extent_callback take = {.callback = take_extents, .user_data = a};
	uint64_t before = a->at;

	if (nbd_block_status(w->nbd, a->end - a->at, a->at, take, 0) < 0)
		return err_set(err, ERR_RETRY,
			       "cannot ask the %s what it holds at byte %llu: "
			       "%s",
			       w->what, (unsigned long long)before,
			       strerror(nbd_errno()));
	/* an answer that says nothing: whatever is left is read */
	if (a->at == before) {
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
	    .at = first * LEDGER_BLOCK_SIZE,
	    .end = least((first + n) * LEDGER_BLOCK_SIZE, w->size),
	    .first = first,
	    .is_zero = is_zero,
	};

	memset(is_zero, w->has_extents, n * sizeof(*is_zero));
	while (w->has_extents && a.at < a.end)
		if (ask_extents(w, &a, err) < 0)
			return -1;
	return 0;
}
