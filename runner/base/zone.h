/* SPDX-License-Identifier: Apache-2.0 */
/* What clocks show elsewhere.  A zone is NULL (that of the process: TZ), "UTC",
 * an offset ("+01:00"), or a name of the machine's zone data base
 * ("Europe/Berlin").
 *
 * Only for processes of one thread: the C library knows one zone at a time. */
#ifndef BASE_ZONE_H
#define BASE_ZONE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

bool zone_is_known(const char *zone);
/* The day and time that clocks there show. */
void zone_show(const char *zone, int64_t wall_ms, struct tm *ret);
/* When clocks there show so many minutes after the midnight of that day, which
 * may be more than a day has, and a day more than its month has.  Where they do
 * so twice: the first time; where they are put forward over it: when they
 * are. */
int64_t zone_moment(const char *zone, int year, int month, int day,
		    int minutes);

#endif
