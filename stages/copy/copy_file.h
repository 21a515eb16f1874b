/* SPDX-License-Identifier: Apache-2.0 */
/* Disk images we make to copy to, and how they are known again. */
#ifndef COPY_FILE_H
#define COPY_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "stages/copy/ledger.h"

struct copy_file {
	/* For ledger_identity.target: a random id, kept beside the file in
	 * "PATH.id". */
	char id[LEDGER_ID_SIZE];
	/* Made by this very call, so that it reads as zeroes: what
	 * ledger_identity.target_is_blank asks. */
	bool is_new;
	int lock; /* -1, or it is held: see copy_lock.h */
};

/* Makes the image `path` of `size` bytes, sparse, whole and synced, or finds
 * the one made earlier, and locks it until copy_file_done: one that another
 * copy writes to, or that QEMU has open, is ERR_HELD.  A file that is there but
 * was not made here is ERR_FAIL: nobody's data is overwritten by a wrong name.
 * So is a raw one of another size; of a qcow2 the caller asks its server.
 * `format` is "raw" or "qcow2". */
int copy_file_make(const char *path, const char *format, uint64_t size,
		   struct copy_file *ret, struct err *err);
void copy_file_done(struct copy_file *file);
int copy_file_check_size(const char *path, uint64_t has, uint64_t wanted,
			 struct err *err);
/* Makes the image that a ledger is of as long as `size`, if it is as long as
 * that ledger; what is new reads as zeroes. */
int copy_file_grow(const char *path, const char *format,
		   const struct ledger_identity *was, uint64_t size,
		   struct err *err);
/* Gives the image another id: no ledger made so far vouches for it. */
int copy_file_renew(const char *path, struct copy_file *file, struct err *err);
/* Removes the image and its id; fine when there is none. */
int copy_file_remove(const char *path, struct err *err);

#endif
