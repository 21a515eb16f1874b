/* SPDX-License-Identifier: Apache-2.0 */
/* The C library's zones, one after the other. */
#include "base/zone.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define DAY_S ((time_t)24 * 3600)

/* "UTC", "+01:00". */
static bool
is_offset(const char *zone, long *ret_s)
{
	int hours, minutes, used = 0;

	*ret_s = 0;
	if (strcmp(zone, "UTC") == 0 || strcmp(zone, "Z") == 0)
		return true;
	if ((zone[0] != '+' && zone[0] != '-') || strlen(zone) != 6 ||
	    !isdigit((unsigned char)zone[1]) ||
	    !isdigit((unsigned char)zone[4]) ||
	    sscanf(zone + 1, "%2d:%2d%n", &hours, &minutes, &used) != 2 ||
	    used != 5 || hours > 14 || minutes > 59)
		return false;
	*ret_s = (hours * 60L + minutes) * 60 * (zone[0] == '-' ? -1 : 1);
	return true;
}

bool
zone_is_known(const char *zone)
{
	const char *dir = getenv("TZDIR");
	CLEANUP(mem_freep) char *path = NULL;
	char magic[4];
	bool known;
	long offset;
	FILE *f;

	if (!zone || is_offset(zone, &offset))
		return true;
	if (!isalpha((unsigned char)zone[0]) || strstr(zone, ".."))
		return false;
	path = mem_printf("%s/%s", dir ? dir : "/usr/share/zoneinfo", zone);
	f = fopen(path, "re");
	known = f && fread(magic, 1, 4, f) == 4 && !memcmp(magic, "TZif", 4);
	if (f)
		fclose(f);
	return known;
}

/* The process's own zone until it is put back; NULL: there is nothing to. */
static void
enter(const char *zone, char **ret_own, bool *ret_has)
{
	CLEANUP(mem_freep) char *name = mem_printf(":%s", zone);
	const char *own = getenv("TZ");

	*ret_has = own != NULL;
	*ret_own = mem_strdup(own ? own : "");
	setenv("TZ", name, 1);
	tzset();
}

static void
leave(char *own, bool had)
{
	if (had)
		setenv("TZ", own, 1);
	else
		unsetenv("TZ");
	tzset();
	free(own);
}

static void
show(const char *zone, time_t at, struct tm *ret)
{
	char *own = NULL;
	bool had;
	long offset;

	if (zone && is_offset(zone, &offset)) {
		at += offset;
		gmtime_r(&at, ret);
		ret->tm_gmtoff = offset;
		return;
	}
	if (zone)
		enter(zone, &own, &had);
	localtime_r(&at, ret);
	if (zone)
		leave(own, had);
}

void
zone_show(const char *zone, int64_t wall_ms, struct tm *ret)
{
	show(zone, (time_t)(wall_ms / 1000), ret);
}

/* So much are clocks there ahead of UTC. */
static time_t
ahead(const char *zone, time_t at)
{
	struct tm tm;

	show(zone, at, &tm);
	return (time_t)tm.tm_gmtoff;
}

/* From `before` on, when clocks have not been put forward yet, to `after`. */
static time_t
find_change(const char *zone, time_t before, time_t after)
{
	time_t then = ahead(zone, after);

	while (after - before > 1) {
		time_t middle = before + (after - before) / 2;

		if (ahead(zone, middle) == then)
			after = middle;
		else
			before = middle;
	}
	return after;
}

int64_t
zone_moment(const char *zone, int year, int month, int day, int minutes)
{
	struct tm shown = {.tm_year = year - 1900,
			   .tm_mon = month - 1,
			   .tm_mday = day,
			   .tm_min = minutes};
	time_t utc = timegm(&shown), first, second;
	time_t before = ahead(zone, utc - DAY_S);
	time_t after = ahead(zone, utc + DAY_S);

	first = utc - (before > after ? before : after);
	second = utc - (before > after ? after : before);
	if (ahead(zone, first) == utc - first)
		return (int64_t)first * 1000;
	if (ahead(zone, second) == utc - second)
		return (int64_t)second * 1000;
	return (int64_t)find_change(zone, first, second) * 1000;
}
