/* SPDX-License-Identifier: Apache-2.0 */
/* The windows in which vms may be cut over: as written, over midnight, in other
 * zones, where clocks change, one after another. */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/zone.h"
#include "t/unit/manifest.h"

#define POLICY(window)                         \
	"apiVersion: palletjack.io/v1alpha1\n" \
	"kind: RunPolicy\n"                    \
	"metadata: {name: x}\n"                \
	"spec:\n"                              \
	"  cutover:\n"                         \
	"    window:\n" window

static struct reading r;

static const struct run_policy *
policy_of(const char *text)
{
	reading_done(&r);
	read_text(&r, text, false);
	return (const struct run_policy *)r.m->objects[0];
}

/* "Fri 21:00 - Sat 03:00" in UTC, with the day of the month. */
static const char *
window_at(const struct run_policy *p, const char *utc)
{
	static char text[120];
	struct window_span span;
	struct tm from, to;
	char opens[40], closes[40];
	int64_t now;

	if (clock_parse(utc, &now) < 0)
		return "no time";
	if (!run_policy_window(p, now, &span))
		return "none";
	zone_show("UTC", span.from_ms, &from);
	zone_show("UTC", span.to_ms, &to);
	strftime(opens, sizeof(opens), "%d %H:%M", &from);
	strftime(closes, sizeof(closes), "%d %H:%M", &to);
	snprintf(text, sizeof(text), "%s %s - %s",
		 now < span.from_ms ? "at" : "in", opens, closes);
	return text;
}

#define at(utc, want, name) is_str(window_at(p, utc), want, name)

/* 2026-11-02 is a Monday. */
static void
test_days(void)
{
	const struct run_policy *p =
	    policy_of(POLICY("    - {days: [fri, sat], from: '22:00', to: "
			     "'04:00', timeZone: UTC}\n"));

	is_str(r.text.data, "", "without findings");
	is_int((long long)p->cutover.nwindow, 1, "one is written");
	at("2026-11-02T12:00:00Z", "at 06 22:00 - 07 04:00", "before it");
	at("2026-11-06T21:59:59Z", "at 06 22:00 - 07 04:00", "just before");
	at("2026-11-06T22:00:00Z", "in 06 22:00 - 07 04:00", "it opens");
	at("2026-11-07T00:00:00Z", "in 06 22:00 - 07 04:00", "at midnight");
	at("2026-11-07T03:59:59Z", "in 06 22:00 - 07 04:00", "its last second");
	at("2026-11-07T04:00:00Z", "at 07 22:00 - 08 04:00", "it is over");
	at("2026-11-08T03:00:00Z", "in 07 22:00 - 08 04:00",
	   "on a day that it does not begin on");
	at("2026-11-08T04:00:00Z", "at 13 22:00 - 14 04:00", "a week later");
	at("2026-11-06T21:59:00Z", "at 06 22:00 - 07 04:00",
	   "asked of an earlier moment");
	p = policy_of(POLICY("    - {days: [wed], timeZone: UTC}\n"));
	at("2026-11-02T12:00:00Z", "at 04 00:00 - 05 00:00", "a whole day");
	p = policy_of(POLICY("    - {from: '08:00', timeZone: UTC}\n"));
	at("2026-11-30T12:00:00Z", "in 30 08:00 - 01 00:00",
	   "up to midnight, in another month");
	at("2026-12-31T07:00:00Z", "at 31 08:00 - 01 00:00", "and year");
}

static void
test_several(void)
{
	const struct run_policy *p = policy_of(
	    POLICY("    - {from: '12:00', to: '13:00', timeZone: UTC}\n"
		   "    - {from: '22:00', to: '24:00', timeZone: UTC}\n"
		   "    - {from: '00:00', to: '01:30', timeZone: UTC}\n"
		   "    - {from: '00:30', to: '01:00', timeZone: UTC}\n"
		   "    - {from: 2026-11-05T15:00:00+01:00, to: "
		   "2026-11-05T15:30:00+01:00}\n"));

	is_str(r.text.data, "", "without findings");
	at("2026-11-02T11:00:00Z", "at 02 12:00 - 02 13:00", "the nearest");
	at("2026-11-02T13:00:00Z", "at 02 22:00 - 03 01:30",
	   "those that meet are one");
	at("2026-11-03T00:45:00Z", "in 02 22:00 - 03 01:30",
	   "and those that overlap");
	at("2026-11-05T13:30:00Z", "at 05 14:00 - 05 14:30",
	   "one that comes once");
	at("2026-11-05T14:30:00Z", "at 05 22:00 - 06 01:30", "and no more");
	p = policy_of(POLICY("    - {timeZone: UTC}\n"));
	at("2026-11-02T11:00:00Z", "in 02 00:00 - 09 00:00",
	   "at all times: a week is as good as for ever");
	p = policy_of(POLICY("    - {from: '2026-11-05T22:00:00Z', to: "
			     "'2026-11-06T04:00:00Z'}\n"));
	at("2026-11-06T03:59:59Z", "in 05 22:00 - 06 04:00", "the last one");
	at("2026-11-06T04:00:00Z", "none", "then none is left");
	at("2026-11-05T21:00:00Z", "at 05 22:00 - 06 04:00",
	   "unless the clock is set back");
}

/* In central Europe clocks are put forward on 2026-03-29 at 01:00 UTC, from
 * 02:00 to 03:00, and back on 2026-10-25 at 01:00 UTC, from 03:00 to 02:00. */
static void
test_seasons(const char *zone)
{
	CLEANUP(mem_freep)
	char *night =
	    mem_printf(POLICY("    - {from: '22:00', to: '04:00'%s}\n"), zone);
	CLEANUP(mem_freep)
	char *gap = mem_printf(POLICY("    - {days: [sun], from: '02:00', to: "
				      "'02:45'%s}\n"),
			       zone);
	CLEANUP(mem_freep)
	char *twice = mem_printf(
	    POLICY("    - {days: [sun], from: '02:30', to: '03:30'%s}\n"),
	    zone);
	const struct run_policy *p = policy_of(night);

	is_str(r.text.data, "", "without findings");
	at("2026-01-10T12:00:00Z", "at 10 21:00 - 11 03:00", "in winter");
	at("2026-07-10T12:00:00Z", "at 10 20:00 - 11 02:00", "in summer");
	at("2026-03-28T12:00:00Z", "at 28 21:00 - 29 02:00",
	   "an hour less when they are put forward");
	at("2026-10-24T12:00:00Z", "at 24 20:00 - 25 03:00",
	   "an hour more when they are put back");
	p = policy_of(twice);
	at("2026-03-23T12:00:00Z", "at 29 01:00 - 29 01:30",
	   "begins when clocks are put forward over its beginning");
	at("2026-10-24T12:00:00Z", "at 25 00:30 - 25 02:30",
	   "begins the first time that they show it");
	p = policy_of(gap);
	at("2026-03-23T12:00:00Z", "at 05 00:00 - 05 00:45",
	   "what clocks do not show is not there that week");
	at("2026-10-24T12:00:00Z", "at 25 00:00 - 25 00:45",
	   "what they show twice is there once");
	at("2026-10-25T00:50:00Z", "at 01 01:00 - 01 01:45",
	   "and not a second time");
}

static void
test_zones(void)
{
	const struct run_policy *p = policy_of(
	    POLICY("    - {days: [mon], from: '23:30', to: '00:30', timeZone: "
		   "'+13:00'}\n"));

	at("2026-11-01T00:00:00Z", "at 02 10:30 - 02 11:30",
	   "an offset: its days are those there");
	p = policy_of(POLICY("    - {days: [mon], from: '20:00', to: '21:00', "
			     "timeZone: '-08:00'}\n"));
	at("2026-11-01T00:00:00Z", "at 03 04:00 - 03 05:00", "west of it");
	ok(zone_is_known("UTC") && zone_is_known("+05:45") &&
	       zone_is_known(NULL) && !zone_is_known("Europe/Atlantis") &&
	       !zone_is_known("../../etc/passwd") && !zone_is_known("+25:00") &&
	       !zone_is_known("+5:45") && !zone_is_known(""),
	   "zones that are known");
}

static void
test_findings(void)
{
	policy_of(POLICY(
	    "    - {from: '8:00', to: '09:00'}\n"
	    "    - {from: '08:00', to: '08:00'}\n"
	    "    - {from: '08:00', to: '2026-11-05T22:00:00Z'}\n"
	    "    - {from: '2026-11-05T22:00:00', to: '2026-11-05T23:00:00'}\n"
	    "    - {from: '2026-11-05T22:00:00Z', to: '2026-11-05T21:00:00Z'}\n"
	    "    - {from: '2026-11-05T22:00:00Z', to: '2026-11-05T23:00:00Z', "
	    "days: [mon], timeZone: UTC}\n"
	    "    - {timeZone: Europe/Atlantis}\n"
	    "    - {days: [monday]}\n"
	    "    - {untill: '09:00'}\n"));
	like(r.text.data,
	     "Error FieldNotValid m.yaml:7:7: RunPolicy default/x: "
	     "spec.cutover.window[0] has a time that is none: write "
	     "\"22:00\", quoted",
	     "no time of day");
	like(r.text.data,
	     "m.yaml:8:7: RunPolicy default/x: "
	     "spec.cutover.window[1] ends when it begins",
	     "empty");
	like(r.text.data, "window[2] must have both from and to", "mixed");
	like(r.text.data,
	     "window[3] has a time that is none: write "
	     "2026-12-24T22:00:00+01:00, with the offset",
	     "no offset");
	like(r.text.data, "window[4] ends before it begins", "backwards");
	like(r.text.data, "window[5] comes once: remove days", "days");
	like(r.text.data, "window[5] has its offset in from and to", "offset");
	like(r.text.data, "window[6] has a timeZone that is not known here",
	     "a zone that is none");
	like(r.text.data, "window[7].days[0] must be one of sun, mon", "day");
	like(r.text.data, "window[8].untill is not a field", "field");
	policy_of("apiVersion: palletjack.io/v1alpha1\nkind: RunPolicy\n"
		  "metadata: {name: x}\nspec: {cutover: {window: {from: "
		  "'08:00'}}}\n");
	like(r.text.data,
	     "m.yaml:4:26: RunPolicy default/x: "
	     "spec.cutover.window must be a list",
	     "no list");
}

int
main(void)
{
	if (chdir(tap_dir()) < 0)
		return 1;
	setenv("TZ", "UTC", 1);
	tzset();
	test_days();
	test_several();
	if (zone_is_known("Europe/Berlin"))
		test_seasons(", timeZone: Europe/Berlin");
	else
		tap_diag("no zone data base here");
	is_str(getenv("TZ"), "UTC", "the process's own zone is as it was");
	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	test_seasons("");
	test_zones();
	is_str(getenv("TZ"), "CET-1CEST,M3.5.0,M10.5.0/3", "and stays so");
	test_findings();
	reading_done(&r);
	return tap_done();
}
