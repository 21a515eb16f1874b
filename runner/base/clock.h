/* SPDX-License-Identifier: Apache-2.0 */
/* Wall time for records, monotonic time for deadlines, and their text forms. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define CLOCK_TEXT_SIZE 32

int64_t clock_wall_ms(void);	 /* since 1970, UTC */
int64_t clock_mono_ms(void);	 /* since some fixed moment of this boot */
void clock_sleep_ms(int64_t ms); /* a signal ends it early */

/* RFC 3339 in UTC with milliseconds: 2026-11-20T12:31:00.000Z */
const char *clock_format(int64_t wall_ms, char text[CLOCK_TEXT_SIZE]);
/* RFC 3339 with Z or a numeric offset; 0 or -1. */
int clock_parse(const char *text, int64_t *ret_wall_ms);

/* "90s", "1h30m", "500ms" as Go's time.ParseDuration; 0 or -1. */
/* errno ERANGE: longer than that. */
#define CLOCK_DURATION_MAX_H 2500000000
int clock_parse_duration(const char *text, int64_t *ret_ms);
/* For people: "350 ms", "4.2 s", "3 min 10 s", "2 h 5 min". */
const char *clock_format_duration(int64_t ms, char text[CLOCK_TEXT_SIZE]);

/* The kernel's id of this boot (36 characters), "" where there is none. */
const char *clock_boot_id(void);

#endif
