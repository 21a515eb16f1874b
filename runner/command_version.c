/* SPDX-License-Identifier: Apache-2.0 */
/* palletjack version */
#include <stdio.h>

#include "command.h"

static int
run(const struct globals *g, int argc, char **argv)
{
	struct words rest = {0};
	static const struct option_spec none[] = {{0}};
	int asked = options_parse(&command_version, none, argc, argv, &rest);

	(void)g;
	words_done(&rest);
	if (asked)
		return asked < 0 ? 2 : 0;
	printf("palletjack %s\n", PALLETJACK_VERSION);
	return 0;
}

const struct command command_version = {
    .name = "version",
    .summary = "print the version",
    .usage = "",
    .help = "",
    .run = run,
};
