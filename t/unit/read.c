/* SPDX-License-Identifier: Apache-2.0 */
/* Reading manifests: a whole plan into the model, and what is said about the
 * ones that are wrong. */
#include "t/unit/manifest.h"

#include <unistd.h>

static void
test_plan(void)
{
	CLEANUP(reading_done) struct reading r;
	const struct plan *p = NULL;

	read_text(&r, PLAN_HEAD "  vms: [{name: web, targetName: www}]\n",
		  false);
	is_int(r.failed, 0, "it is read");
	is_str(r.text.data, "", "without findings");
	is_int(manifest_plan(r.m, NULL, &p, &r.err), 0, "it holds one plan");
	is_str(p->source->type, "disk", "its source");
	is_str(p->source->path, "images", "the source's path");
	is_str(p->target->path, "/srv/vms", "the target's path");
	is_int((long long)p->nvms, 1, "its vms");
	is_str(p->vms[0].key, "web", "the vm's key");
	is_str(p->vms[0].target_name, "www", "the vm's target name");
	is_int(p->vms[0].pos.line, 32, "the vm's line");
	is_str(p->type, "cold", "its type");
	ok(p->use_compatibility_mode, "a default that is true");
	ok(p->policy && !p->policy->o.name, "the built-in policy");
	is_int(p->policy->limits.in_flight, 20, "of 20 vms at once");
	is_int(p->policy->retry.first_ms, 5000, "first retry after 5s");
	ok(json_is_true(json_object_get(p->o.spec, "deleteVmOnFailMigration")),
	   "scripts see defaults");
	ok(plan_vm_find(p, "web") == &p->vms[0], "a vm by its key");
}

int
main(void)
{
	if (chdir(tap_dir()) < 0)
		return 1;
	test_plan();
	return tap_done();
}
