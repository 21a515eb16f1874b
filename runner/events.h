/* SPDX-License-Identifier: Apache-2.0 */
/* --events: each confirmed journal record for whoever watches.  A courtesy
 * beside the journals, which have them all: a reader that is slow, stopped or
 * gone costs records here and never the run a moment. */
#ifndef RUNNER_EVENTS_H
#define RUNNER_EVENTS_H

#include <stddef.h>

#include "base/err.h"

/* What is kept for a reader that is slow; beyond that whole records are
 * dropped, and {"type":"dropped","events":N} stands in their place. */
#define EVENTS_KEPT ((size_t)256 * 1024)

struct events;

/* A file, which is added to, a pipe, or "-" for standard output. */
int events_open(const char *where, struct events **ret, struct err *err);
/* One record of the vm's, without its end of line. */
void events_add(struct events *e, const char *vm, const char *line, size_t len);
void events_flush(struct events *e); /* what the reader takes now */
/* Gives the reader two more seconds and says on stderr what was dropped; NULL
 * is fine. */
void events_close(struct events *e);

#endif
