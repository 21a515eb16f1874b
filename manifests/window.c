/* SPDX-License-Identifier: Apache-2.0 */
/* When vms may be cut over: the times of a run policy's cutover.window. */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/zone.h"
#include "manifests/load.h"

#define DAY_MIN (24 * 60)
#define WEEK_MS (INT64_C(7) * DAY_MIN * 60 * 1000)

/* What was asked last: of a plan each vm asks the same. */
struct window_asked {
	bool asked, any;
	int64_t at_ms;
	struct window_span span;
};

/* --- reading ------------------------------------------------------------ */

struct place {
	struct reader *r;
	const struct run_policy *policy;
	size_t i;
};

static void
say_window(const struct place *p, const char *text)
{
	const struct cutover_time *t = &p->policy->cutover.window[p->i];
	CLEANUP(mem_freep)
	char *field = mem_printf("spec.cutover.window[%zu]", p->i);

	say(p->r, FINDING_ERROR, "FieldNotValid", &p->policy->o,
	    t->pos.file ? t->pos : p->policy->o.pos, field, "%s", text);
}

/* Is it written as a time that comes once? */
static bool
has_date(const char *text)
{
	return text && strlen(text) > 9 && text[4] == '-';
}

static void
finish_once(const struct place *p, struct cutover_time *t)
{
	if (!t->from || !t->to || !has_date(t->from) || !has_date(t->to)) {
		say_window(p, "must have both from and to as times that come "
			      "once, or both as times of day");
		return;
	}
	if (clock_parse(t->from, &t->from_ms) < 0 ||
	    clock_parse(t->to, &t->to_ms) < 0) {
		say_window(p, "has a time that is none: write "
			      "2026-12-24T22:00:00+01:00, with the offset");
		t->from_ms = t->to_ms = 0;
		return;
	}
	if (t->to_ms <= t->from_ms)
		say_window(p, "ends before it begins");
	if (t->ndays > 0)
		say_window(p, "comes once: remove days, or write from and to "
			      "as times of day");
	if (t->zone)
		say_window(p, "has its offset in from and to: remove "
			      "timeZone");
}

static void
finish_weekly(const struct place *p, struct cutover_time *t)
{
	t->on_days = days_of_week(t->days, t->ndays);
	t->from_min = t->from ? minutes_of_day(t->from) : 0;
	t->to_min = t->to ? minutes_of_day(t->to) : DAY_MIN;
	if (t->from_min < 0 || t->to_min < 0) {
		say_window(p, "has a time that is none: write \"22:00\", "
			      "quoted, from 00:00 to 24:00, or "
			      "2026-12-24T22:00:00+01:00");
		t->from_min = t->to_min = 0;
	} else if (t->from_min == t->to_min)
		say_window(p, "ends when it begins; for a whole day leave out "
			      "from and to");
	if (t->to_min < t->from_min)
		t->to_min += DAY_MIN;
	if (!zone_is_known(t->zone))
		say_window(p, "has a timeZone that is not known here: write a "
			      "name such as Europe/Berlin (and is tzdata "
			      "installed?), an offset such as +01:00, or UTC");
}

void
finish_window(struct reader *r, struct run_policy *policy)
{
	policy->cutover.asked =
	    arena_alloc(r->arena, sizeof(*policy->cutover.asked));
	for (size_t i = 0; i < policy->cutover.nwindow; i++) {
		struct cutover_time *t = &policy->cutover.window[i];
		struct place p = {r, policy, i};

		if (has_date(t->from) || has_date(t->to))
			finish_once(&p, t);
		else
			finish_weekly(&p, t);
	}
}

/* --- asking ------------------------------------------------------------- */

/* As it begins on the day that is `day` days after today. */
static struct window_span
on_day(const struct cutover_time *t, const struct tm *today, int day)
{
	int year = today->tm_year + 1900, month = today->tm_mon + 1;

	day += today->tm_mday;
	return (struct window_span){
	    zone_moment(t->zone, year, month, day, t->from_min),
	    zone_moment(t->zone, year, month, day, t->to_min)};
}

/* The first that has not ended at `wall_ms`. */
static struct window_span
next_of(const struct cutover_time *t, int64_t wall_ms)
{
	struct window_span none = {0}, once = {t->from_ms, t->to_ms};
	struct tm today;

	if (t->on_days == 0)
		return once.to_ms > wall_ms ? once : none;
	zone_show(t->zone, wall_ms, &today);
	/* one over midnight may have begun yesterday; what clocks are put
	 * forward over is not there that week */
	for (int day = -1; day < 16; day++) {
		struct window_span span;

		if (!(t->on_days & 1u << (today.tm_wday + 7 + day) % 7))
			continue;
		span = on_day(t, &today, day);
		if (span.to_ms > wall_ms && span.from_ms < span.to_ms)
			return span;
	}
	return none;
}

static bool
find_next(const struct run_policy *policy, int64_t wall_ms,
	  struct window_span *ret)
{
	*ret = (struct window_span){0};
	for (size_t i = 0; i < policy->cutover.nwindow; i++) {
		struct window_span span =
		    next_of(&policy->cutover.window[i], wall_ms);

		if (span.to_ms && (!ret->to_ms || span.from_ms < ret->from_ms))
			*ret = span;
	}
	return ret->to_ms != 0;
}

/* What meets it belongs to it; a week is as good as for ever. */
static void
join(const struct run_policy *policy, struct window_span *span)
{
	struct window_span other;

	while (span->to_ms - span->from_ms < WEEK_MS &&
	       find_next(policy, span->to_ms, &other) &&
	       other.from_ms <= span->to_ms)
		span->to_ms = other.to_ms;
	while (span->to_ms - span->from_ms < WEEK_MS &&
	       find_next(policy, span->from_ms - 1, &other) &&
	       other.from_ms < span->from_ms)
		span->from_ms = other.from_ms;
}

bool
run_policy_window(const struct run_policy *policy, int64_t wall_ms,
		  struct window_span *ret)
{
	struct window_asked *last = policy->cutover.asked;

	if (!last->asked || wall_ms < last->at_ms ||
	    (last->any && wall_ms >= last->span.to_ms)) {
		last->any = find_next(policy, wall_ms, &last->span);
		if (last->any)
			join(policy, &last->span);
		last->asked = true;
		last->at_ms = wall_ms;
	}
	*ret = last->span;
	return last->any;
}
