/* SPDX-License-Identifier: Apache-2.0 */
/* Zeroes: finding them, and having a block of them at hand. */
#ifndef COPY_ZERO_H
#define COPY_ZERO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool zero_is(const void *data, size_t len);
const uint8_t *zero_block(void); /* LEDGER_BLOCK_SIZE of them */

#endif
