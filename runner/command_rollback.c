/* SPDX-License-Identifier: Apache-2.0 */
/* palletjack rollback: give the source back, keep the disks. */
#include "aim_vms.h"

static int
run(const struct globals *g, int argc, char **argv)
{
	struct words vms = {0}, paths = {0};
	struct aim_opts o = {
	    .globals = g,
	    .aim = AIM_ROLLBACK,
	    .vms = &vms,
	    .paths = &paths,
	    .may = stages_may_undo,
	    .nothing = "never begun, nothing to give back",
	};
	const struct option_spec specs[] = {
	    {"--plan", OPTION_TEXT, &o.plan},
	    {"--vm", OPTION_LIST, &vms},
	    {"--discard-target-writes", OPTION_FLAG, &o.may_discard},
	    {0},
	};
	int rc = options_parse(&command_rollback, specs, argc, argv, &paths);

	rc = rc ? (rc < 0 ? 2 : 0) : aim_vms(&o);
	words_done(&paths);
	words_done(&vms);
	return rc;
}

const struct command command_rollback = {
    .name = "rollback",
    .changes = true,
    .summary = "stop the target and give the source back; keeps the disks",
    .usage = "[--plan NS/NAME] [--vm NAME]... [--discard-target-writes] "
	     "PATH...",
    .help = "  --plan NS/NAME           needed when the manifest holds "
	    "several\n"
	    "  --vm NAME                only this vm of the plan, or one "
	    "whose entry was taken\n"
	    "                           out while it was moved; may be "
	    "repeated\n"
	    "  --discard-target-writes  also when the target may have run: "
	    "what it wrote is\n"
	    "                           lost\n\n"
	    "The target is stopped, its definition removed, and the source "
	    "started if it ran\nbefore. The disks stay, marked so that nothing "
	    "starts or writes them; 'palletjack gc\n--disks' removes them, and "
	    "only then a run starts afresh. Killed and started again, it\ngoes "
	    "on. Exit code 9: rolled back.\n",
    .run = run,
};
