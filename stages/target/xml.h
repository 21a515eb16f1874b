/* SPDX-License-Identifier: Apache-2.0 */
/* Writing XML by hand, safely. */
#ifndef TARGET_XML_H
#define TARGET_XML_H

#include "base/buf.h"

/* Like buf_printf, but every %s (and only %s, %u, %zu and %llu are known) is
 * escaped for text and attributes; characters XML cannot carry become '?'. */
void xml_printf(struct buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
