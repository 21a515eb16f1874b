/* SPDX-License-Identifier: Apache-2.0 */
/* Block devices as ends of a copy: which one it is, and what is on it. */
#ifndef COPY_DEVICE_H
#define COPY_DEVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "stages/copy/ledger.h"

struct copy_device {
	/* What stays the same when it is attached again, under whatever name,
	 * and when it was made larger: its serial number or the like; where it
	 * has none, what stays the same until it is detached.  For
	 * ledger_identity. */
	char id[LEDGER_ID_SIZE];
	uint64_t size;
	/* "ext4 'root', gpt"; NULL: nothing that anybody would recognise. */
	char *holds;
	/* the bytes at which that is told by */
	uint64_t *places;
	size_t nplaces;
	char accept[17]; /* stands for this device and what it holds */
};

/* Is it one? */
bool copy_device_is(const char *path);

/* Which device it is; `holds` is not asked. */
int copy_device_identify(const char *path, struct copy_device *ret,
			 struct err *err);
/* The same and what it holds, by libblkid's wipefs.  One that is in use is
 * ERR_FAIL. */
int copy_device_look(const char *path, struct copy_device *ret,
		     struct err *err);
/* Erases what it holds, so that whatever is recognised later came later: by
 * this copy, or by somebody else.  Synced. */
int copy_device_wipe(const char *path, struct err *err);
void copy_device_done(struct copy_device *d);

/* What it holds may be overwritten: nothing, or what `accept` (or NULL)
 * stands for; else ERR_NOT_READY, which says what to give for it. */
int copy_device_check_accepted(const char *path, const struct copy_device *d,
			       const char *accept, struct err *err);

#endif
