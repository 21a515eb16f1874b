/* SPDX-License-Identifier: Apache-2.0 */
/* One NBD connection, with the server's limits kept for the caller: requests
 * of any length are cut and padded as it wants. */
#ifndef COPY_WIRE_H
#define COPY_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct wire {
	struct nbd_handle *nbd; /* may be used by two threads in turn */
	const char *what;	/* "source", "target" */
	uint64_t size;		/* of the export */
	uint32_t align;		/* of every request; divides a block */
	uint32_t piece;		/* largest request */
	bool has_extents, can_zero, can_flush, can_multi_conn, is_read_only;
};

/* `what` must outlive the connection.  Zero-initialise. */
int wire_open(struct wire *w, const char *uri, const char *what,
	      struct err *err);
void wire_close(struct wire *w);

/* A buffer is a whole block in size, whatever `len`: alignment may add to the
 * end of a short one.  Failures to read are ERR_RETRY, to write as errno
 * says. */
int wire_read(struct wire *w, void *data, size_t len, uint64_t at,
	      struct err *err);
/* What alignment adds is written, too: the caller has it zeroed. */
int wire_write(struct wire *w, const void *data, size_t len, uint64_t at,
	       struct err *err);
/* Zeroes that are sure to read back as such; EOPNOTSUPP in err->sys when the
 * server will not and they must be written. */
int wire_zero(struct wire *w, uint64_t len, uint64_t at, struct err *err);
int wire_flush(struct wire *w, struct err *err);

/* Which blocks the server says read as zeroes: is_zero[i] for block
 * first + i.  A server that says nothing about it has none. */
int wire_zero_blocks(struct wire *w, uint64_t first, size_t n, bool *is_zero,
		     struct err *err);

#endif
