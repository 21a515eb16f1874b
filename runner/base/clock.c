/* SPDX-License-Identifier: Apache-2.0 */
/* Time, read and written. */
#include "base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

static int64_t
clock_ms(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t
clock_wall_ms(void)
{
	return clock_ms(CLOCK_REALTIME);
}

int64_t
clock_mono_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

void
clock_sleep_ms(int64_t ms)
{
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000};

	clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
}

const char *
clock_format(int64_t wall_ms, char text[CLOCK_TEXT_SIZE])
{
	time_t seconds = (time_t)(wall_ms / 1000);
	char date[24];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, CLOCK_TEXT_SIZE, "%s.%03dZ", date,
		 (int)(wall_ms % 1000));
	return text;
}

static int
parse_offset(const char *text, int *ret_minutes)
{
	int hours, minutes, used = 0;

	if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0) {
		*ret_minutes = 0;
		return 0;
	}
	if ((text[0] != '+' && text[0] != '-') ||
	    sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &used) != 2 ||
	    used != 5 || text[6] != '\0' || hours > 23 || minutes > 59)
		return -1;
	*ret_minutes = (hours * 60 + minutes) * (text[0] == '-' ? -1 : 1);
	return 0;
}

int
clock_parse(const char *text, int64_t *ret_wall_ms)
{
	int offset, ms = 0, used = 0, scale = 100;
	struct tm tm = {0}, back;
	time_t seconds;

	if (sscanf(text, "%4d-%2d-%2d%*1[Tt ]%2d:%2d:%2d%n", &tm.tm_year,
		   &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec,
		   &used) != 6 ||
	    used != 19)
		return -1;
	text += used;
	if (*text == '.') {
		if (!isdigit((unsigned char)*++text))
			return -1;
		for (; isdigit((unsigned char)*text); text++, scale /= 10)
			ms += (*text - '0') * scale;
	}
	if (parse_offset(text, &offset) < 0)
		return -1;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	back = tm;
	seconds = timegm(&back);
	/* timegm mends 31 February; a manifest that says so is wrong */
	if (back.tm_mday != tm.tm_mday || back.tm_mon != tm.tm_mon ||
	    back.tm_hour != tm.tm_hour || back.tm_min != tm.tm_min)
		return -1;
	*ret_wall_ms = ((int64_t)seconds - offset * 60) * 1000 + ms;
	return 0;
}

static int
unit_ms(const char **text, double *ret)
{
	static const struct {
		const char *name;
		double ms;
	} units[] = {{"ms", 1},	  {"us", 0.001}, {"ns", 0.000001},
		     {"s", 1000}, {"m", 60000},	 {"h", 3600000}};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		size_t len = strlen(units[i].name);

		if (strncmp(*text, units[i].name, len) == 0) {
			*text += len;
			*ret = units[i].ms;
			return 0;
		}
	}
	return -1;
}

int
clock_parse_duration(const char *text, int64_t *ret_ms)
{
	double total = 0, number, unit;
	char *end;

	errno = EINVAL;
	if (strcmp(text, "0") == 0) {
		*ret_ms = 0;
		return 0;
	}
	if (!*text)
		return -1;
	while (*text) {
		if (!isdigit((unsigned char)*text) && *text != '.')
			return -1;
		if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
			return -1;
		number = strtod(text, &end);
		if (end == text)
			return -1;
		text = end;
		if (unit_ms(&text, &unit) < 0)
			return -1;
		total += number * unit;
	}
	if (!(total <= CLOCK_DURATION_MAX_H * 3600e3)) {
		errno = ERANGE;
		return -1;
	}
	*ret_ms = llround(total);
	return 0;
}

const char *
clock_format_duration(int64_t ms, char text[CLOCK_TEXT_SIZE])
{
	long long seconds = ms / 1000;

	if (ms < 1000)
		snprintf(text, CLOCK_TEXT_SIZE, "%lld ms", (long long)ms);
	else if (seconds < 60)
		snprintf(text, CLOCK_TEXT_SIZE, "%.1f s", (double)ms / 1000);
	else if (seconds < 3600)
		snprintf(text, CLOCK_TEXT_SIZE, "%lld min %lld s", seconds / 60,
			 seconds % 60);
	else
		snprintf(text, CLOCK_TEXT_SIZE, "%lld h %lld min",
			 seconds / 3600, seconds / 60 % 60);
	return text;
}

const char *
clock_boot_id(void)
{
	static char id[64];
	FILE *f;

	if (id[0])
		return id;
	f = fopen("/proc/sys/kernel/random/boot_id", "re");
	if (!f)
		return "";
	if (!fgets(id, sizeof(id), f))
		id[0] = '\0';
	fclose(f);
	id[strcspn(id, "\n")] = '\0';
	return id;
}
