/* SPDX-License-Identifier: Apache-2.0 */
/* Zeroes: finding them, and having a block of them at hand. */
#include "stages/copy/zero.h"

#include <string.h>

#include "stages/copy/ledger.h"

bool
zero_is(const void *data, size_t len)
{
	const uint8_t *p = data;

	/* once 16 bytes are known to be zero, the buffer compared with itself
	 * 16 bytes on says the same of the rest */
	for (size_t i = 0; i < 16; i++, p++) {
		if (i == len)
			return true;
		if (*p)
			return false;
	}
	return memcmp(data, p, len - 16) == 0;
}

const uint8_t *
zero_block(void)
{
	static uint8_t block[LEDGER_BLOCK_SIZE]; /* never written: costs none */

	return block;
}
