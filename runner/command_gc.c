/* SPDX-License-Identifier: Apache-2.0 */
/* palletjack gc: remove what we made and no longer need. */
#include "aim_vms.h"

static int
run(const struct globals *g, int argc, char **argv)
{
	struct words vms = {0}, paths = {0};
	struct aim_opts o = {
	    .globals = g,
	    .aim = AIM_GC,
	    .vms = &vms,
	    .paths = &paths,
	    .nothing = "never begun, nothing to remove",
	};
	bool disks = false;
	const struct option_spec specs[] = {
	    {"--plan", OPTION_TEXT, &o.plan},
	    {"--vm", OPTION_LIST, &vms},
	    {"--disks", OPTION_FLAG, &disks},
	    {0},
	};
	int rc = options_parse(&command_gc, specs, argc, argv, &paths);

	if (disks) {
		o.aim = AIM_GC_DISKS;
		o.may = stages_may_remove;
	}
	rc = rc ? (rc < 0 ? 2 : 0) : aim_vms(&o);
	words_done(&paths);
	words_done(&vms);
	return rc;
}

const struct command command_gc = {
    .name = "gc",
    .changes = true,
    .summary = "remove what was made and is no longer needed",
    .usage = "[--plan NS/NAME] [--vm NAME]... [--disks] PATH...",
    .help =
	"  --plan NS/NAME  needed when the manifest holds several\n"
	"  --vm NAME       only this vm of the plan, or one whose entry was "
	"taken out; may be\n                  repeated\n"
	"  --disks         also the disks, definition, claim and mark of "
	"vms that were\n"
	"                  rolled back or never finished; the next run "
	"starts afresh\n\n"
	"Without --disks: overlays of conversions and boot tests that "
	"nothing needs any more,\nand what helpers left. Only what bears "
	"the claim of this state directory is touched,\nand only files "
	"that palletjack makes. A vm that was handed over keeps its "
	"disks.\n",
    .run = run,
};
