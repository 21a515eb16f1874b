/* SPDX-License-Identifier: Apache-2.0 */
/* Further connections to one disk. */
#include "stages/copy/wire.h"

#define MORE_WAIT_MS 5000

/* Behind one name there may be several servers, and one of them behind the
 * others. */
static bool
is_alike(const struct wire *a, const struct wire *b)
{
	return a->size == b->size && a->align == b->align &&
	       a->piece == b->piece && a->has_extents == b->has_extents &&
	       a->can_zero == b->can_zero && a->can_flush == b->can_flush &&
	       a->can_multi_conn == b->can_multi_conn &&
	       a->is_read_only == b->is_read_only;
}

int
wire_open_more(struct wire *w, const struct wire *first, struct err *err)
{
	struct wire_patience more = {.wait_ms = first->patience->wait_ms};
	int rc;

	if (more.wait_ms == 0 || more.wait_ms > MORE_WAIT_MS)
		more.wait_ms = MORE_WAIT_MS;
	rc = wire_open(w, first->uri, first->what, &more, err);
	w->patience = first->patience;
	w->comes_back = first->comes_back;
	w->server = first->server;
	if (rc < 0 || is_alike(w, first))
		return rc;
	wire_close(w);
	return err_set(err, ERR_RETRY,
		       "the %s '%s' is not the same to all its clients: one "
		       "is told of %llu bytes, another of %llu",
		       w->what, w->uri, (unsigned long long)first->size,
		       (unsigned long long)w->size);
}
