/* SPDX-License-Identifier: Apache-2.0 */
/* A generation rehearsed while its source runs on (bootTest:
 * every-generation): a disposable overlay of the replica is converted
 * (precopy-convert), and an overlay of that booted (precopy-boot-test).
 *
 * That a guest cannot be converted, or does not boot, is no failure of these
 * steps: it is what they found, and what the runner asks before it stops the
 * source.  The next generation is rehearsed anew.  Facts of both: result
 * ("converted" or "failed"; as of boot.h), line, generation; of the boot test
 * also `roots`, what each ledger says of the replica, which was only read; and
 * `sampled`, so many blocks of it were compared with that afterwards
 * (untouched.h). */
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "stages/boot.h"
#include "stages/conversion.h"
#include "stages/copy/ledger.h"
#include "stages/inputs.h"
#include "stages/overlay.h"
#include "stages/place.h"
#include "stages/precopy.h"
#include "stages/rehearsal.h"
#include "stages/untouched.h"

static bool
boot_applies(const struct view *v)
{
	return v->round > 0 && v->plan->policy->boot_test == BOOT_TEST_EVERY;
}

static bool
convert_applies(const struct view *v)
{
	return boot_applies(v) && v->shape->converted;
}

/* Whoever asks something else gets another conversion, too: that of before is
 * thrown away. */
static void
inputs(const struct view *v, const struct inv_disk *disk, json_t *ret)
{
	(void)disk;
	inputs_converted(v, ret);
	inputs_probe(v, ret);
	json_object_del(ret, INPUTS_EPOCH);
	json_object_set_new(ret, INPUTS_ROUND, json_integer(v->round));
}

/* The replica is only read. */

/* Who has looked says how closely. */
static int
must_be_untouched(struct work *w, const struct place *p,
		  const struct untouched *before, json_t *facts,
		  struct err *err)
{
	uint64_t blocks;

	if (untouched_check(w, p, before, &blocks, err) < 0)
		return -1;
	json_object_set_new(facts, "sampled", json_integer((json_int_t)blocks));
	return 0;
}

static json_t *
roots_of(const struct view *v)
{
	json_t *roots = json_object();

	for (size_t i = 0; i < v->vm->ndisks; i++) {
		CLEANUP(mem_freep)
		char *path = place_ledger(v, &v->vm->disks[i]);
		struct ledger *l = NULL;
		struct err ignored;
		char root[65];

		if (!fs_exists(path) ||
		    ledger_open_readonly(path, &l, &ignored) < 0)
			continue;
		if (ledger_root(l, root, &ignored) == 0)
			json_object_set_new(roots, v->vm->disks[i].id,
					    json_string(root));
		ledger_close(l);
	}
	return roots;
}

/* precopy-convert */

static const struct conversion of_generation = {OVERLAYS_REHEARSED, "precopy"};

static void
add_result(const struct work *w, json_t *facts, const char *result)
{
	json_object_set_new(facts, "result", json_string(result));
	json_object_set_new(facts, INPUTS_ROUND, json_integer(w->view->round));
}

static json_t *
found(const struct work *w, const char *text)
{
	json_t *facts = json_pack("{s:s}", "line", text);

	json_object_set_new(
	    facts, "say",
	    json_sprintf("the guest cannot be converted: %s", text));
	add_result(w, facts, "failed");
	return facts;
}

static int
throw_away(const struct place *p, struct err *err)
{
	CLEANUP(mem_freep) char *scratch = p->ops->scratch(&p->vm);

	return overlays_sweep(scratch, OVERLAYS_REHEARSED, err);
}

/* What stands on a replica that was written is worth nothing: nobody finds it.
 */
static int
look_again(struct work *w, const struct place *p,
	   const struct untouched *before, json_t *facts, struct err *err)
{
	struct err ignored;

	if (must_be_untouched(w, p, before, facts, err) == 0)
		return 0;
	(void)throw_away(p, &ignored);
	return -1;
}

static int
convert_run(struct work *w, json_t **ret_facts, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};
	CLEANUP(untouched_done) struct untouched before = {0};
	struct precopy_point applied;
	struct err why = {0};
	bool converted = false;

	if (!precopy_applied(w, &applied))
		return 0;
	if (place_open(w->view, &p, err) < 0 ||
	    untouched_begin(&p, &before, err) < 0)
		return -1;
	if (conversion_run(w, &of_generation, ret_facts, &why) == 0) {
		add_result(w, *ret_facts, "converted");
		converted = true;
	} else if (why.class == ERR_FAIL)
		*ret_facts = found(w, why.text);
	else {
		*err = why;
		return -1;
	}
	if (look_again(w, &p, &before, *ret_facts, err) < 0)
		return -1;
	if (converted)
		conversion_done(w, &of_generation, *ret_facts);
	return 0;
}

static int
convert_probe(struct work *w, bool *ret_done, json_t **ret_facts,
	      struct err *err)
{
	if (conversion_probe(w, &of_generation, ret_done, ret_facts, err) < 0)
		return -1;
	/* earlier versions said so before they had looked */
	if (*ret_done && !json_object_get(*ret_facts, "sampled")) {
		json_decref(*ret_facts);
		*ret_facts = NULL;
		*ret_done = false;
	}
	return 0;
}

static int64_t
convert_deadline_ms(const struct run_policy *policy)
{
	return policy->deadlines.conversion_ms;
}

/* precopy-boot-test */

static json_t *
facts_of(const struct work *w, const struct boot_verdict *v)
{
	static const char *const words[] = {
	    [BOOT_PASSED] = "it would boot",
	    [BOOT_FAILED] = "it would not boot",
	    [BOOT_INCONCLUSIVE] = "nobody knows whether it would boot"};
	json_t *facts = boot_verdict_facts(v);

	json_object_set_new(facts, "say",
			    json_sprintf("%s: %s", words[v->result], v->why));
	json_object_set_new(facts, "roots", roots_of(w->view));
	add_result(w, facts, boot_result_name(v->result));
	return facts;
}

#define KEPT "verdict"

/* What the verdict is of: this conversion, looked at in this way. */
static json_t *
subject(const struct work *w)
{
	json_t *ret = json_object();

	w->stage->inputs(w->view, NULL, ret);
	json_object_set(
	    ret, stage_precopy_convert.name,
	    json_object_get(work_fact(w, stage_precopy_convert.name),
			    "attempt"));
	json_object_set_new(ret, "redone", json_integer(w->redone));
	return ret;
}

int
rehearsal_keep(struct work *w, const json_t *facts, struct err *err)
{
	return work_record(
	    w, KEPT, json_pack("{s:o, s:O}", "of", subject(w), "facts", facts),
	    err);
}

json_t *
rehearsal_kept(const struct work *w)
{
	const json_t *kept = work_recorded(w, KEPT);
	json_t *of = subject(w), *ret = NULL;

	/* without a conversion nothing was thrown away */
	if (json_object_get(of, stage_precopy_convert.name) &&
	    json_equal(json_object_get(kept, "of"), of))
		ret = json_incref(json_object_get(kept, "facts"));
	json_decref(of);
	return ret;
}

int
rehearsal_again(struct work *w, struct err *err)
{
	if (work_record(w, WORK_VOID, json_string(stage_precopy_convert.name),
			err) < 0)
		return -1;
	return err_set(err, ERR_AGAIN,
		       "what was converted is not there any more; the next run "
		       "converts it again");
}

static int
converted_overlays(struct work *w, const json_t *facts, const struct place *p,
		   struct overlays *ret, struct err *err)
{
	if (overlays_from_json(json_object_get(facts, "overlays"), p->vm.shape,
			       ret, err) < 0)
		return -1;
	for (size_t i = 0; i < ret->n; i++)
		if (!fs_exists(ret->v[i].path))
			return rehearsal_again(w, err);
	return 0;
}

static int
boot_generation(struct work *w, const struct place *p, struct boot_verdict *ret,
		struct err *err)
{
	CLEANUP(overlays_done) struct overlays converted = {0};
	const json_t *facts = work_fact(w, stage_precopy_convert.name);
	const char *result =
	    json_string_value(json_object_get(facts, "result"));

	if (!w->view->shape->converted)
		return boot_try(w, p->volumes, OVERLAYS_REHEARSED_BOOT, ret,
				err);
	if (result && strcmp(result, "failed") == 0) {
		ret->result = BOOT_FAILED;
		ret->why = mem_printf(
		    "it cannot be converted: %s",
		    json_string_value(json_object_get(facts, "line")));
		return 0;
	}
	if (converted_overlays(w, facts, p, &converted, err) < 0)
		return -1;
	return boot_try(w, converted.v, OVERLAYS_REHEARSED_BOOT, ret, err);
}

static int
boot_run(struct work *w, json_t **ret_facts, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};
	CLEANUP(untouched_done) struct untouched before = {0};
	CLEANUP(boot_verdict_done) struct boot_verdict verdict = {0};
	struct precopy_point applied;

	if (!precopy_applied(w, &applied))
		return 0;
	if (place_open(w->view, &p, err) < 0 || p.ops->guard(&p.vm, err) < 0 ||
	    untouched_begin(&p, &before, err) < 0 ||
	    boot_generation(w, &p, &verdict, err) < 0)
		return -1;
	*ret_facts = facts_of(w, &verdict);
	if (look_again(w, &p, &before, *ret_facts, err) < 0 ||
	    rehearsal_keep(w, *ret_facts, err) < 0)
		return -1;
	return throw_away(&p, err);
}

static int
boot_probe(struct work *w, bool *ret_done, json_t **ret_facts, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};
	json_t *kept = rehearsal_kept(w);

	if (!kept)
		return 0;
	*ret_done = true;
	*ret_facts = kept;
	if (place_open(w->view, &p, err) < 0 || p.ops->guard(&p.vm, err) < 0)
		return -1;
	return throw_away(&p, err);
}

static int64_t
boot_deadline_ms(const struct run_policy *policy)
{
	return policy->deadlines.boot_test_ms;
}

const struct stage stage_precopy_convert = {
    .name = "precopy-convert",
    .minds_mark = true,
    .trusts_replicas = true,
    .scope = STAGE_VM,
    .pool = POOL_CONVERSIONS,
    .applies = convert_applies,
    .inputs = inputs,
    .probe = convert_probe,
    .run = convert_run,
    .deadline_ms = convert_deadline_ms,
};

const struct stage stage_precopy_boot_test = {
    .name = "precopy-boot-test",
    .minds_mark = true,
    .trusts_replicas = true,
    .scope = STAGE_VM,
    .pool = POOL_CONVERSIONS,
    .applies = boot_applies,
    .inputs = inputs,
    .probe = boot_probe,
    .run = boot_run,
    .deadline_ms = boot_deadline_ms,
};

/* What the runner asks.  A result without its reason is a result. */
bool
stages_rehearsal_forbids(const struct view *v, const json_t *facts,
			 const char **ret_result, const char **ret_why)
{
	const char *result =
	    json_string_value(json_object_get(facts, "result"));
	enum boot_result is = boot_result_of(result);

	*ret_result = boot_result_name(is);
	*ret_why = json_string_value(json_object_get(facts, "line"));
	if (!*ret_why)
		*ret_why = "its reason is not on record";
	if (!boot_applies(v) || !result ||
	    json_integer_value(json_object_get(facts, INPUTS_ROUND)) !=
		(json_int_t)v->round)
		return false;
	if (is == BOOT_INCONCLUSIVE)
		return v->plan->policy->boot_probe.inconclusive !=
		       INCONCLUSIVE_PASS;
	return is == BOOT_FAILED;
}
