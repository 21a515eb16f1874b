/* SPDX-License-Identifier: Apache-2.0 */
/* precopy: a point in time of the running source is made, each disk copied as
 * it was then (precopy_copy.c), and the point let go. */
#include "stages/precopy.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "stages/inputs.h"
#include "stages/place.h"
#include "stages/replica.h"

/* In the record and the facts of a point before which it is not known what
 * changed: {disk: why}. */
#define LOST "lost"

/* What is on record. */

static uint32_t
number_of(const json_t *o, const char *key)
{
	return (uint32_t)json_integer_value(json_object_get(o, key));
}

static void
read_point(const json_t *o, struct precopy_point *ret)
{
	const char *name = json_string_value(json_object_get(o, "point"));
	const char *since = json_string_value(json_object_get(o, "since"));

	*ret = (struct precopy_point){
	    .number = number_of(o, "number"),
	    .since_number = number_of(o, "sinceNumber"),
	    .at_ms = json_integer_value(json_object_get(o, "at")),
	};
	snprintf(ret->name, sizeof(ret->name), "%s", name ? name : "");
	snprintf(ret->since, sizeof(ret->since), "%s", since ? since : "");
}

json_t *
precopy_facts(const struct precopy_point *p)
{
	return json_pack("{s:I, s:s, s:s, s:I, s:I}", "number",
			 (json_int_t)p->number, "point", p->name, "since",
			 p->since, "sinceNumber", (json_int_t)p->since_number,
			 "at", (json_int_t)p->at_ms);
}

bool
precopy_recorded(const struct work *w, struct precopy_point *ret)
{
	const json_t *last = work_recorded(w, "point");

	read_point(last, ret);
	return ret->number > 0 &&
	       number_of(last, INPUTS_ROUND) == w->view->round;
}

int
precopy_made(const struct work *w, struct precopy_point *ret, struct err *err)
{
	read_point(work_fact(w, stage_precopy.name), ret);
	if (ret->number > 0)
		return 0;
	return err_set(err, ERR_BUG, "no point in time was made");
}

int
precopy_lost(struct work *w, struct err *err)
{
	if (work_record(w, WORK_VOID, json_string(stage_precopy.name), err) < 0)
		return -1;
	return err_set(err, ERR_AGAIN,
		       "the source does not hold the point in time any more; "
		       "the next run makes another, and copies what changed");
}

const char *
precopy_why_lost(const struct work *w)
{
	const json_t *lost =
	    json_object_get(work_fact(w, stage_precopy.name), LOST);

	return json_string_value(json_object_get(lost, w->disk->id));
}

bool
precopy_applied(const struct work *w, struct precopy_point *ret)
{
	read_point(work_fact(w, stage_precopy_release.name), ret);
	return ret->number > 0;
}

uint32_t
precopy_next_number(const struct work *w)
{
	struct precopy_point applied;
	uint32_t most = 0;

	if (precopy_applied(w, &applied))
		most = applied.number;
	read_point(work_fact(w, stage_precopy.name), &applied);
	if (applied.number > most)
		most = applied.number;
	for (size_t i = 0; i < w->view->vm->ndisks; i++) {
		CLEANUP(mem_freep)
		char *step = mem_printf("cutover/%s", w->view->vm->disks[i].id);
		uint32_t copied = number_of(work_fact(w, step), "generation");

		if (copied > most)
			most = copied;
	}
	return most + 1;
}

/* What a cutover left behind that did not come to its end was copied at another
 * point in time: no later one may bear its number, or its blocks would count as
 * copied. */
static int
number_after_all(const struct work *w, uint32_t *ret, struct err *err)
{
	const struct inv_vm *vm = w->view->vm;
	uint32_t newest;

	*ret = precopy_next_number(w);
	for (size_t i = 0; i < vm->ndisks; i++) {
		if (replica_newest(w->view, &vm->disks[i], &newest, err) < 0)
			return -1;
		if (*ret <= newest)
			*ret = newest + 1;
	}
	return 0;
}

/* After this state directory, so that nobody else's is taken for ours. */
static void
name_point(const struct work *w, uint32_t number, char ret[POINT_NAME_SIZE])
{
	snprintf(ret, POINT_NAME_SIZE, "palletjack-%.8s-%u",
		 w->view->state_uuid, number);
}

int
precopy_choose(struct work *w, struct precopy_point *ret, struct err *err)
{
	struct precopy_point last, applied = {0};
	uint32_t number;
	json_t *record;

	if (number_after_all(w, &number, err) < 0)
		return -1;
	read_point(work_recorded(w, "point"), &last);
	if (number <= last.number)
		number = last.number + 1;
	(void)precopy_applied(w, &applied);
	*ret = (struct precopy_point){.number = number,
				      .since_number = applied.number,
				      .at_ms = clock_wall_ms()};
	name_point(w, number, ret->name);
	memcpy(ret->since, applied.name, sizeof(ret->since));
	record = precopy_facts(ret);
	json_object_set_new(record, INPUTS_ROUND, json_integer(w->view->round));
	return work_record(w, "point", record, err);
}

/* Off before its time: what is missing is the cutover's to copy. */
json_t *
precopy_no_point(const struct work *w)
{
	struct precopy_point none = {.number = precopy_next_number(w),
				     .at_ms = clock_wall_ms()};

	return precopy_facts(&none);
}

void
precopy_tell(json_t *facts, const struct precopy_told *told)
{
	static const char *const words[] = {[COPY_ALL] = "all",
					    [COPY_CHANGED] = "changed",
					    [COPY_COMPARE] = "compare"};

	json_object_set_new(facts, "pass", json_string(words[told->pass]));
	json_object_set_new(facts, "changed",
			    json_integer((json_int_t)told->changed));
	json_object_set_new(facts, "begun",
			    json_integer((json_int_t)told->begun_ms));
	json_object_set_new(facts, "ended",
			    json_integer((json_int_t)clock_wall_ms()));
	if (!told->why)
		return;
	json_object_set_new(facts, "why", json_string(told->why));
	json_object_set_new(
	    facts, "say",
	    json_sprintf(
		"%s: all of the disk was %s", told->why,
		told->pass == COPY_ALL ? "copied" : "read and compared"));
}

static bool
is_text(const json_t *value, const char *text)
{
	const char *is = json_string_value(value);

	return is && strcmp(is, text) == 0;
}

/* What all disks together cost.  Of a disk that was compared what differed is
 * what is known to have changed. */
static json_t *
sum_up(const struct work *w, const struct precopy_point *p)
{
	json_int_t sums[3] = {0}, begun = 0, ended = 0;
	json_t *why = json_object(), *sum;
	bool whole = false;
	static const char *const keys[] = {"changed", "read", "written"};

	for (size_t i = 0; i < w->view->vm->ndisks; i++) {
		CLEANUP(mem_freep)
		char *step = mem_printf("%s/%s", stage_precopy.name,
					w->view->vm->disks[i].id);
		const json_t *facts = work_fact(w, step);
		json_int_t from =
		    json_integer_value(json_object_get(facts, "begun"));
		json_int_t to =
		    json_integer_value(json_object_get(facts, "ended"));

		for (size_t k = 0; k < 3; k++)
			sums[k] +=
			    json_integer_value(json_object_get(facts, keys[k]));
		if (is_text(json_object_get(facts, "pass"), "compare"))
			sums[0] += json_integer_value(
			    json_object_get(facts, "written"));
		whole |= is_text(json_object_get(facts, "pass"), "all");
		if (json_object_get(facts, "why"))
			json_object_set(why, w->view->vm->disks[i].id,
					json_object_get(facts, "why"));
		if (!begun || from < begun)
			begun = from;
		if (to > ended)
			ended = to;
	}
	sum = json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "whole",
			whole, "number", (json_int_t)p->number, "at",
			(json_int_t)p->at_ms, "begun", begun, "ended", ended,
			keys[0], sums[0], keys[1], sums[1], keys[2], sums[2]);
	if (json_object_size(why) > 0)
		json_object_set(sum, "why", why);
	json_decref(why);
	return sum;
}

/* What reading back the generation before cost, which was done behind its
 * release. */
static void
add_reading(const struct work *w, json_t *generation)
{
	json_int_t blocks = 0, begun = 0, ended = 0;

	for (size_t i = 0; i < w->view->vm->ndisks; i++) {
		CLEANUP(mem_freep)
		char *step =
		    mem_printf("precopy-verify/%s", w->view->vm->disks[i].id);
		const json_t *facts = work_fact(w, step);
		json_int_t from =
		    json_integer_value(json_object_get(facts, "begun"));
		json_int_t to =
		    json_integer_value(json_object_get(facts, "ended"));

		if (!from || number_of(facts, "generation") !=
				 number_of(generation, "number"))
			continue;
		blocks += json_integer_value(json_object_get(facts, "blocks"));
		begun = !begun || from < begun ? from : begun;
		ended = to > ended ? to : ended;
	}
	if (!begun)
		return;
	json_object_set_new(
	    generation, "readBack",
	    json_integer(blocks * (json_int_t)LEDGER_BLOCK_SIZE));
	json_object_set_new(generation, "readBackMs",
			    json_integer(ended - begun));
}

int
precopy_releasing(struct work *w, const struct precopy_point *p,
		  struct err *err)
{
	if (!p->name[0])
		return 0;
	return work_record(w, WORK_RELEASING,
			   json_integer((json_int_t)p->number), err);
}

json_t *
precopy_release_facts(const struct work *w, const struct precopy_point *p)
{
	const json_t *last = work_fact(w, stage_precopy_release.name);
	const json_t *before = json_object_get(last, "generations");
	json_t *all = before ? json_deep_copy(before) : json_array();
	json_t *facts;

	if (!p->name[0]) {
		json_decref(all);
		return last ? json_copy((json_t *)last) : json_object();
	}
	facts = precopy_facts(p);
	if (json_array_size(all) > 0)
		add_reading(w, json_array_get(all, json_array_size(all) - 1));
	json_array_append_new(all, sum_up(w, p));
	while (json_array_size(all) > GENERATIONS_KEPT)
		json_array_remove(all, 0);
	json_object_set_new(facts, "generations", all);
	return facts;
}

/* The stages. */

static bool
applies(const struct view *v)
{
	return v->round > 0;
}

static const struct source_ops *
source_of(const struct work *w)
{
	return source_find(w->view->plan->source->type);
}

static int
is_running(const struct work *w, bool *ret, struct err *err)
{
	enum power_state now;

	if (source_of(w)->power_state(w->view->plan->source, w->view->vm, &now,
				      err) < 0)
		return err_wrap(err, "asking whether the source runs");
	*ret = now == POWER_STATE_ON;
	return 0;
}

/* On record before what it is about is forgotten. */
static int
note_lost(struct work *w, const struct precopy_point *p, json_t *lost,
	  struct err *err)
{
	json_t *record = precopy_facts(p);

	json_object_set_new(record, INPUTS_ROUND, json_integer(w->view->round));
	json_object_set(record, LOST, lost);
	return work_record(w, "point", record, err);
}

/* One disk more each time, at least. */
static int
freeze(struct work *w, struct source_point *made, const struct precopy_point *p,
       struct err *err)
{
	const struct endpoint *ep = w->view->plan->source;
	const struct source_warm *warm = source_of(w)->warm;
	json_t *lost = json_object(), *more = NULL;
	int rc;

	made->lost = lost;
	while ((rc = warm->freeze(ep, w->view->vm, made, &more, err)) == 0 &&
	       more) {
		json_object_update(lost, more);
		json_decref(more);
		rc = note_lost(w, p, lost, err);
		if (rc < 0)
			break;
	}
	json_decref(lost);
	return rc;
}

static int
make_point(struct work *w, struct precopy_point *ret, struct err *err)
{
	const struct run_policy *policy = w->view->plan->policy;
	struct source_point made = {.name = ret->name,
				    .foreign = policy->precopy.foreign};

	if (precopy_choose(w, ret, err) < 0)
		return -1;
	made.since = ret->since[0] ? ret->since : NULL;
	if (made.foreign == FOREIGN_WAIT)
		work_doing(w, "making a point in time, once no backup of "
			      "another runs");
	/* the step has the same limit, and what it waited for is to be said */
	made.wait_ms =
	    place_deadline(w, policy->deadlines.wait_ms) - clock_mono_ms();
	if (freeze(w, &made, ret, err) < 0)
		return err_wrap(err, "making a point in time");
	return 0;
}

/* The same point in time while it lasts: what was copied of it stays. */
static int
precopy_run(struct work *w, json_t **ret_facts, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};
	struct precopy_point point;
	bool held = false, running = false;
	json_t *lost;

	if (place_open(w->view, &p, err) < 0)
		return -1;
	if (place_claim(w, &p, err) < 0)
		return err_wrap(err, "claiming the target");
	if (is_running(w, &running, err) < 0)
		return -1;
	if (!running) {
		*ret_facts = precopy_no_point(w);
		return 0;
	}
	if (precopy_recorded(w, &point) &&
	    source_of(w)->warm->holds(w->view->plan->source, w->view->vm,
				      point.name, &held, err) < 0)
		return err_wrap(err, "looking for the point in time");
	if (!held && make_point(w, &point, err) < 0)
		return -1;
	*ret_facts = precopy_facts(&point);
	lost = json_object_get(work_recorded(w, "point"), LOST);
	if (lost)
		json_object_set(*ret_facts, LOST, lost);
	return 0;
}

static int
release_run(struct work *w, json_t **ret_facts, struct err *err)
{
	struct precopy_point point;

	if (precopy_made(w, &point, err) < 0 ||
	    precopy_releasing(w, &point, err) < 0)
		return -1;
	if (point.name[0] &&
	    source_of(w)->warm->release(w->view->plan->source, w->view->vm,
					point.name, err) < 0)
		return err_wrap(err, "letting go of the point in time");
	*ret_facts = precopy_release_facts(w, &point);
	return 0;
}

int
precopy_forget(struct work *w, struct err *err)
{
	const struct source_ops *ops = source_of(w);
	char like[POINT_NAME_SIZE];

	if (!ops->warm)
		return 0;
	name_point(w, 0, like);
	if (ops->warm->forget(w->view->plan->source, w->view->vm, like, err) <
	    0)
		return err_wrap(err, "removing what tracks changes");
	return 0;
}

static int
undo_precopy_run(struct work *w, json_t **ret_facts, struct err *err)
{
	(void)ret_facts;
	return precopy_forget(w, err);
}

static bool
undo_applies(const struct view *v)
{
	return v->has_points;
}

static const struct stage undo_precopy = {
    .name = "undo/precopy",
    .scope = STAGE_VM,
    .applies = undo_applies,
    .run = undo_precopy_run,
};

/* No probes: a point that is there is found again, one that was let go is let
 * go again. */
const struct stage stage_precopy = {
    .name = "precopy",
    .scope = STAGE_VM,
    .writes_disks = true,
    .applies = applies,
    .inputs = inputs_generation,
    .run = precopy_run,
    .undo = &undo_precopy,
};

const struct stage stage_precopy_release = {
    .name = "precopy-release",
    .scope = STAGE_VM,
    .applies = applies,
    .inputs = inputs_generation,
    .run = release_run,
};
