/* SPDX-License-Identifier: Apache-2.0 */
/* What libvirt.c and libvirt_backup.c share; nobody else includes it. */
#ifndef IO_LIBVIRT_OWN_H
#define IO_LIBVIRT_OWN_H

#include "base/err.h"

/* What libvirt said last, behind what was being done; always -1. */
int virt_err(struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
