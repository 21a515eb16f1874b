/* SPDX-License-Identifier: Apache-2.0 */
/* JSON values as text in one canonical form. */
#ifndef MANIFESTS_CANONICAL_H
#define MANIFESTS_CANONICAL_H

#include <jansson.h>

#include "base/buf.h"

/* Keys sorted, no white space: equal values give equal text. */
void canonical_add(struct buf *b, const json_t *value);

#endif
