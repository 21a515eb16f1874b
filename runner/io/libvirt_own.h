/* SPDX-License-Identifier: Apache-2.0 */
/* What libvirt.c and the files beside it share; nobody else includes it. */
#ifndef IO_LIBVIRT_OWN_H
#define IO_LIBVIRT_OWN_H

#include "base/err.h"

/* What libvirt said last, behind what was being done; always -1.  Nothing may
 * be asked of libvirt in between, not even a name: it would forget what it
 * said. */
int virt_err(struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
