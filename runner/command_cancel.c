/* SPDX-License-Identifier: Apache-2.0 */
/* palletjack cancel: ask that vms be left as they are. */
#include "command_request.h"

static int
run(const struct globals *g, int argc, char **argv)
{
	struct request_options o = {0};
	int code =
	    request_command(g, &command_cancel, REQUEST_CANCEL, &o, argc, argv);

	words_done(&o.paths);
	words_done(&o.vms);
	return code;
}

const struct command command_cancel = {
    .name = "cancel",
    .changes = true,
    .summary = "stop working on vms, now and in later runs",
    .usage = "[--plan NS/NAME] [--vm NAME]... [--revoke] [--expires DUR] "
	     "PATH...",
    .help = "  --plan NS/NAME  needed when the manifest holds several\n"
	    "  --vm NAME       only this vm of the plan; may be repeated\n"
	    "  --revoke        take it back: the next run goes on\n"
	    "  --expires DUR   forget it unless a run sees it within 90m, 12h, "
	    "... (default: never)\n\n"
	    "Leaves a request in each vm's state. A run that works on the vm "
	    "stops its step within\na second, saves its state and ends with "
	    "9 for it; later runs leave it alone until the\ncancel is taken "
	    "back. Other vms go on. Once a target was started a cancel does "
	    "nothing.\n",
    .run = run,
};
