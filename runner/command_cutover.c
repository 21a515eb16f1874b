/* SPDX-License-Identifier: Apache-2.0 */
/* palletjack cutover: say that sources may be stopped. */
#include "command_request.h"

#define DAY_MS (INT64_C(24) * 60 * 60 * 1000)

static int
run(const struct globals *g, int argc, char **argv)
{
	struct request_options o = {.default_expiry_ms = DAY_MS};
	int code = request_command(g, &command_cutover, REQUEST_CUTOVER, &o,
				   argc, argv);

	words_done(&o.paths);
	words_done(&o.vms);
	return code;
}

const struct command command_cutover = {
    .name = "cutover",
    .changes = true,
    .summary = "say when sources may be stopped; open a manual gate",
    .usage = "[--plan NS/NAME] [--vm NAME]... [--at TIME] [--revoke] "
	     "[--expires DUR] PATH...",
    .help = "  --plan NS/NAME  needed when the manifest holds several\n"
	    "  --vm NAME       only this vm of the plan; may be repeated\n"
	    "  --at TIME       not before this time, such as "
	    "2026-11-20T22:00:00+01:00 (default: at\n"
	    "                  once)\n"
	    "  --revoke        take it back: what the manifest says holds "
	    "again\n"
	    "  --expires DUR   forget it unless a run sees it within 90m, 12h, "
	    "... from --at or now\n"
	    "                  (default: 24h)\n\n"
	    "Leaves a request in each vm's state; the run that works on the "
	    "vm, or the next one,\nhonours it. It goes before cutover times of "
	    "Migrations and opens the gate of a\nRunPolicy with cutover.gate: "
	    "manual.\n",
    .run = run,
};
