/* SPDX-License-Identifier: Apache-2.0 */
/* One NBD connection, with the server's limits kept for the caller: requests
 * are cut and padded as it wants, tried again a few times, and never waited
 * for without end. */
#ifndef COPY_WIRE_H
#define COPY_WIRE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define WIRE_WAIT_MS (30 * 60 * 1000) /* for a server that says nothing */

struct nbd_server; /* io/nbd.h */

/* How long the caller waits.  Borrowed by the connection. */
struct wire_patience {
	int64_t wait_ms; /* for a sign of life; 0: WIRE_WAIT_MS */
	/* When clock_mono_ms() has passed it, every wait ends with
	 * ERR_CANCELLED; 0: not yet.  Another thread may set it. */
	_Atomic int64_t until_ms;
};

struct wire {
	struct nbd_handle *nbd; /* of one thread at a time */
	const char *what;	/* "source", "target" */
	const char *uri;
	const struct wire_patience *patience;
	uint64_t size;	   /* of the export */
	uint32_t align;	   /* of every request; divides a block */
	uint32_t piece;	   /* largest request */
	int64_t moved_ms;  /* when bytes last went either way */
	int64_t ended_ms;  /* when a request was last answered */
	unsigned npending; /* requests on their way */
	int ntries;	   /* of one that fails; 0: as many as are worth it */
	/* Only reads: a connection that breaks is made again, and what it was
	 * asked for is asked for again. */
	bool comes_back;
	/* But not when that is known to have ended; NULL: it never is. */
	const struct nbd_server *server;
	/* Asked, when it did, before anything else is: does this one have what
	 * the other had?  NULL: whoever reads will see. */
	int (*is_same)(void *arg, struct err *err);
	void *arg;
	unsigned nmade; /* so often was it made again, */
	unsigned nlost; /* since it last gave an answer so often */
	bool has_extents, can_zero, can_flush, can_multi_conn, is_read_only;
};

/* `uri`, `what` and `patience` must outlive the connection.  Zero-initialise;
 * whoever only reads then sets comes_back. */
int wire_open(struct wire *w, const char *uri, const char *what,
	      const struct wire_patience *patience, struct err *err);
void wire_close(struct wire *w);
/* A further connection to what `first` has: one that can be done without, so
 * that a server is not waited for long.  One that sees another disk, as far as
 * that can be told, is not opened. */
int wire_open_more(struct wire *w, const struct wire *first, struct err *err);

enum wire_verb {
	WIRE_READ,
	WIRE_WRITE,
	WIRE_ZERO, /* sure to read back as zeroes */
	WIRE_FLUSH,
};

/* A request that is under way: it and its data belong to the wire from
 * wire_begin to wire_end, or until the wire is closed. */
struct wire_op {
	struct wire *wire; /* NULL: none is under way */
	enum wire_verb verb;
	uint8_t *data;
	uint64_t at, end;
	unsigned npending; /* pieces the server has not answered */
	unsigned nmade;	   /* the wire's, when it was sent */
	uint64_t ngot;	   /* bytes of a read that came */
	int error;	   /* errno of the first that failed */
};

/* A buffer is a whole block in size, whatever `len`: alignment may add to the
 * end of a short one.  What it adds is written, too: the caller has it zeroed.
 */
void wire_begin(struct wire *w, struct wire_op *op, enum wire_verb verb,
		void *data, uint64_t len, uint64_t at);
/* Waits for it; what `also` (or NULL) has under way is kept moving meanwhile.
 * A server that sends or takes bytes and answers no request for ten times the
 * patience is ERR_RETRY, as one is that does nothing.
 * Failures to read are ERR_RETRY, all others as errno says. */
int wire_end(struct wire_op *op, struct wire *also, struct err *err);
/* Of a read, through a wire or not, that failed: was the disk asked, and cannot
 * give what it has there?  Then others can be asked for. */
bool wire_is_unreadable(const struct err *err);
/* Keeps the requests of both moving without waiting. */
void wire_move(struct wire *w, struct wire *also);

/* Both in one. */
int wire_do(struct wire *w, enum wire_verb verb, void *data, uint64_t len,
	    uint64_t at, struct err *err);

/* Makes the connection anew, as if it had broken: is_same is asked. */
int wire_renew(struct wire *w, struct err *err);

/* Which blocks the server says read as zeroes: is_zero[i] for block
 * first + i.  A server that says nothing about it has none, nor are there any
 * past its end. */
int wire_zero_blocks(struct wire *w, uint64_t first, size_t n, bool *is_zero,
		     struct err *err);

#endif
