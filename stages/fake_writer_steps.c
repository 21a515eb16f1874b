/* SPDX-License-Identifier: Apache-2.0 */
/* What the steps of a vm with a writer take, and what they come to. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "stages/fake_warm.h"
#include "stages/fake_world.h"
#include "stages/fake_writer.h"
#include "stages/precopy.h"

#define BLOCK_BYTES 1048576.0
#define BEGAN "writer" /* in the world: since when it writes */

const struct fake_writer *
fake_writer_of(const struct view *v)
{
	static struct fake_writer drawn;
	static char kind[32];
	const char *now = endpoint_setting(v->plan->source, "writer", "");
	uint64_t seed =
	    strtoull(endpoint_setting(v->plan->source, "seed", "0"), NULL, 10);
	double size = 0;

	if (!*now || !fake_writer_is_kind(now))
		return NULL;
	for (size_t i = 0; i < v->vm->ndisks; i++)
		size += (double)v->vm->disks[i].capacity_bytes;
	if (strcmp(kind, now) == 0 && drawn.seed == seed && drawn.size == size)
		return &drawn;
	fake_writer_done(&drawn);
	snprintf(kind, sizeof(kind), "%s", now);
	fake_writer_draw(kind, seed, size, &drawn);
	return &drawn;
}

int
fake_writer_begin(const struct view *v, struct err *err)
{
	CLEANUP(mem_freep)
	char *now = mem_printf("%lld", (long long)clock_wall_ms());

	if (!fake_writer_of(v) || !fake_is_now(v, BEGAN, "none"))
		return 0;
	return fake_change(v, BEGAN, now, err);
}

/* Of the writer's clock, in seconds. */
static double
moment(const struct view *v, int64_t wall_ms)
{
	CLEANUP(mem_freep) char *began = fake_state(v, BEGAN);

	return (double)(wall_ms - strtoll(began, NULL, 10)) / 1000;
}

/* What this copy has to move, of all disks together. */
static double
bytes_to_copy(const struct fake_writer *fw, const struct work *w,
	      int64_t now_ms, bool *ret_whole)
{
	struct precopy_point before, point;
	struct err ignored;

	*ret_whole = !precopy_applied(w, &before) || !before.number;
	if (*ret_whole)
		return fw->used;
	if (strcmp(w->stage->name, "precopy") != 0)
		return fake_writer_changed(fw, moment(w->view, before.at_ms),
					   moment(w->view, now_ms));
	if (precopy_made(w, &point, &ignored) < 0)
		return 0;
	return fake_writer_changed(fw, moment(w->view, before.at_ms),
				   moment(w->view, point.at_ms));
}

static bool
is_of(const struct work *w, const char *stage)
{
	return strcmp(w->stage->name, stage) == 0;
}

static const json_t *
facts_of_copy(const struct work *w)
{
	CLEANUP(mem_freep)
	char *step = mem_printf(
	    "%s/%s", is_of(w, "verify") ? "cutover" : "precopy", w->disk->id);

	return work_fact(w, step);
}

static double
bytes_to_read(const struct work *w)
{
	return (double)json_integer_value(
	    json_object_get(facts_of_copy(w), "read"));
}

static double
disk_seconds(const struct fake_writer *fw, const struct work *w)
{
	double n = (double)w->view->vm->ndisks, bytes;
	bool whole;

	if (is_of(w, "verify") || is_of(w, "precopy-verify"))
		return fake_writer_reading(fw, bytes_to_read(w));
	bytes = bytes_to_copy(fw, w, clock_wall_ms(), &whole) / n;
	return whole ? fw->begin_s + bytes / fw->full_rate
		     : fake_writer_copying(fw, bytes);
}

int64_t
fake_writer_ms(const struct fake_writer *fw, const struct work *w)
{
	unsigned round = is_of(w, "precopy") || is_of(w, "precopy-verify")
			     ? w->view->round
			     : 0;
	double luck = fake_writer_luck(fw, w->step, round), seconds = 0;

	if (w->disk)
		seconds = disk_seconds(fw, w) * luck;
	else if (is_of(w, "precopy"))
		seconds = fw->point_s * luck;
	else if (is_of(w, "cutover"))
		seconds = fw->stop.takes;
	else if (is_of(w, "convert") || is_of(w, "precopy-convert"))
		seconds = fw->convert.takes;
	else if (is_of(w, "start"))
		seconds = fw->start.takes;
	return llround(seconds * 1000);
}

json_t *
fake_writer_copied(const struct fake_writer *fw, const struct work *w,
		   int64_t begun_ms)
{
	bool warm = is_of(w, "precopy"), whole;
	double n = (double)w->view->vm->ndisks;
	json_int_t bytes =
	    (json_int_t)(bytes_to_copy(fw, w, begun_ms, &whole) / n);
	struct precopy_point point = {0};
	struct err ignored;
	json_t *facts;

	if (warm)
		(void)precopy_made(w, &point, &ignored);
	else
		point.number = precopy_next_number(w);
	facts = json_pack("{s:I, s:I, s:I, s:I}", "size",
			  (json_int_t)w->disk->capacity_bytes, "generation",
			  (json_int_t)point.number, "read", bytes, "written",
			  bytes);
	precopy_tell(facts, &(struct precopy_told){
				.pass = whole ? COPY_ALL : COPY_CHANGED,
				.changed = whole ? 0 : (uint64_t)bytes,
				.begun_ms = begun_ms});
	return facts;
}

json_t *
fake_writer_read(const struct work *w, int64_t begun_ms)
{
	json_t *generation = json_object_get(facts_of_copy(w), "generation");

	return json_pack(
	    "{s:I, s:O, s:I, s:I, s:{s:O}}", "blocks",
	    (json_int_t)ceil(bytes_to_read(w) / BLOCK_BYTES), "generation",
	    generation, "begun", (json_int_t)begun_ms, "ended",
	    (json_int_t)clock_wall_ms(), "verified", "generation", generation);
}

static struct span_ms
believed(const struct fake_span *s)
{
	return (struct span_ms){llround(s->low * 1000),
				llround(s->high * 1000)};
}

void
fake_writer_downtime(const struct fake_writer *fw, struct downtime *ret)
{
	*ret = (struct downtime){.stop = believed(&fw->stop),
				 .convert = believed(&fw->convert),
				 .start = believed(&fw->start)};
}
