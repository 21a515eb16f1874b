/* SPDX-License-Identifier: Apache-2.0 */
/* Making, locking and first reading of a ledger's file. */
#ifndef COPY_LEDGER_FILE_H
#define COPY_LEDGER_FILE_H

#include <sys/types.h>

#include "stages/copy/ledger_format.h"

/* Makes the file whole, synced and locked; *ret_fd is the caller's. */
int ledger_file_create(const char *path, const struct ledger_identity *id,
		       int *ret_fd, struct err *err);
/* Gives the file room for `npages` pages of entries, those from `from` on of
 * unknown blocks; not synced. */
int ledger_file_extend(int fd, const struct format_header *h, uint64_t from,
		       uint64_t npages, struct err *err);
/* One writer at a time: another is ERR_HELD. */
int ledger_file_lock(int fd, const char *path, struct err *err);
/* The header that holds. */
int ledger_file_header(int fd, const char *path, struct format_header *ret,
		       struct err *err);
/* Is it bound to what is wanted?  To anything else is ERR_FAIL. */
int ledger_file_check(const char *path, const struct ledger_identity *has,
		      const struct ledger_identity *want, struct err *err);
/* Does it still have that name, and at least that size? */
int ledger_file_still(int fd, const char *path, off_t size, struct err *err);

#endif
