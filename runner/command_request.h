/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands that leave requests share. */
#ifndef RUNNER_COMMAND_REQUEST_H
#define RUNNER_COMMAND_REQUEST_H

#include "command.h"
#include "due.h"

struct request_options {
	const char *plan, *expires, *at;
	bool revoke;
	struct words vms, paths;
	int64_t default_expiry_ms; /* 0: never */
};

/* Leaves, or takes back, a request of this kind for each vm that is meant,
 * and says on stdout what became of it.  The exit code. */
int request_command(const struct globals *g, const struct command *c,
		    enum request_kind kind, struct request_options *o, int argc,
		    char **argv);

#endif
