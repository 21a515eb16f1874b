/* SPDX-License-Identifier: Apache-2.0 */
/* One NBD connection: libnbd's asynchronous calls, and waits that end. */
#include "stages/copy/wire.h"

#include <errno.h>
#include <libnbd.h>
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "io/nbd.h"
#include "stages/copy/ledger.h"
#include "stages/copy/wire_own.h"

#define PIECE (32u * 1024 * 1024) /* what every server accepts */
#define NTRIES 5		  /* of one request */
#define FIRST_PAUSE_MS 50	  /* before the second, then four times it */
#define GLANCE_MS 100		  /* how often a wait looks at the clock */
#define RETURN_MS 60000 /* a connection that broke is tried for at most */
#define MOST_PAUSE_MS 5000
#define SLOWEST 10 /* waits that one request may take, however much moves */

static uint64_t
aligned(const struct wire *w, uint64_t len)
{
	return (len + w->align - 1) / w->align * w->align;
}

static int64_t
wait_ms(const struct wire *w)
{
	return w->patience->wait_ms ? w->patience->wait_ms : WIRE_WAIT_MS;
}

static bool
is_over(const struct wire *w)
{
	int64_t until = atomic_load(&w->patience->until_ms);

	return until && clock_mono_ms() >= until;
}

static int
connect_uri(struct wire *w, int64_t ms, struct err *err)
{
	const struct nbd_dial_opts opts = {
	    .what = w->what,
	    .deadline_ms = ms,
	    .until_ms = &w->patience->until_ms,
	};

	w->nbd = nbd_create();
	/* every answer is checked, so clearing the buffer first is waste */
	if (w->nbd && nbd_set_pread_initialize(w->nbd, false) == 0 &&
	    nbd_add_meta_context(w->nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) == 0)
		return nbd_dial(w->nbd, w->uri, &opts, err);
	return err_set(err, ERR_RETRY, "cannot use libnbd: %s",
		       nbd_get_error());
}

static int
read_limits(struct wire *w, struct err *err)
{
	int64_t size = nbd_get_size(w->nbd);
	int64_t least_size = nbd_get_block_size(w->nbd, LIBNBD_SIZE_MINIMUM);
	int64_t most_size = nbd_get_block_size(w->nbd, LIBNBD_SIZE_MAXIMUM);

	if (size < 0)
		return err_set(err, ERR_RETRY,
			       "the %s '%s' does not say its size: %s", w->what,
			       w->uri, nbd_get_error());
	w->size = (uint64_t)size;
	w->align = least_size > 0 ? (uint32_t)least_size : 1;
	w->piece =
	    most_size > 0 ? (uint32_t)wire_least(most_size, PIECE) : PIECE;
	w->piece -= w->piece % w->align;
	if (LEDGER_BLOCK_SIZE % w->align != 0 || w->piece == 0)
		return err_set(err, ERR_FAIL,
			       "the %s '%s' takes only requests of %u to %lld "
			       "bytes: palletjack copies blocks of %d",
			       w->what, w->uri, w->align, (long long)most_size,
			       LEDGER_BLOCK_SIZE);
	return 0;
}

int
wire_open(struct wire *w, const char *uri, const char *what,
	  const struct wire_patience *patience, struct err *err)
{
	*w = (struct wire){.uri = uri, .what = what, .patience = patience};
	if (connect_uri(w, wait_ms(w), err) < 0 || read_limits(w, err) < 0) {
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

/* Called by libnbd from within wire_turn; 1 retires the command. */
int
wire_answered(void *arg, int *error)
{
	struct wire_op *op = arg;

	if (*error && !op->error)
		op->error = *error;
	op->npending--;
	op->wire->npending--;
	op->wire->ended_ms = op->wire->moved_ms;
	return 1;
}

/* Called by libnbd with each part of what is read. */
static int
take_part(void *arg, const void *data, size_t len, uint64_t at, unsigned status,
	  int *error)
{
	struct wire_op *op = arg;

	(void)data;
	(void)at;
	(void)error;
	op->ngot += status == LIBNBD_READ_ERROR ? 0 : len;
	return 0;
}

/* libnbd says why it would not even send as an errno, or not at all. */
void
wire_not_sent(struct wire_op *op)
{
	if (!op->wire->nbd) /* closed after an earlier failure */
		op->error = ENOTCONN;
	else if (!op->error)
		op->error = nbd_get_errno() ? nbd_get_errno() : EIO;
	op->npending--;
	op->wire->npending--;
}

static int64_t
send_piece(struct wire_op *op, uint64_t n, uint64_t at)
{
	struct nbd_handle *nbd = op->wire->nbd;
	nbd_chunk_callback part = {.callback = take_part, .user_data = op};
	nbd_completion_callback done = {.callback = wire_answered,
					.user_data = op};
	uint8_t *data = op->data ? op->data + (at - op->at) : NULL;

	switch (op->verb) {
	case WIRE_READ:
		return nbd_aio_pread_structured(nbd, data, n, at, part, done,
						0);
	case WIRE_WRITE:
		return nbd_aio_pwrite(nbd, data, n, at, done, 0);
	case WIRE_ZERO:
		/* a hole is welcome here: WRITE_ZEROES promises zeroes either
		 * way, which TRIM does not */
		return nbd_aio_zero(nbd, n, at, done, 0);
	case WIRE_FLUSH:
		break;
	}
	return nbd_aio_flush(nbd, done, 0);
}

/* Counted before it is sent: the answer can come while it is. */
static void
send_pieces(struct wire_op *op)
{
	struct wire *w = op->wire;
	uint64_t at = op->at, n;

	op->error = 0;
	op->npending = 0;
	op->ngot = 0;
	op->nmade = w->nmade;
	if (w->npending == 0)
		w->moved_ms = clock_mono_ms();
	do {
		n = wire_least(op->end - at, w->piece);
		op->npending++;
		w->npending++;
		if (!w->nbd || send_piece(op, n, at) < 0)
			wire_not_sent(op);
		at += n;
	} while (at < op->end && !op->error);
}

void
wire_begin(struct wire *w, struct wire_op *op, enum wire_verb verb, void *data,
	   uint64_t len, uint64_t at)
{
	*op = (struct wire_op){
	    .wire = w,
	    .verb = verb,
	    .data = data,
	    .at = at,
	    .end = wire_least(at + aligned(w, len), w->size),
	};
	if (op->end < at + len) /* past the export's end: let the server say */
		op->end = at + len;
	send_pieces(op);
}

static struct pollfd
interest(const struct wire *w)
{
	struct pollfd pfd = {.fd = -1};
	unsigned direction;

	if (!w || !w->nbd || w->npending == 0)
		return pfd;
	direction = nbd_aio_get_direction(w->nbd);
	pfd.fd = nbd_aio_get_fd(w->nbd);
	if (direction & LIBNBD_AIO_DIRECTION_READ)
		pfd.events |= POLLIN;
	if (direction & LIBNBD_AIO_DIRECTION_WRITE)
		pfd.events |= POLLOUT;
	return pfd;
}

/* One event a turn, as libnbd wants it. */
static void
take_turn(struct wire *w, const struct pollfd *pfd)
{
	if (!w || pfd->revents == 0)
		return;
	w->moved_ms = clock_mono_ms();
	if (pfd->events & POLLIN && pfd->revents & ~POLLOUT)
		(void)nbd_aio_notify_read(w->nbd);
	else if (pfd->events & POLLOUT)
		(void)nbd_aio_notify_write(w->nbd);
}

/* How many of the two moved. */
static int
move(struct wire *w, struct wire *also, int ms)
{
	struct pollfd fds[2] = {interest(w), interest(also)};
	int n = poll(fds, 2, ms);

	if (n > 0) {
		take_turn(w, &fds[0]);
		take_turn(also, &fds[1]);
	}
	return n;
}

void
wire_move(struct wire *w, struct wire *also)
{
	move(w, also, 0);
}

bool
wire_is_dead(const struct wire *w)
{
	return !w->nbd || nbd_aio_is_dead(w->nbd) > 0 ||
	       nbd_aio_is_closed(w->nbd) > 0;
}

static const char *
verb_name(enum wire_verb verb)
{
	static const char *const names[] = {
	    [WIRE_READ] = "read",
	    [WIRE_WRITE] = "write",
	    [WIRE_ZERO] = "zero",
	    [WIRE_FLUSH] = "flush",
	};

	return names[verb];
}

static int
give_up(const struct wire *w, const char *doing, uint64_t at, struct err *err)
{
	char waited[CLOCK_TEXT_SIZE];

	if (is_over(w))
		return err_set(err, ERR_CANCELLED,
			       "asked to stop while waiting for the %s '%s'",
			       w->what, w->uri);
	return err_set(err, ERR_RETRY,
		       "the %s '%s' does not answer: waited %s for it to %s "
		       "at byte %llu",
		       w->what, w->uri,
		       clock_format_duration(wait_ms(w), waited), doing,
		       (unsigned long long)at);
}

/* There are signs of life, and no end of it. */
static int
give_up_slow(const struct wire_op *op, struct err *err)
{
	const struct wire *w = op->wire;
	char waited[CLOCK_TEXT_SIZE];

	return err_set(err, ERR_RETRY,
		       "the %s '%s' comes to no end: bytes move, but in %s no "
		       "request was answered, the one waited for being to %s "
		       "at byte %llu",
		       w->what, w->uri,
		       clock_format_duration(SLOWEST * wait_ms(w), waited),
		       verb_name(op->verb), (unsigned long long)op->at);
}

/* The connection it was sent on is no more: answers will not come. */
static bool
is_lost(const struct wire_op *op)
{
	return wire_is_dead(op->wire) || op->nmade != op->wire->nmade;
}

/* Bytes that move are no end: whoever is to stop does so whatever moves, and
 * nobody who waits counts what moves for the other. */
int
wire_wait_for(struct wire_op *op, struct wire *also, struct err *err)
{
	struct wire *w = op->wire;
	int64_t began = clock_mono_ms(), now;

	while (op->npending > 0) {
		if (is_lost(op)) {
			op->error = op->error ? op->error : ENOTCONN;
			break;
		}
		if (!is_over(w))
			(void)move(w, also, GLANCE_MS);
		if (op->npending == 0)
			break;
		now = clock_mono_ms();
		if (is_over(w) || now - w->moved_ms > wait_ms(w))
			return give_up(w, verb_name(op->verb), op->at, err);
		if (now - began > SLOWEST * wait_ms(w) &&
		    now - w->ended_ms > SLOWEST * wait_ms(w))
			return give_up_slow(op, err);
	}
	return 0;
}

/* A flush that failed is never asked for again: a success would prove
 * nothing.  Nor is what will fail in the same way. */
static bool
is_worth_another(const struct wire_op *op)
{
	return op->verb != WIRE_FLUSH && !wire_is_dead(op->wire) &&
	       (op->error == EIO || op->error == ENOMEM ||
		op->error == EAGAIN || op->error == EBUSY ||
		op->error == ETIMEDOUT);
}

static int
try_again(struct wire_op *op, struct wire *also, struct err *err)
{
	int64_t pause = FIRST_PAUSE_MS;
	int most = op->wire->ntries ? op->wire->ntries : NTRIES;

	for (int i = 1; i < most && is_worth_another(op); i++, pause *= 4) {
		int64_t until = clock_mono_ms() + pause;

		while (clock_mono_ms() < until && !is_over(op->wire))
			poll(NULL, 0, 10);
		send_pieces(op);
		if (wire_wait_for(op, also, err) < 0)
			return -1;
		if (!op->error)
			break;
	}
	return 0;
}

int
wire_say_failure(const struct wire_op *op, struct err *err)
{
	const struct wire *w = op->wire;
	unsigned long long at = op->at, len = op->end - op->at;

	if (wire_is_dead(w))
		return err_set(err, ERR_RETRY,
			       "the connection to the %s '%s' broke while it "
			       "was to %s at byte %llu: %s",
			       w->what, w->uri, verb_name(op->verb), at,
			       strerror(op->error));
	errno = op->error;
	if (op->verb == WIRE_FLUSH)
		return err_sys(err, "cannot flush the %s '%s'", w->what,
			       w->uri);
	err_sys(err, "cannot %s %llu bytes at byte %llu of the %s '%s'",
		verb_name(op->verb), len, at, w->what, w->uri);
	if (op->verb == WIRE_READ)
		err->class = ERR_RETRY;
	return -1;
}

bool
wire_is_unreadable(const struct err *err)
{
	return err->sys == EIO || err->sys == EBADMSG;
}

static void
pause_for(struct wire *w, struct wire *also, int64_t ms)
{
	int64_t until = clock_mono_ms() + ms;

	while (clock_mono_ms() < until && !is_over(w))
		(void)move(w, also, 10);
}

/* The same disk, as far as its size tells. */
static int
dial_again(struct wire *w, int64_t ms, struct err *err)
{
	const struct wire was = *w;
	uint64_t size;

	wire_close(w);
	w->npending = 0;
	if (connect_uri(w, ms, err) < 0 || read_limits(w, err) < 0)
		return -1;
	size = w->size;
	w->size = was.size;
	if (size == was.size && w->align == was.align && w->piece == was.piece)
		return 0;
	return err_set(err, ERR_FAIL,
		       "the %s '%s' came back as another one: it has %llu "
		       "bytes now, and had %llu",
		       w->what, w->uri, (unsigned long long)size,
		       (unsigned long long)was.size);
}

/* What is read for that is no progress, and no reason to come back. */
static int
know_again(struct wire *w, struct err *err)
{
	unsigned nlost = w->nlost;
	int rc;

	if (!w->is_same)
		return 0;
	w->comes_back = false;
	rc = w->is_same(w->arg, err);
	w->comes_back = true;
	w->nlost = nlost;
	return rc;
}

/* `broke` says how it was lost.  The further pauses are longer, so that a
 * server that starts is not kept from it. */
static int
come_back(struct wire *w, struct wire *also, const struct err *broke,
	  struct err *err)
{
	int64_t most = (int64_t)wire_least((uint64_t)wait_ms(w), RETURN_MS);
	int64_t left = most, pause = FIRST_PAUSE_MS;
	int64_t until = clock_mono_ms() + most;
	char tried[CLOCK_TEXT_SIZE];
	struct err why = {0};

	while (left > 0 &&
	       (dial_again(w, left, &why) < 0 || know_again(w, &why) < 0)) {
		wire_close(w);
		if (why.class != ERR_RETRY) {
			*err = why;
			return -1;
		}
		if (w->server && nbd_server_has_ended(w->server))
			return err_set(err, ERR_RETRY,
				       "%s; what served it has ended",
				       broke->text);
		pause_for(w, also, pause);
		pause = (int64_t)wire_least((uint64_t)pause * 2, MOST_PAUSE_MS);
		left = until - clock_mono_ms();
	}
	if (!w->nbd)
		return err_set(err, ERR_RETRY,
			       "%s; tried for %s to connect again", broke->text,
			       clock_format_duration(most, tried));
	w->nmade++;
	w->moved_ms = clock_mono_ms();
	return 0;
}

int
wire_renew(struct wire *w, struct err *err)
{
	struct err why;

	wire_close(w);
	err_set(&why, ERR_RETRY,
		"the %s '%s' is connected to anew, for another connection "
		"to it broke",
		w->what, w->uri);
	return come_back(w, NULL, &why, err);
}

/* After a connection was lost: 1, it is made again. */
int
wire_mend(struct wire_op *op, struct wire *also, struct err *err)
{
	struct wire *w = op->wire;
	struct err broke;

	if (!w->comes_back)
		return 0;
	if (!wire_is_dead(w)) /* in another request's turn */
		return 1;
	if (w->nlost++ == NTRIES)
		return 0;
	wire_say_failure(op, &broke);
	return come_back(w, also, &broke, err) < 0 ? -1 : 1;
}

static int
ask_again(struct wire_op *op, struct wire *also, struct err *err)
{
	int rc = 1;

	while (op->error && is_lost(op) &&
	       (rc = wire_mend(op, also, err)) > 0) {
		send_pieces(op);
		if (wire_wait_for(op, also, err) < 0)
			return -1;
	}
	if (!op->error)
		op->wire->nlost = 0;
	return rc < 0 ? -1 : 0;
}

/* libnbd takes an answer for good that has a part of what was to be read, or
 * nothing of it. */
static int
check_whole(const struct wire_op *op, struct err *err)
{
	uint64_t wanted = op->end - op->at;

	if (op->verb != WIRE_READ || op->ngot == wanted)
		return 0;
	return err_set(err, ERR_RETRY,
		       "the %s '%s' was to read %llu bytes at byte %llu, and "
		       "answered with %llu of them",
		       op->wire->what, op->wire->uri,
		       (unsigned long long)wanted, (unsigned long long)op->at,
		       (unsigned long long)op->ngot);
}

int
wire_end(struct wire_op *op, struct wire *also, struct err *err)
{
	int rc = wire_wait_for(op, also, err);

	if (rc == 0)
		rc = ask_again(op, also, err);
	if (rc == 0 && op->error)
		rc = try_again(op, also, err);
	if (rc == 0)
		rc = op->error ? wire_say_failure(op, err)
			       : check_whole(op, err);
	if (op->npending == 0)
		op->wire = NULL;
	return rc;
}

int
wire_do(struct wire *w, enum wire_verb verb, void *data, uint64_t len,
	uint64_t at, struct err *err)
{
	struct wire_op op;

	wire_begin(w, &op, verb, data, len, at);
	if (wire_end(&op, NULL, err) == 0)
		return 0;
	/* what is still under way must not outlive its place on the stack */
	if (op.npending > 0)
		wire_close(w);
	return -1;
}
