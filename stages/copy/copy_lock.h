/* SPDX-License-Identifier: Apache-2.0 */
/* One writer at a time for a file that is copied to. */
#ifndef COPY_LOCK_H
#define COPY_LOCK_H

#include <stdbool.h>

#include "base/err.h"

/* Locks the file that `fd`, opened to read and write, is of, until the last
 * descriptor of that open file is closed, as by any end of the process.  Held
 * by another, or open in QEMU: ERR_HELD, after a moment for one that is just
 * ending.
 *
 * `is_ours`: we write to it ourselves, and QEMU is told so in its own way; else
 * a QEMU that we start will do that. */
int copy_lock(int fd, const char *path, bool is_ours, struct err *err);

/* Is this file open in a QEMU of anybody's, to write to it or to read what must
 * not change?  `fd` may be open to read only. */
bool copy_lock_is_in_qemu(int fd);

/* Is the name still that of this open file? */
bool copy_lock_is_of(int fd, const char *path);

#endif
