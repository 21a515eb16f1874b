/* SPDX-License-Identifier: Apache-2.0 */
/* What an NBD server says is dirty. */
#include "stages/copy/extents.h"

#include <libnbd.h>
#include <string.h>

#include "base/clock.h"
#include "io/nbd.h"
#include "stages/copy/wire.h"

#define MOST_AT_ONCE ((uint64_t)1 << 30)
#define DIRTY 1
#define GLANCE_MS 100 /* how often a wait looks at the clock */

struct asking {
	const char *context;
	struct extents *list;
	uint64_t size; /* of the disk */
	uint64_t at;   /* all before it was told */
	int64_t wait_ms;
	bool answered;
	int error;
};

/* The server may tell less than it was asked, and more, even of more than
 * there is. */
static int
take(void *arg, const char *context, uint64_t offset, uint32_t *entries,
     size_t n, int *error)
{
	struct asking *a = arg;

	(void)error;
	if (strcmp(context, a->context) != 0)
		return 0;
	for (size_t i = 0; i + 1 < n; i += 2) {
		uint64_t left = offset < a->size ? a->size - offset : 0;

		if (entries[i + 1] & DIRTY)
			extents_add(a->list, offset,
				    entries[i] < left ? entries[i] : left);
		offset += entries[i];
	}
	a->at = offset;
	return 0;
}

/* Called by libnbd; 1 retires the command. */
static int
answered(void *arg, int *error)
{
	struct asking *a = arg;

	a->answered = true;
	a->error = *error;
	return 1;
}

static int
await_answer(struct nbd_handle *h, const struct asking *a, const char *uri,
	     struct err *err)
{
	int64_t until = clock_mono_ms() + a->wait_ms;
	char waited[CLOCK_TEXT_SIZE];

	while (!a->answered) {
		if (clock_mono_ms() >= until)
			return err_set(
			    err, ERR_RETRY,
			    "'%s' does not answer: waited %s for it to say "
			    "what is dirty at byte %llu",
			    uri, clock_format_duration(a->wait_ms, waited),
			    (unsigned long long)a->at);
		if (nbd_poll(h, GLANCE_MS) < 0)
			break;
	}
	if (a->answered && !a->error)
		return 0;
	return err_set(err, ERR_RETRY, "cannot ask '%s' what is dirty: %s", uri,
		       a->error ? strerror(a->error) : nbd_get_error());
}

static int
ask(struct nbd_handle *h, struct asking *a, uint64_t length, const char *uri,
    struct err *err)
{
	const nbd_extent_callback told = {.callback = take, .user_data = a};
	const nbd_completion_callback done = {.callback = answered,
					      .user_data = a};

	a->answered = false;
	a->error = 0;
	if (nbd_aio_block_status(h, length, a->at, told, done, 0) < 0)
		return err_set(err, ERR_RETRY,
			       "cannot ask '%s' what is dirty: %s", uri,
			       nbd_get_error());
	return await_answer(h, a, uri, err);
}

static int
ask_all(struct nbd_handle *h, struct asking *a, const char *uri,
	struct err *err)
{
	int64_t size = nbd_get_size(h);

	if (size < 0 || nbd_can_meta_context(h, a->context) < 0)
		return err_set(err, ERR_RETRY, "'%s': %s", uri,
			       nbd_get_error());
	if (nbd_can_meta_context(h, a->context) == 0)
		return err_set(err, ERR_FAIL,
			       "'%s' does not say what is dirty: it has no "
			       "context '%s'",
			       uri, a->context);
	a->size = (uint64_t)size;
	while (a->at < a->size) {
		uint64_t from = a->at, left = a->size - from;

		if (ask(h, a, left < MOST_AT_ONCE ? left : MOST_AT_ONCE, uri,
			err) < 0)
			return -1;
		if (a->at <= from)
			return err_set(err, ERR_FAIL,
				       "'%s' says nothing of what is dirty at "
				       "%llu",
				       uri, (unsigned long long)from);
	}
	return 0;
}

int
extents_of_context(const char *uri, const char *context, int64_t wait_ms,
		   struct extents *x, struct err *err)
{
	const struct nbd_dial_opts opts = {.what = "source"};
	struct asking a = {.context = context,
			   .list = x,
			   .wait_ms = wait_ms ? wait_ms : WIRE_WAIT_MS};
	struct nbd_handle *h = nbd_create();
	int rc = -1;

	if (!h || nbd_add_meta_context(h, context) < 0)
		err_set(err, ERR_RETRY, "cannot use libnbd: %s",
			nbd_get_error());
	else if (nbd_dial(h, uri, &opts, err) == 0)
		rc = ask_all(h, &a, uri, err);
	nbd_close(h);
	return rc;
}
