/* SPDX-License-Identifier: Apache-2.0 */
/* How fast a run may move bytes, by the time of day. */
#include <ctype.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "manifests/load.h"

#define DAY_MIN (24 * 60)
#define ALL_DAYS 0x7fu
/* A block is moved at a time, and what moves must be seen to. */
#define LEAST_BYTES (64 * 1024)

/* --- reading ------------------------------------------------------------ */

static void
say_bandwidth(struct reader *r, const struct run_policy *policy, struct pos pos,
	      const char *field, const char *text)
{
	say(r, FINDING_ERROR, "FieldNotValid", &policy->o,
	    pos.file ? pos : policy->o.pos, field, "%s", text);
}

int
minutes_of_day(const char *text)
{
	int hour, minute;

	if (strlen(text) != 5 || !isdigit((unsigned char)text[0]) ||
	    !isdigit((unsigned char)text[1]) || text[2] != ':' ||
	    !isdigit((unsigned char)text[3]) ||
	    !isdigit((unsigned char)text[4]))
		return -1;
	hour = (text[0] - '0') * 10 + text[1] - '0';
	minute = (text[3] - '0') * 10 + text[4] - '0';
	if (minute > 59 || hour * 60 + minute > DAY_MIN)
		return -1;
	return hour * 60 + minute;
}

static void
check_rate(struct reader *r, const struct run_policy *policy, struct pos pos,
	   const char *field, const json_t *written, uint64_t bytes)
{
	if (written && !json_is_null(written) && bytes < LEAST_BYTES)
		say_bandwidth(r, policy, pos, field,
			      "must be at least 64Ki a second; without it "
			      "there is no limit");
}

unsigned
days_of_week(const char *const *written, size_t n)
{
	static const char *const names[] = {"sun", "mon", "tue", "wed",
					    "thu", "fri", "sat"};
	unsigned days = 0;

	for (size_t i = 0; i < n; i++)
		for (unsigned day = 0; written[i] && day < 7; day++)
			if (strcmp(written[i], names[day]) == 0)
				days |= 1u << day;
	return days ? days : ALL_DAYS;
}

static void
finish_time(struct reader *r, struct run_policy *policy, size_t i,
	    const json_t *written)
{
	struct bandwidth_time *t = &policy->limits.bandwidth_by_time[i];
	CLEANUP(mem_freep)
	char *field = mem_printf("spec.limits.bandwidthByTime[%zu]", i);

	t->on_days = days_of_week(t->days, t->ndays);
	t->from_min = t->from ? minutes_of_day(t->from) : 0;
	t->to_min = t->to ? minutes_of_day(t->to) : DAY_MIN;
	if (t->from_min < 0 || t->to_min < 0)
		say_bandwidth(r, policy, t->pos, field,
			      "has a time that is none: write \"08:00\", "
			      "quoted, from 00:00 to 24:00");
	else if (t->from_min == t->to_min)
		say_bandwidth(r, policy, t->pos, field,
			      "ends when it begins; for a whole day leave out "
			      "from and to");
	if (!json_object_get(written, "bandwidth") &&
	    !json_object_get(written, "bandwidthPerEndpoint"))
		say_bandwidth(r, policy, t->pos, field,
			      "changes nothing: it needs bandwidth or "
			      "bandwidthPerEndpoint");
	check_rate(r, policy, t->pos, field,
		   json_object_get(written, "bandwidth"), t->bandwidth);
	check_rate(r, policy, t->pos, field,
		   json_object_get(written, "bandwidthPerEndpoint"),
		   t->per_endpoint);
	if (t->to_min < t->from_min)
		t->to_min += DAY_MIN;
}

void
finish_bandwidth(struct reader *r, struct run_policy *policy)
{
	const json_t *limits = json_object_get(policy->o.spec, "limits");
	const json_t *times = json_object_get(limits, "bandwidthByTime");
	struct pos none = {0};

	check_rate(r, policy, none, "spec.limits.bandwidth",
		   json_object_get(limits, "bandwidth"),
		   policy->limits.bandwidth);
	check_rate(r, policy, none, "spec.limits.bandwidthPerEndpoint",
		   json_object_get(limits, "bandwidthPerEndpoint"),
		   policy->limits.bandwidth_per_endpoint);
	for (size_t i = 0; i < policy->limits.nbandwidth_by_time; i++)
		finish_time(r, policy, i, json_array_get(times, i));
}

/* --- asking ------------------------------------------------------------- */

/* An entry that reaches over midnight may have begun yesterday. */
static bool
fits(const struct bandwidth_time *t, const struct tm *now)
{
	int minute = now->tm_hour * 60 + now->tm_min;
	unsigned today = 1u << now->tm_wday;
	unsigned yesterday = 1u << (now->tm_wday + 6) % 7;

	if (t->on_days & today && minute >= t->from_min && minute < t->to_min)
		return true;
	return t->on_days & yesterday && minute + DAY_MIN < t->to_min;
}

/* A clock that jumps, or is set, only chooses another entry. */
static const struct bandwidth_time *
entry_at(const struct run_policy *policy, int64_t wall_ms)
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm now;

	if (policy->limits.nbandwidth_by_time == 0 ||
	    !localtime_r(&seconds, &now))
		return NULL;
	for (size_t i = 0; i < policy->limits.nbandwidth_by_time; i++)
		if (fits(&policy->limits.bandwidth_by_time[i], &now))
			return &policy->limits.bandwidth_by_time[i];
	return NULL;
}

bool
run_policy_limits_bandwidth(const struct run_policy *policy)
{
	return policy->limits.bandwidth ||
	       policy->limits.bandwidth_per_endpoint ||
	       policy->limits.nbandwidth_by_time;
}

uint64_t
run_policy_bandwidth(const struct run_policy *policy, int64_t wall_ms)
{
	const struct bandwidth_time *t = entry_at(policy, wall_ms);

	return t && t->bandwidth ? t->bandwidth : policy->limits.bandwidth;
}

uint64_t
run_policy_bandwidth_per_endpoint(const struct run_policy *policy,
				  int64_t wall_ms)
{
	const struct bandwidth_time *t = entry_at(policy, wall_ms);

	return t && t->per_endpoint ? t->per_endpoint
				    : policy->limits.bandwidth_per_endpoint;
}
