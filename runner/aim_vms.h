/* SPDX-License-Identifier: Apache-2.0 */
/* What rollback and gc share: a plan's vms, taken and worked on from their own
 * records; no source is asked. */
#ifndef RUNNER_AIM_VMS_H
#define RUNNER_AIM_VMS_H

#include "aim.h"
#include "command.h"
#include "stages/stage.h"

struct aim_opts {
	const struct globals *globals;
	enum aim aim;
	bool may_discard;
	const char *plan;
	const struct words *vms, *paths;
	/* Asked by a child before a vm's first record, or NULL. */
	int (*may)(const struct view *v, struct err *err);
	/* Said of a vm for which nothing is recorded. */
	const char *nothing;
};

/* The command's exit code. */
int aim_vms(const struct aim_opts *o);

#endif
