/* SPDX-License-Identifier: Apache-2.0 */
/* The journal: what already happened to one vm, on disk.
 *
 * A file of JSON objects, one a line, only ever appended to:
 *
 *   {"seq":7,"batch":6,"time":"...","type":"result",...,"sum":"<32 hex>"}
 *
 * `seq` counts from 1.  `batch` is the seq of the first record of the append
 * this one was written with; an append is synced before the next begins.
 * `sum` is the first half of the SHA-256 of the previous line's sum and of
 * this line up to its sum: a line proves all lines before it.
 *
 * Damage confined to the last batch is a torn tail: those records were never
 * confirmed to anybody, they are cut.  Damage anywhere else is an error with
 * its offset: we do not guess about machines that may already have moved.
 *
 * A journal that grew is compacted: another file of two records takes its
 * place, "open" with "compacted": true and "state" with all that the old
 * records amounted to.  Its `seq` goes on from theirs, its chain begins anew.
 * It was whole before it got its name, so no part of these two can be torn. */
#ifndef RUNNER_JOURNAL_H
#define RUNNER_JOURNAL_H

#include <jansson.h>
#include <stddef.h>

#include "base/err.h"
#include "events.h"

/* 1: never compacted.  A program refuses what is newer than it knows; what
 * only adds to records raises nothing, what older programs would read wrongly
 * does. */
#define JOURNAL_VERSION 2

/* No journal is longer: what would be is not written. */
#define JOURNAL_MAX ((size_t)256 * 1024 * 1024)

struct journal;

/* Called for each good record, oldest first; the record is borrowed. */
typedef int journal_visit_fn(void *arg, const json_t *record, struct err *err);

/* What reading one found. */
struct journal_report {
	size_t nrecords;
	size_t ncompacted; /* records that went into its first two, or 0 */
	size_t bytes;	   /* of good records */
	size_t torn;	   /* bytes of a torn tail behind them */
};

/* Opens or creates it, replays it and cuts a torn tail.  Only the holder of
 * the vm's lock may.  From then on `visit` also sees each record that
 * journal_sync has confirmed: what it folds is always what the disk holds. */
int journal_open(const char *path, journal_visit_fn *visit, void *arg,
		 struct journal **ret, struct err *err);
void journal_close(struct journal *j); /* NULL is fine */

/* Adds a record to the batch; takes the reference to `fields` (an object). */
void journal_add(struct journal *j, const char *type, json_t *fields);
/* Appends the batch and syncs: when this returns 0 a power cut keeps it.
 * After a failure every further call fails: what the file holds is unknown. */
int journal_sync(struct journal *j, struct err *err);

size_t journal_size(const struct journal *j); /* bytes confirmed */
/* Puts these two records in place of all there are, with nothing pending;
 * takes both references.  -1: the old ones are there still and it may go on,
 * or nobody knows, and then every further journal_sync fails. */
int journal_compact(struct journal *j, json_t *open, json_t *state,
		    struct err *err);

/* Also adds each confirmed record to the stream, with the vm's name; also those
 * that began a new journal. */
void journal_tee(struct journal *j, struct events *to, const char *vm);

/* Reads without changing anything; one that is not there is empty. */
int journal_read(const char *path, journal_visit_fn *visit, void *arg,
		 struct journal_report *ret, struct err *err);

#endif
