/* SPDX-License-Identifier: Apache-2.0 */
/* Reading times from a vm's journal. */
#include "downtime.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "stages/stage.h"

/* In blocks of the ledger. */
#define BLOCK_BYTES ((uint64_t)1024 * 1024)

static int64_t
number_of(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

/* From the last beginning to the end of what was done; -1. */
static int64_t
took(const struct step_history *s)
{
	int64_t begun, ended;

	if (!s || s->state != HISTORY_DONE || !s->begun || !s->ended ||
	    clock_parse(s->begun, &begun) < 0 ||
	    clock_parse(s->ended, &ended) < 0 || ended < begun)
		return -1;
	return ended - begun;
}

void
downtime_told(const struct history *h, struct downtime_told *ret)
{
	const struct step_history *cutover = history_step(h, "cutover");
	const struct step_history *start = history_step(h, "start");
	const json_t *p =
	    cutover ? json_object_get(cutover->recorded, DOWNTIME_PREDICTED)
		    : NULL;
	int64_t stopped, started;

	*ret = (struct downtime_told){.took_ms = -1};
	if (p) {
		ret->is_predicted = true;
		ret->low_ms = number_of(p, "lowMs");
		ret->high_ms = number_of(p, "highMs");
		ret->why = json_string_value(json_object_get(p, "why"));
	}
	if (h->source_stopped && start && start->state == HISTORY_DONE &&
	    start->ended && clock_parse(h->source_stopped, &stopped) == 0 &&
	    clock_parse(start->ended, &started) == 0 && started >= stopped)
		ret->took_ms = started - stopped;
}

char *
downtime_text(const struct history *h)
{
	char down[CLOCK_TEXT_SIZE], low[CLOCK_TEXT_SIZE], high[CLOCK_TEXT_SIZE];
	struct downtime_told t;

	downtime_told(h, &t);
	if (t.took_ms < 0)
		return NULL;
	clock_format_duration(t.took_ms, down);
	if (!t.is_predicted)
		return mem_printf("down for %s", down);
	return mem_printf("down for %s (%s to %s were predicted)", down,
			  clock_format_duration(t.low_ms, low),
			  clock_format_duration(t.high_ms, high));
}

/* Generations. */

static bool
is_of(const struct step_history *s, const char *stage)
{
	size_t len = strlen(stage);

	return strncmp(s->id, stage, len) == 0 && s->id[len] == '/';
}

/* The last one's reading back is no fact of it yet. */
static void
add_reading(const struct history *h, uint32_t number, struct generation_seen *g)
{
	int64_t from = 0, to = 0;

	for (size_t i = 0; i < h->nsteps; i++) {
		const struct step_history *s = h->steps[i];
		int64_t begun, ended;

		if (!is_of(s, "precopy-verify") || !s->facts ||
		    number_of(s->facts, "generation") != number)
			continue;
		g->verified +=
		    (uint64_t)number_of(s->facts, "blocks") * BLOCK_BYTES;
		begun = number_of(s->facts, "begun");
		ended = number_of(s->facts, "ended");
		from = !from || begun < from ? begun : from;
		to = ended > to ? ended : to;
	}
	g->verifying_ms = to - from;
}

size_t
downtime_generations(const struct history *h,
		     struct generation_seen ret[PREDICT_GENERATIONS])
{
	const struct step_history *s = history_step(h, "precopy-release");
	const json_t *all = s ? json_object_get(s->facts, "generations") : NULL;
	size_t n = json_array_size(all);
	size_t from = n > PREDICT_GENERATIONS ? n - PREDICT_GENERATIONS : 0;

	for (size_t i = from; i < n; i++) {
		const json_t *g = json_array_get(all, i);
		struct generation_seen *seen = &ret[i - from];

		*seen = (struct generation_seen){
		    .point_ms = number_of(g, "at"),
		    .ended_ms = number_of(g, "ended"),
		    .whole = json_is_true(json_object_get(g, "whole")),
		    .changed = (uint64_t)number_of(g, "changed"),
		    .moved = (uint64_t)number_of(g, "read"),
		    .copying_ms = number_of(g, "ended") - number_of(g, "begun"),
		    .verified = (uint64_t)number_of(g, "readBack"),
		    .verifying_ms = number_of(g, "readBackMs"),
		};
		if (i + 1 == n)
			add_reading(h, (uint32_t)number_of(g, "number"), seen);
		seen->ended_ms += seen->verifying_ms;
	}
	return n - from;
}

uint32_t
downtime_read_back(const struct history *h, const struct inv_vm *vm)
{
	uint32_t least = UINT32_MAX;

	for (size_t i = 0; i < vm->ndisks; i++) {
		CLEANUP(mem_freep)
		char *id = mem_printf("precopy-verify/%s", vm->disks[i].id);
		const struct step_history *s = history_step(h, id);
		const json_t *verified =
		    s ? json_object_get(s->facts, "verified") : NULL;
		uint32_t upto = (uint32_t)number_of(verified, "generation");

		least = upto < least ? upto : least;
	}
	return vm->ndisks ? least : 0;
}

/* Conversions and cold copies. */

static void
add_seen(struct predict_part *part, int64_t ms)
{
	if (ms >= 0 && part->nseen < PREDICT_MEASURED)
		part->seen_ms[part->nseen++] = ms;
}

/* As its facts say: a step that found its work done took no time. */
static void
add_told(const struct history *h, const char *step, struct predict_part *part)
{
	const struct step_history *s = history_step(h, step);
	const json_t *ms = s ? json_object_get(s->facts, STAGES_TOOK) : NULL;

	if (json_is_integer(ms))
		add_seen(part, json_integer_value(ms));
}

/* Else it is the step's time. */
void
downtime_conversions(const struct history *h, struct predict_part *part)
{
	add_told(h, "convert", part);
	add_told(h, "precopy-convert", part);
	if (part->nseen == 0)
		add_seen(part, took(history_step(h, "convert")));
}

void
downtime_boots(const struct history *h, struct predict_part *part)
{
	add_told(h, "boot-test", part);
	add_told(h, "precopy-boot-test", part);
}

/* Of all disks together: from the first one's beginning to the last one's
 * end. */
struct whole {
	int64_t from, to;
};

static void
add_disk(struct whole *w, int64_t from, int64_t to)
{
	w->from = !w->from || from < w->from ? from : w->from;
	w->to = to > w->to ? to : w->to;
}

static const json_t *
facts_of(const struct history *h, const char *stage, const char *disk)
{
	CLEANUP(mem_freep) char *id = mem_printf("%s/%s", stage, disk);
	const struct step_history *s = history_step(h, id);

	return s ? s->facts : NULL;
}

bool
downtime_cold_copy(const struct history *h, const struct inv_vm *vm,
		   struct predict_part *copy, struct predict_part *verify)
{
	struct whole copied = {0}, read = {0};

	for (size_t i = 0; i < vm->ndisks; i++) {
		const char *id = vm->disks[i].id;
		const json_t *c = facts_of(h, "cutover", id);
		const json_t *v = facts_of(h, "verify", id);

		if (!number_of(c, "begun") || number_of(c, "kept") > 0)
			return false;
		add_disk(&copied, number_of(c, "begun"), number_of(c, "ended"));
		if (number_of(v, "begun"))
			add_disk(&read, number_of(v, "begun"),
				 number_of(v, "ended"));
	}
	add_seen(copy, copied.to - copied.from);
	if (read.from)
		add_seen(verify, read.to - read.from);
	return vm->ndisks > 0;
}
