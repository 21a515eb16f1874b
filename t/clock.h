/* SPDX-License-Identifier: Apache-2.0 */
/* A clock that nothing moves but sleeping: clock_gettime and clock_nanosleep of
 * a program that clock.c is linked into, or that has it preloaded as clock.so.
 *
 * Preloaded, the time is in the file that CLOCK_FILE names, for a program and
 * its children together: 8 bytes, ms since 1970.  CLOCK_AT sets it forward as
 * the program begins.  Without CLOCK_FILE it is the program's own. */
#ifndef T_CLOCK_H
#define T_CLOCK_H

#include <stdint.h>

int64_t clock_virtual_ms(void);
void clock_virtual_set(int64_t ms);

#endif
