/* SPDX-License-Identifier: Apache-2.0 */
/* Kubernetes quantities, and sizes for people. */
#ifndef BASE_UNITS_H
#define BASE_UNITS_H

#include <stdint.h>

#define UNITS_TEXT_SIZE 32

/* "10Gi", "500M", "1.5Ti", "1e9", "4096": a whole number of bytes (fractions
 * round up, as Kubernetes does); 0 or -1. */
/* errno ERANGE: more than we count. */
int units_parse_quantity(const char *text, uint64_t *ret_bytes);

/* "1.5 GiB", "512 KiB", "17 B" */
const char *units_format_bytes(uint64_t bytes, char text[UNITS_TEXT_SIZE]);

#endif
