/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C (Castagnoli), which finds every torn or bent ledger page. */
#ifndef COPY_CRC32C_H
#define COPY_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues from `crc`; begin with 0. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

#endif
