/* SPDX-License-Identifier: Apache-2.0 */
/* boot-test: does what we made boot?  On overlays of the overlays, or of the
 * replica in raw copy mode: pass, fail, or inconclusive, which is never taken
 * for a pass unless the policy says so. */
#include "base/mem.h"
#include "stages/boot.h"
#include "stages/inputs.h"
#include "stages/overlay.h"
#include "stages/place.h"

static bool
applies(const struct view *v)
{
	return v->plan->policy->boot_test != BOOT_TEST_OFF;
}

static void
inputs(const struct view *v, const struct inv_disk *disk, json_t *ret)
{
	const struct run_policy *p = v->plan->policy;

	(void)disk;
	inputs_converted(v, ret);
	inputs_probe(v, ret);
	json_object_set_new(
	    ret, "bootProbe.inconclusive",
	    json_string(p->boot_probe.inconclusive == INCONCLUSIVE_PASS
			    ? "pass"
			    : "hold"));
}

static int64_t
deadline_ms(const struct run_policy *policy)
{
	return policy->deadlines.boot_test_ms;
}

static int
say_verdict(const struct work *w, const struct boot_verdict *v,
	    json_t **ret_facts, struct err *err)
{
	bool counts = v->result == BOOT_PASSED ||
		      (v->result == BOOT_INCONCLUSIVE &&
		       w->view->plan->policy->boot_probe.inconclusive ==
			   INCONCLUSIVE_PASS);
	CLEANUP(mem_freep)
	char *screen = v->screen ? mem_printf(" (screen: '%s')", v->screen)
				 : mem_strdup("");

	if (counts) {
		*ret_facts = boot_verdict_facts(v);
		return 0;
	}
	if (v->result == BOOT_FAILED)
		return err_set(err, ERR_FAIL, "boot test failed: %s%s", v->why,
			       screen);
	return err_set(err, ERR_FAIL,
		       "boot test inconclusive: %s%s; mend bootProbe or "
		       "deadlines.bootTest and run again, or set "
		       "bootProbe.inconclusive: pass to go on without proof",
		       v->why, screen);
}

/* The converted overlays, or in raw copy mode the replica itself. */
static int
run(struct work *w, json_t **ret_facts, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};
	CLEANUP(overlays_done) struct overlays converted = {0};
	CLEANUP(boot_verdict_done) struct boot_verdict verdict = {0};
	const json_t *facts = work_fact(w, stage_convert.name);
	bool raw = !w->view->shape->converted;

	if (place_open(w->view, &p, err) < 0 || p.ops->guard(&p.vm, err) < 0)
		return -1;
	if (!raw && overlays_from_json(json_object_get(facts, "overlays"),
				       p.vm.shape, &converted, err) < 0)
		return -1;
	if (boot_try(w, raw ? p.volumes : converted.v, OVERLAYS_BOOTED,
		     &verdict, err) < 0)
		return -1;
	return say_verdict(w, &verdict, ret_facts, err);
}

/* No probe: what it boots is thrown away, so that a second time is a first. */
const struct stage stage_boot_test = {
    .name = "boot-test",
    .minds_mark = true,
    .scope = STAGE_VM,
    .trusts_replicas = true,
    .pool = POOL_CONVERSIONS,
    .writes_disks = false,
    .watches_epoch = true,
    .applies = applies,
    .inputs = inputs,
    .run = run,
    .deadline_ms = deadline_ms,
};
